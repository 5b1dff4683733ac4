"""From what a person declares as output to the output, in a process that knows nothing of it."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from factories import Kind
from typing_extensions import TypedDict

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import (
    JsonMode,
    JsonSchemaOutput,
    Labels,
    Output,
    OutputType,
    TextOutput,
    output_of,
)
from batch_assets.prompt.output import InvalidAnswer

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
#: Found by its import path.
COLORS = Labels("red", "blue")
NUMBER = 7


@dataclasses.dataclass(slots=True)
class Pair:
    left: int
    right: str


class Keyed(TypedDict):
    here: int


def test_nothing_declared_is_free_text():
    output = output_of(None)

    assert isinstance(output, TextOutput)
    assert (output.kind, output.schema, output.arrow_type) == ("text", None, pa.string())


@pytest.mark.parametrize("text", ["", "plain", '{"a": 1}', "=cmd()", "\x00", "line\u2028line"])
def test_free_text_is_what_the_model_wrote(text):
    assert TextOutput().parse(text) == text


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        (Kind, OutputType),
        ("factories:Kind", OutputType),
        (Pair, OutputType),
        (Keyed, OutputType),
        (SCHEMA, JsonSchemaOutput),
        ("test_output_declared:SCHEMA", JsonSchemaOutput),
        ("test_output_declared:COLORS", Labels),
        ({"labels": ["a", "b"], "several": True}, Labels),
        ("text", TextOutput),
        ("json_object", JsonMode),
        (COLORS, Labels),
    ],
)
def test_an_output_is_declared_in_many_ways(declared, kind):
    output = output_of(declared)

    assert isinstance(output, Output)
    assert type(output) is kind


@pytest.mark.parametrize("as_path", [str, Path])
def test_a_json_file_is_a_schema_named_by_its_file(tmp_path, as_path):
    (tmp_path / "gloss kinds.json").write_text(json.dumps(SCHEMA))

    output = output_of(as_path(tmp_path / "gloss kinds.json"))

    assert (output.name, output.parse('{"a": "b"}')) == ("gloss_kinds", {"a": "b"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be read as a JSON schema .*No such file"),
        ("{", "cannot be read as a JSON schema"),
        ("[]", "is not a JSON schema: it must be a JSON object"),
    ],
)
def test_a_json_file_that_is_no_schema_is_refused_by_its_name(tmp_path, text, why):
    path = tmp_path / "schema.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(DeclarationError, match=f"schema.json {why}"):
        output_of(str(path))


def test_a_dataclass_and_a_typed_dict_are_types_of_answers():
    assert output_of(Pair).parse('{"left": 1, "right": "r"}') == {"left": 1, "right": "r"}
    assert output_of(Keyed).parse('{"here": 1}') == {"here": 1}


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (7, "7 is not a Pydantic model, dataclass or TypedDict, the import path of one"),
        ("nothing", r"write it as package\.module:Name"),
        ("nowhere.at_all:Kind", "cannot be imported .*No module named 'nowhere'"),
        ("factories:Nothing", "cannot be imported .*has no attribute 'Nothing'"),
        ("test_output_declared:NUMBER", "nor an Output or a JSON schema"),
        ("json:JSONDecoder", "is not a Pydantic model, dataclass or TypedDict"),
        (int, "is not a Pydantic model, dataclass or TypedDict"),
        ({"labels": "a"}, "write labels as a list of texts"),
        ({"labels": ["a"], "several": "yes"}, "several as true or false"),
    ],
)
def test_what_is_no_output_is_refused_with_the_way_out(declared, why):
    with pytest.raises(DeclarationError, match=why):
        output_of(declared)


def test_an_import_path_is_found_by_a_fresh_process(tmp_path):
    (tmp_path / "my_models.py").write_text(
        "from pydantic import BaseModel\nclass Mine(BaseModel):\n    a: int\n"
    )
    program = (
        "from batch_assets.prompt import output_of\n"
        "print(output_of('my_models:Mine').parse('{\"a\": 1}'))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout == "{'a': 1}\n"


@pytest.mark.parametrize("text", ['{"a": [1, "ü"]}', ' {"a": null}\n', "{}"])
def test_json_mode_takes_any_object_and_keeps_its_text(text):
    assert JsonMode().parse(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "answer: Invalid JSON"),
        ("[]", "answer: Input should be an object"),
        ("3", "answer: Input should be an object"),
        ('{"a": NaN}', "answer: Invalid JSON"),
        ('```json\n{"a": 1}\n```', "answer: Invalid JSON"),
        ("[" * 100_000, "answer: Invalid JSON"),
        ('{"a": "\\ud800"}', "answer: Invalid JSON"),
    ],
)
def test_json_mode_takes_nothing_else(text, why):
    with pytest.raises(InvalidAnswer, match=why):
        JsonMode().parse(text)


@pytest.mark.parametrize("templates", [["Answer in JSON."], ["{{ word }}", "as a json object"]])
def test_json_mode_is_asked_for_by_its_name(templates):
    assert JsonMode().check_prompt(templates) is None


@pytest.mark.parametrize("templates", [[], ["Answer."], ["{{ json_text }}"], ["{# JSON #} a"]])
def test_a_prompt_that_never_says_json_is_refused_before_anything_is_sent(templates):
    """The API refuses each such request, and what a row holds is no promise."""
    with pytest.raises(DeclarationError, match="unless the messages contain the word 'json'"):
        JsonMode().check_prompt(templates)


@pytest.mark.parametrize("declared", [None, Kind, SCHEMA, COLORS])
def test_other_outputs_ask_nothing_of_the_prompt(declared):
    assert output_of(declared).check_prompt([]) is None
