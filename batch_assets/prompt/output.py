"""What an answer must be: what the provider is told of it, and how one answer is judged."""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal

import msgspec
import pyarrow as pa
from pydantic import BaseModel, RootModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import from_json

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.columns import StructColumns, attributes_of, held_by
from batch_assets.prompt.left_out import LeftOut
from batch_assets.prompt.strict_schema import strict_schema
from batch_assets.prompt.validator_source import source_of

#: What a validator of the user's may raise where Pydantic does not expect it: one answer is bad.
_VALIDATOR_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError)

#: What a template puts in, which may be any text.
_VARYING = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


_encode = msgspec.json.Encoder().encode


class InvalidAnswer(ValueError):
    """An answer is not of the output type; the text says where."""


class Output(ABC):
    """What every answer of an inference must be."""

    #: The name the provider sees: letters, digits, dashes and underscores, 64 at most.
    name: str
    #: What the provider is asked for, in its own words.
    kind: Literal["json_schema", "json_object", "text"]
    #: The strict schema, where kind is json_schema.
    schema: Mapping[str, Any] | None
    #: Type of the results' `output` column.
    arrow_type: pa.DataType

    #: A word that the provider wants to see in the messages before it takes the request.
    demanded_word: ClassVar[str | None] = None

    @abstractmethod
    def parse(self, text: str) -> Any:
        """The answer as a value of `arrow_type`. Raises InvalidAnswer where it is not one."""

    @property
    def version(self) -> str:
        """Another one may read the same answer as another value; equal in every process.

        Made of what the output declares and, where that is Python, of its source text.
        """
        declared = [self.kind, str(self.arrow_type), self._declared(), *source_of(type(self))]
        return hashlib.sha256(_encode(declared)).hexdigest()

    def _declared(self) -> Any:
        """What an answer is held to, as plain values."""
        return self.schema

    def check_prompt(self, templates: Iterable[str]) -> None:
        """Raise DeclarationError where the provider would refuse every request of this prompt.

        What a template puts in does not count: it differs from row to row.
        """
        word = self.demanded_word
        if word is not None and word not in _VARYING.sub("", " ".join(templates)).lower():
            raise DeclarationError(
                f"output {self.name}: the provider refuses {self.kind} unless the messages contain "
                f"the word {word!r}; ask for {word.upper()} in the system prompt or the template"
            )


class TextOutput(Output):
    """Free text: the answer is what the model wrote."""

    name = "text"
    kind = "text"
    schema = None
    arrow_type = pa.string()

    def parse(self, text: str) -> str:
        """The text itself: every text is an answer."""
        return text


class JsonMode(Output):
    """Any JSON object, kept as its text: for models that know no schema."""

    name = "json_object"
    kind = "json_object"
    schema = None
    arrow_type = pa.string()
    #: API reference, "Create chat completion", response_format.
    demanded_word = "json"

    def parse(self, text: str) -> str:
        """The object's JSON text. Raises InvalidAnswer for what is no JSON object."""
        try:
            answer = from_json(text, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidAnswer(f"answer: Invalid JSON: {error}") from error
        if not isinstance(answer, dict):
            raise InvalidAnswer("answer: Input should be an object")
        return text.strip()


class OutputType(Output):
    """A Pydantic model, dataclass or TypedDict as the type of every answer of an inference.

    Answers are validated against the type itself; the provider gets its strict JSON schema, under
    the `name` or the type's own. Raises DeclarationError, naming the field and the way out, where
    the type has no strict form.
    """

    kind = "json_schema"
    schema: Mapping[str, Any]

    _validate: Callable[[str | bytes], Any]

    def __init__(self, model: Any, *, name: str = "") -> None:
        self.model = model
        self.name = provider_name(name or model.__name__)
        if issubclass(model, RootModel):
            raise DeclarationError(
                f"output {model.__qualname__}: the answer must be an object: put it into a field"
            )
        try:
            if issubclass(model, BaseModel):
                schema, self._validate = model.model_json_schema(), model.model_validate_json
            else:
                adapter = TypeAdapter(model)
                schema, self._validate = adapter.json_schema(), adapter.validate_json
        except PydanticUserError as error:
            raise DeclarationError(
                f"output {model.__qualname__} has no JSON schema: {error.message}"
            ) from error
        self._original = schema
        self.schema = strict_schema(schema, model.__qualname__)
        attributes = attributes_of(model)
        if unknown := sorted(set(self.schema["properties"]) - set(attributes)):
            raise DeclarationError(
                f"output {model.__qualname__}, field {unknown[0]}: only a Pydantic model may give "
                "a field another name; make it one"
            )
        #: A struct with a field for each of the model's.
        self._columns = StructColumns(self.schema, attributes)
        self.arrow_type: pa.StructType = self._columns.type
        self._left_out = LeftOut(schema, with_defaults=False)

    def _declared(self) -> Any:
        return [self._original, source_of(self.model)]

    def parse(self, text: str) -> dict[str, Any]:
        """The answer as a value of `arrow_type`. Raises InvalidAnswer where it is not one."""
        try:
            answer = held_by(self._validate(self._left_out.restored(text)))
        except ValidationError as error:
            raise InvalidAnswer(_first_problems(error)) from error
        except _VALIDATOR_ERRORS as error:
            raise InvalidAnswer(
                f"a validator of {self.model.__name__} raised {type(error).__name__}"
            ) from error
        try:
            return self._columns.values(answer)
        except ValueError as error:
            raise InvalidAnswer(str(error)) from error


def provider_name(text: str) -> str:
    """The text as a name that the provider takes."""
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in text)[:64] or "answer"


def _first_problems(error: ValidationError, most: int = 3) -> str:
    # include_input would copy the provider's text, and the corpus's, into error columns.
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    named = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'answer'}: {problem['msg']}"
        for problem in problems[:most]
    ]
    return "; ".join(named)
