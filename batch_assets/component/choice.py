"""Values of a component file that take one of several forms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import dagster as dg
from pydantic import GetJsonSchemaHandler, ModelWrapValidatorHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from batch_assets.domain.errors import DeclarationError


class Declared(dg.Model):
    """A mapping of YAML that stands for an object of Python, which is made of it with its line."""

    def check(self) -> None:
        """Make the object, for its complaints. Raises DeclarationError."""

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        try:
            self.check()
        except DeclarationError as error:
            # Pydantic adds the field and Dagster the line to what is a ValueError.
            raise ValueError(error.message) from error
        return self


class Choice(Declared):
    """A mapping that has one of several forms, told apart by a key that only one of them has.

    A field of the type that lists the forms holds one of them. A union of Pydantic's would put the
    names of the forms into the path of an error, and Dagster finds the line by that path.
    """

    @classmethod
    def forms(cls) -> Mapping[str, type[Self]]:
        """The forms by their keys; empty for a form itself."""
        return {}

    #: JSON schemas of what `spelled_out` takes beside the forms.
    short_forms: ClassVar[Sequence[JsonSchemaValue]] = ()

    @classmethod
    def spelled_out(cls, given: Any) -> Any:
        """The mapping that a short form stands for."""
        return given

    @classmethod
    def form_of(cls, given: Mapping[str, Any]) -> type[Self]:
        """The form of a mapping. Raises ValueError for one that has none, or several."""
        forms = cls.forms()
        there = [key for key in forms if key in given]
        if len(there) != 1:
            found = " and ".join(there) or "none of them"
            raise ValueError(f"give exactly one of {', '.join(forms)}; there is {found}")
        return forms[there[0]]

    @model_validator(mode="wrap")
    @classmethod
    def _chosen(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        if not cls.forms() or isinstance(given, cls):
            return validate(given)
        spelled_out = cls.spelled_out(given)
        if not isinstance(spelled_out, Mapping):
            return validate(spelled_out)
        return cls.form_of(spelled_out).model_validate(spelled_out)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        forms = cls.forms()
        if not forms:
            return handler(schema)
        spelled_out = [handler(form.__pydantic_core_schema__) for form in forms.values()]
        return {"anyOf": [*spelled_out, *cls.short_forms]}


def schema_file(output: str, *folders: Path | None) -> str:
    """Where a `.json` output lies: in the first folder that has it, else in the last."""
    places = [folder / output for folder in folders if folder is not None]
    return str(next((path for path in places if path.is_file()), places[-1]))


def rooted(path: str, project_root: Path) -> str:
    """The path as every process finds it; a URL is one already."""
    return path if "://" in path else str(project_root / path)
