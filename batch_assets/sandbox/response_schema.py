"""The `json_schema` of a response format, checked and prepared once however often it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from batch_assets.sandbox.documents import DocumentMaker
from batch_assets.sandbox.strict_schema import SchemaRefused, check_strict_schema


@dataclass(frozen=True, kw_only=True)
class ResponseSchema:
    maker: DocumentMaker
    complaint: str | None
    """Why the API would refuse the schema."""


def response_schema(json_schema: Mapping[str, Any]) -> ResponseSchema:
    strict = json_schema.get("strict") is True
    # Not sorted: properties keep their order in the document.
    return _prepared(msgspec.json.encode(json_schema.get("schema", {})), strict)


@lru_cache(maxsize=256)
def _prepared(encoded: bytes, strict: bool) -> ResponseSchema:
    schema = msgspec.json.decode(encoded)
    try:
        if strict:
            check_strict_schema(schema)
        maker = DocumentMaker(schema)
        maker.document("")
    except SchemaRefused as refused:
        return ResponseSchema(maker=DocumentMaker({}), complaint=str(refused))
    except (AttributeError, LookupError, TypeError, ValueError):
        # Keywords of the wrong type, such as minItems: "two", and references that lead nowhere.
        complaint = "schema is not a valid JSON Schema."
        return ResponseSchema(maker=DocumentMaker({}), complaint=complaint)
    return ResponseSchema(maker=maker, complaint=None)
