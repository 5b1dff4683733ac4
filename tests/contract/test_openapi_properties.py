"""Whatever a row says: its line is as published, passes the sandbox, and holds the row's words."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_requests import complaints_of_line

from batch_assets.prompt import Prompt, TextOutput
from batch_assets.prompt.endpoints.catalogue import ENDPOINTS, compile_endpoint
from batch_assets.sandbox.settings import Settings
from batch_assets.sandbox.validation import Validation, validate_input

#: Any text that a Unicode file can hold; what JSON and lines are made of comes often.
SPECIAL = [
    "\0",
    "\x1f",
    '"',
    "\\",
    "\n",
    "\r\n",
    "\u2028",
    "\x85",
    "{{ word }}",
    "</s>",
    "\U0001f333",
]
TEXT = st.lists(
    st.sampled_from(SPECIAL) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    min_size=1,
    max_size=5,
).map("".join)
MODELS = {"embeddings": "text-embedding-3-small"}


def lines_of(name: str, prompt: Prompt, texts: list[str]) -> list[bytes]:
    made = compile_endpoint(
        name, model=MODELS.get(name, "m"), prompt=prompt, output=TextOutput(), settings={}
    )
    bodies = made.bodies(pa.RecordBatch.from_pydict({"word": texts}), str)
    return [made.line(f"r-{number}", body) for number, body in enumerate(bodies)]


def validated(lines: list[bytes], url: str) -> Validation:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard.jsonl"
        path.write_bytes(b"".join(lines))
        return validate_input(path, url, Settings())


def words_in(name: str, line: bytes) -> Any:
    asked = json.loads(line)["body"][ENDPOINTS[name].prompt_field]
    return asked if isinstance(asked, str) else asked[-1]["content"]


@pytest.mark.parametrize("name", ENDPOINTS)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXT, min_size=1, max_size=8), asked=st.sampled_from(["field", "template"]))
def test_a_line_of_any_text_is_a_request_that_holds_it(name, texts, asked):
    prompt = Prompt(field="word") if asked == "field" else Prompt(user="{{ word }}")

    lines = lines_of(name, prompt, texts)

    assert [complaints_of_line(line) for line in lines] == [[]] * len(texts)
    assert [words_in(name, line) for line in lines] == texts
    found = validated(lines, ENDPOINTS[name].url)
    assert (found.errors, found.total, found.refused) == ([], len(texts), 0)
