"""OpenAI's published description of its requests, as a validator of what we send.

`openai_description/requests.json` is the part of it that our calls need; rebuild.py beside it says
how it was made, LICENSE is its licence.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

DESCRIPTION = json.loads(
    (Path(__file__).parent / "openai_description" / "requests.json").read_bytes()
)


def validator(schema: Any) -> jsonschema_rs.Draft202012Validator:
    """Of a schema that may refer to the description's."""
    return jsonschema_rs.Draft202012Validator(
        {"components": DESCRIPTION["components"], **schema}, validate_formats=True
    )


#: By path. The description leaves most objects open: here a field that it does not name is wrong.
CALLS = {
    path: validator({**schema, "unevaluatedProperties": False})
    for path, schema in DESCRIPTION["calls"].items()
}

#: A line of a batch file, after the guide "Batch", which the description names and does not have;
#: a custom_id is as narrow as the narrowest of the providers takes it.
LINE = validator(
    {
        "type": "object",
        "properties": {
            "custom_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
            "method": {"const": "POST"},
            "url": {"$ref": "#/components/schemas/CreateBatchRequest/properties/endpoint"},
            "body": {"type": "object"},
        },
        "required": ["custom_id", "method", "url", "body"],
        "additionalProperties": False,
    }
)


def complaints(path: str, body: Any) -> list[str]:
    """What the description finds wrong with the body of a call."""
    return [error.message for error in CALLS[path].iter_errors(body)]


def complaints_of_line(line: bytes) -> list[str]:
    """The same of a line of a batch file and of the body in it."""
    found = json.loads(line)
    wrong = [error.message for error in LINE.iter_errors(found)]
    return wrong or complaints(found["url"].removeprefix("/v1"), found["body"])
