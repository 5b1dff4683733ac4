"""The version of an output: another one may read the same answers as other results."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import Kind
from pydantic import create_model

from batch_assets.prompt import JsonSchemaOutput, Labels, Output, OutputType, output_of
from batch_assets.prompt.packed import PackedOutput

MODELS = '''
import dataclasses
from enum import Enum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, field_validator


class Color(Enum):
    RED = "red"
    BLUE = "blue"


def trimmed(text: str) -> str:
    return text.strip()


def no_words():
    return []


class Base(BaseModel):
    @field_validator("*", mode="before", check_fields=False)
    @classmethod
    def is_not_seven(cls, value):
        if value == 7:
            raise ValueError("seven")
        return value


class Inner(BaseModel):
    color: Color | None
    text: Annotated[str, AfterValidator(trimmed)]


@dataclasses.dataclass
class Pair:
    left: Inner
    right: int = 3


class Mine(Base):
    """What is asked."""

    inner: list[Inner]
    pair: Pair
    words: list[str] = Field(default_factory=no_words)

    @field_validator("words")
    @classmethod
    def has_words(cls, words):
        return [word.lower() for word in words]
'''

Written = Callable[[str], Output]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """The output that a module of this source declares; each time the module is a new one."""

    def write(source: str) -> Output:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / "versioned_models.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        sys.modules.pop("versioned_models", None)
        importlib.invalidate_caches()
        return output_of("versioned_models:Mine")

    yield write
    sys.modules.pop("versioned_models", None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("word.lower()", "word.upper()"),
        ("value == 7", "value == 8"),
        ("text.strip()", "text.rstrip()"),
        ("return []", 'return ["none"]'),
        ("right: int = 3", "right: int = 4"),
        ('RED = "red"', 'CRIMSON = "red"'),
        ("Annotated[str, AfterValidator(trimmed)]", "str"),
        ('"""What is asked."""', '"""What is asked now."""'),
    ],
)
def test_whatever_an_answer_is_read_by_changes_the_version(written, before, after):
    assert MODELS.count(before) == 1

    assert written(MODELS).version != written(MODELS.replace(before, after)).version


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("class Inner(", "# A comment.\n\n\nclass Inner("),
        ("[word.lower() for word in words]", "[  # lower case\n word.lower() for word in words]"),
        ("def trimmed", "def nobody_calls_this():\n    return 1\n\n\ndef trimmed"),
    ],
)
def test_what_no_answer_is_read_by_does_not(written, before, after):
    assert MODELS.count(before) == 1

    assert written(MODELS).version == written(MODELS.replace(before, after)).version


def test_the_version_is_the_same_in_every_process(written, tmp_path):
    version = written(MODELS).version
    program = (
        "from batch_assets.prompt import output_of\n"
        "print(output_of('versioned_models:Mine').version, end='')"
    )
    path = f"{tmp_path / '0'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout == version


def test_a_model_without_a_source_has_the_version_of_its_schema():
    one, same, other = (
        OutputType(create_model("Made", word=(kind, ...))) for kind in (str, str, int)
    )

    assert one.version == same.version != other.version


def test_a_type_that_holds_itself_has_a_version(written):
    source = "from pydantic import BaseModel\nclass Mine(BaseModel):\n    next: 'Mine | None'\n"

    assert written(source).version == written(source).version


def test_a_schema_is_read_by_what_the_provider_is_not_told_too():
    schema = {"type": "object", "properties": {"a": {"type": "integer", "default": 3}}}
    other = {"type": "object", "properties": {"a": {"type": "integer", "default": 4}}}
    one, changed = JsonSchemaOutput(schema), JsonSchemaOutput(other)

    assert one.schema == changed.schema
    assert one.version == JsonSchemaOutput(schema).version != changed.version


def test_each_kind_of_output_has_a_version_of_its_own():
    outputs = [
        output_of(None),
        output_of("json_object"),
        output_of(Kind),
        Labels("a", "b"),
        Labels("a", "b", "c"),
        Labels("a", "b", several=True),
        PackedOutput(output_of(Kind)),
    ]

    assert len({output.version for output in outputs}) == len(outputs)


def test_a_pack_is_read_as_each_of_its_answers_is(written):
    one, other = (
        PackedOutput(written(source)).version
        for source in (MODELS, MODELS.replace("lower", "upper"))
    )

    assert one != other
