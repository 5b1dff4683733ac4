"""The examples of docs/howto/corpora-other.md work as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest
from factories import a_corpus, a_table

from batch_assets.corpus import Corpus
from batch_assets.corpus.partitioning import GivenPartitions, StaticKeys, TimeWindows
from batch_assets.corpus.request_files import RequestFileCorpus, RequestShape

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "corpora-other.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """All that the page defines."""
    monkeypatch.chdir(tmp_path)
    a_corpus(tmp_path / "data" / "mail", a_table(1, message_id=["17"]))
    a_corpus(tmp_path / "data" / "chat", a_table(1, turn=[17]))
    names: dict[str, Any] = {}
    exec("\n".join(EXAMPLES), names)
    return names


def test_every_corpus_of_the_page_has_the_partitions_that_it_says(page):
    del page["made_elsewhere"]  # lists a bucket
    corpora = {name: value for name, value in page.items() if isinstance(value, Corpus)}

    assert {name: type(corpus.partitioning) for name, corpus in corpora.items()} == {
        "notes": GivenPartitions,
        "by_country": StaticKeys,
        "by_day": TimeWindows,
        "both": StaticKeys,
    }


def test_the_sources_of_the_page_are_one_corpus(page):
    keys = [
        f"{rows.namespace}:{key}"
        for rows in page["both"].read("p", ["item_id"])
        for key in rows.batch.column("item_id").to_pylist()
    ]

    assert keys == ["mail:17", "chat:17"]


def test_the_request_of_the_page_is_one(tmp_path):
    (line,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "a.jsonl").write_text(line)

    shape = RequestFileCorpus(path=str(tmp_path)).shape

    assert shape == RequestShape(url="/v1/chat/completions", model="gpt-4.1-mini")
