"""A plain JSON schema as the type of every answer."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec
import pyarrow as pa

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.columns import StructColumns
from batch_assets.prompt.left_out import LeftOut
from batch_assets.prompt.output import InvalidAnswer, Output, provider_name
from batch_assets.prompt.strict_schema import strict_schema

_MOST_PROBLEMS = 3


class JsonSchemaOutput(Output):
    """A JSON schema; answers are validated against it as it was given, formats included.

    The provider gets its strict form, in which a field that may be left out may be null: such a
    null is read as left out, and the schema's `default` stands in. Raises DeclarationError, naming
    the field and the way out, where the schema is not valid or has no strict form.
    """

    kind = "json_schema"
    schema: Mapping[str, Any]

    def __init__(self, schema: Mapping[str, Any], *, name: str = "") -> None:
        title = name or str(schema.get("title") or "answer")
        self.name = provider_name(title)
        #: The schema as it was given.
        self.original = dict(schema)
        try:
            jsonschema_rs.meta.validate(self.original)
            self.schema = strict_schema(schema, title)
            # The values of answers are the model's text, or the corpus's: no complaint has them.
            validator = jsonschema_rs.validator_for(
                self.original, validate_formats=True, mask="the value", offline=True
            )
        except (jsonschema_rs.ValidationError, TypeError, ValueError) as error:
            where = "/".join(map(str, getattr(error, "instance_path", ()))) or "the schema"
            raise DeclarationError(
                f"output {title} is not a valid JSON schema: {where}: "
                f"{getattr(error, 'message', error)}; correct it"
            ) from error
        self._problems = validator.iter_errors
        self._is_valid = validator.is_valid
        self._columns = StructColumns(
            self.schema, {name: name for name in self.schema["properties"]}
        )
        #: A struct with a field for each property.
        self.arrow_type: pa.StructType = self._columns.type
        self._left_out = LeftOut(schema, with_defaults=True)

    def _declared(self) -> Any:
        return self.original

    def parse(self, text: str) -> dict[str, Any]:
        """The answer as a value of `arrow_type`. Raises InvalidAnswer where it is not one."""
        answer = read_json(self._left_out.restored(text))
        if not self._is_valid(answer):
            problems = islice(map(_described, self._problems(answer)), _MOST_PROBLEMS)
            raise InvalidAnswer("; ".join(problems))
        try:
            return self._columns.values(answer)
        except ValueError as error:
            raise InvalidAnswer(str(error)) from error


def read_json(text: str | bytes) -> Any:
    """The answer's JSON. Raises InvalidAnswer where there is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidAnswer(f"answer: Invalid JSON: {error}") from error


def _described(problem: jsonschema_rs.ValidationError) -> str:
    return f"{'.'.join(map(str, problem.instance_path)) or 'answer'}: {problem.message}"
