"""Which fields of an answer are labels, and where free text is."""

from datetime import date
from enum import Enum
from typing import Any, Literal

import pytest
from factories import Kind
from pydantic import BaseModel

from batch_assets.prompt import JsonMode, Labels, output_of
from batch_assets.prompt.answer_fields import has_free_text, label_fields


class Tone(Enum):
    WARM = "warm"
    COLD = "cold"


class Part(BaseModel):
    tone: Tone | None
    weight: float


class Closed(BaseModel):
    tone: Tone
    is_spam: bool
    grade: Literal[1, 2, 3] | None = None
    day: date
    count: int
    part: Part
    parts: list[Part]
    tones: list[Tone]
    always: Literal["one"] = "one"


class Tree(BaseModel):
    label: Literal["leaf", "node"]
    inner: "list[Tree]"


class Mixed(BaseModel):
    either: Literal[1, "one"]


def names(declared: Any) -> list[str]:
    output = output_of(declared)
    return [field.name for field in label_fields(output, output.arrow_type)]


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        (Kind, ["label"]),
        (Labels("a", "b"), ["label"]),
        (Labels("a", "b", several=True), ["label"]),
        # One choice is no label, and a choice of several types is JSON text.
        (
            Closed,
            ["tone", "is_spam", "grade", "part.tone", "parts.tone", "tones"],
        ),
        # One level of a type inside itself is a column, the next is JSON text.
        (Tree, ["label", "inner.label"]),
        (Mixed, []),
        (None, []),
        (JsonMode(), []),
    ],
)
def test_fields_with_a_few_declared_values_are_labels(declared, found):
    assert names(declared) == found


@pytest.mark.parametrize(
    ("declared", "is_free"),
    [
        (None, True),
        (JsonMode(), True),
        # words is a list of texts.
        (Kind, True),
        (Labels("a", "b"), False),
        (Labels("a", "b", several=True), False),
        (Closed, False),
        (Tree, False),
    ],
)
def test_free_text_is_what_the_model_words_itself(declared, is_free):
    assert has_free_text(output_of(declared)) is is_free
