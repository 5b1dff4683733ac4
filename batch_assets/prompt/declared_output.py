"""From what a person declares as output to the output."""

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.import_path import imported
from batch_assets.prompt.json_schema_output import JsonSchemaOutput
from batch_assets.prompt.labels import Labels
from batch_assets.prompt.output import JsonMode, Output, OutputType, TextOutput

#: What a file of declarations may call the outputs that take no parameters.
_WORDS: Mapping[str, type[Output]] = {"text": TextOutput, "json_object": JsonMode}

Declared = type[BaseModel] | type | str | Path | Mapping[str, Any] | Output | None


def output_of(declared: Declared) -> Output:
    """The output that is declared.

    A class (Pydantic model, dataclass, TypedDict) or the import path of one, of an `Output` or of
    a schema, `package.module:Name`; a JSON schema as a mapping or as the path of a `.json` file;
    `{"labels": [...], "several": true}`; the words `text` and `json_object`; an `Output`; None for
    free text. Raises DeclarationError, with the way out, for what is none of these.
    """
    match declared:
        case None:
            return TextOutput()
        case Output():
            return declared
        case type() if _is_a_type_of_answers(declared):
            return OutputType(declared)
        case Mapping() if set(declared) <= {"labels", "several"} and "labels" in declared:
            return _labels(declared)
        case Mapping():
            return JsonSchemaOutput(declared)
        case str() if declared in _WORDS:
            return _WORDS[declared]()
        case Path() | str() if str(declared).endswith(".json"):
            return _from_file(Path(declared))
        case str():
            return _from_import_path(declared)
        case _:
            raise DeclarationError(
                f"output {declared!r} is not a Pydantic model, dataclass or TypedDict, the import "
                "path of one, a JSON schema, labels, 'text' or 'json_object'"
            )


def _labels(declared: Mapping[str, Any]) -> Labels:
    labels, several = declared["labels"], declared.get("several", False)
    if not isinstance(labels, list) or not isinstance(several, bool):
        raise DeclarationError(
            f"output {dict(declared)}: write labels as a list of texts, several as true or false"
        )
    return Labels(*labels, several=several)


def _from_file(path: Path) -> Output:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DeclarationError(
            f"output {path} cannot be read as a JSON schema ({error}); "
            "give the path of a .json file that every Dagster process sees"
        ) from error
    if not isinstance(schema, dict):
        raise DeclarationError(f"output {path} is not a JSON schema: it must be a JSON object")
    return JsonSchemaOutput(schema, name=str(schema.get("title") or path.stem))


def _from_import_path(path: str) -> Output:
    found = imported(path, "output")
    if isinstance(found, (Output, Mapping)) or _is_a_type_of_answers(found):
        return output_of(found)
    raise DeclarationError(
        f"output {path!r} is not a Pydantic model, dataclass or TypedDict, "
        "nor an Output or a JSON schema"
    )


def _is_a_type_of_answers(found: Any) -> bool:
    if not isinstance(found, type):
        return False
    # typing's is_typeddict does not know the TypedDict of typing_extensions, nor the other way.
    is_typed_dict = issubclass(found, dict) and hasattr(found, "__required_keys__")
    return issubclass(found, BaseModel) or is_dataclass(found) or is_typed_dict
