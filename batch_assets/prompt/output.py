"""The output type: what an answer must be, in the provider's strict schema and in Arrow."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.columns import columns_of
from batch_assets.prompt.strict_schema import strict_schema


class OutputType:
    """A Pydantic model as the type of every answer of an inference.

    Answers are validated against the model itself; the provider gets its strict JSON schema.
    Raises DeclarationError, naming the field and the way out, where the model has no strict form.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model
        #: Type of the results' `output` column: a struct with a field for each of the model's.
        self.arrow_type: pa.StructType
        try:
            schema = model.model_json_schema()
        except PydanticInvalidForJsonSchema as error:
            raise DeclarationError(
                f"output {model.__qualname__} has no JSON schema: {error.message}"
            ) from error
        self.schema: Mapping[str, Any] = strict_schema(schema, model.__qualname__)
        definitions = schema.get("$defs", {})
        root = definitions[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
        columns = columns_of(root["properties"], definitions)
        self.arrow_type = pa.struct([(name, column.type) for name, column in columns.items()])
        self._converts = {n: c.convert for n, c in columns.items() if c.convert is not None}
        # Reading the fields off the model is cheaper than dumping it, where that is the same.
        self._must_dump = any(column.holds_models for column in columns.values()) or (
            set(columns) != set(model.model_fields)
        )

    @classmethod
    def from_path(cls, path: str) -> "OutputType":
        """The model named by its import path, `package.module:Class`."""
        module_name, separator, class_name = path.partition(":")
        if not separator:
            raise DeclarationError(
                f"output {path!r} is not an import path; write it as package.module:Class"
            )
        try:
            model = getattr(import_module(module_name), class_name)
        except (ImportError, AttributeError) as error:
            raise DeclarationError(
                f"output {path!r} cannot be imported ({error}); "
                "the class must be importable by every Dagster process"
            ) from error
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise DeclarationError(f"output {path!r} is not a Pydantic model")
        return cls(model)

    @property
    def name(self) -> str:
        """The name the provider sees: letters, digits, dashes and underscores, 64 at most."""
        return "".join(c if c.isalnum() and c.isascii() else "_" for c in self.model.__name__)[:64]

    def parse(self, text: str) -> dict[str, Any]:
        """The answer as a value of `arrow_type`. Raises InvalidAnswer where it is not one."""
        try:
            answer = self.model.model_validate_json(text)
        except ValidationError as error:
            raise InvalidAnswer(_first_problems(error)) from error
        values = answer.model_dump(by_alias=True) if self._must_dump else answer.__dict__
        try:
            return values | {name: change(values[name]) for name, change in self._converts.items()}
        except (OverflowError, ValueError) as error:
            raise InvalidAnswer(str(error)) from error


class InvalidAnswer(ValueError):
    """An answer is not of the output type; the text says where."""


def _first_problems(error: ValidationError, most: int = 3) -> str:
    # include_input would copy the provider's text, and the corpus's, into error columns.
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    named = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'answer'}: {problem['msg']}"
        for problem in problems[:most]
    ]
    return "; ".join(named)
