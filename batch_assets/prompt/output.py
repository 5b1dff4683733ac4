"""The output type: what an answer must be, in the provider's strict schema and in Arrow."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, RootModel, ValidationError
from pydantic.errors import PydanticUserError

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.columns import attributes_of, columns_of
from batch_assets.prompt.strict_schema import strict_schema

#: What a validator of the user's may raise where Pydantic does not expect it: one answer is bad.
_VALIDATOR_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError)


class OutputType:
    """A Pydantic model as the type of every answer of an inference.

    Answers are validated against the model itself; the provider gets its strict JSON schema.
    Raises DeclarationError, naming the field and the way out, where the model has no strict form.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model
        if issubclass(model, RootModel):
            raise DeclarationError(
                f"output {model.__qualname__}: the answer must be an object: put it into a field"
            )
        try:
            schema = model.model_json_schema()
        except PydanticUserError as error:
            raise DeclarationError(
                f"output {model.__qualname__} has no JSON schema: {error.message}"
            ) from error
        self.schema: Mapping[str, Any] = strict_schema(schema, model.__qualname__)
        columns = columns_of(self.schema["properties"], schema.get("$defs", {}))
        #: Type of the results' `output` column: a struct with a field for each of the model's.
        self.arrow_type: pa.StructType = pa.struct([(n, c.type) for n, c in columns.items()])
        attributes = attributes_of(model)
        self._columns = [(n, attributes[n], c.convert) for n, c in columns.items()]

    @classmethod
    def from_path(cls, path: str) -> "OutputType":
        """The model named by its import path, `package.module:Class`."""
        module_name, _, class_name = path.partition(":")
        if not module_name or not class_name or module_name.startswith("."):
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
            answer = self.model.model_validate_json(text).__dict__
        except ValidationError as error:
            raise InvalidAnswer(_first_problems(error)) from error
        except _VALIDATOR_ERRORS as error:
            raise InvalidAnswer(
                f"a validator of {self.model.__name__} raised {type(error).__name__}"
            ) from error
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, held, convert in self._columns:
                value = answer[held]
                values[name] = None if value is None else convert(value)
        except (OverflowError, TypeError, ValueError) as error:
            raise InvalidAnswer(f"{name}: {error}") from error
        return values


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
