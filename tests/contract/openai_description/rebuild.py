"""Rebuilds requests.json: what OpenAI's published description says of the requests we make.

    python tests/contract/openai_description/rebuild.py OPENAPI_JSON COMMIT

OPENAPI_JSON is openapi.json of the repository openai/openai-openapi at that commit; the LICENSE
beside this file is its licence. Kept are the schemas of our calls and what they refer to, as JSON
Schema 2020-12, without what no validator reads. `nullable`, which OpenAPI 3.1 knows no more, is
written out as the type that it meant, and `oneOf` becomes `anyOf`: the description uses it for
unions whose members overlap, as the two kinds of message in a response's input.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: The calls whose bodies are described, by path.
CALLS = (
    "/chat/completions",
    "/responses",
    "/embeddings",
    "/moderations",
    "/completions",
    "/images/generations",
    "/batches",
    "/files",
)
#: What says nothing of which values are valid.
WORDS = {"title", "description", "example", "examples", "default", "deprecated", "discriminator"}
RENAMED = {"oneOf": "anyOf"}
#: Keywords whose value names things, each with a schema of its own.
NAMED = {"properties", "patternProperties", "$defs"}
SCHEMAS = "#/components/schemas/"


def plain(schema: Any) -> Any:
    """A schema without words."""
    if isinstance(schema, list):
        return [plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        RENAMED.get(name, name): (
            {key: plain(each) for key, each in value.items()} if name in NAMED else plain(value)
        )
        for name, value in schema.items()
        if name not in WORDS and not name.startswith("x-")
    }
    return {"anyOf": [kept, {"type": "null"}]} if kept.pop("nullable", False) else kept


def references(schema: Any) -> Iterator[str]:
    """Names of the schemas that one refers to."""
    if isinstance(schema, list):
        for each in schema:
            yield from references(each)
    elif isinstance(schema, dict):
        for name, value in schema.items():
            if name == "$ref":
                yield value.removeprefix(SCHEMAS)
            else:
                yield from references(value)


def rebuilt(description: dict[str, Any], commit: str) -> dict[str, Any]:
    calls = {}
    for path in CALLS:
        [content] = description["paths"][path]["post"]["requestBody"]["content"].values()
        calls[path] = content["schema"]
    kept: dict[str, Any] = {}
    missing = sorted(references(list(calls.values())))
    while missing:
        name = missing.pop()
        if name not in kept:
            kept[name] = plain(description["components"]["schemas"][name])
            missing += references(kept[name])
    return {
        "source": f"openai/openai-openapi, openapi.json at {commit}, MIT licence",
        "calls": calls,
        "components": {"schemas": dict(sorted(kept.items()))},
    }


if __name__ == "__main__":
    made = rebuilt(json.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2])
    schemas = made.pop("components")["schemas"]
    # A line for each schema, so that a newer description shows what it changes.
    lines = [f"{json.dumps(name)}: {json.dumps(schema)}" for name, schema in schemas.items()]
    head = json.dumps(made)[:-1]
    text = f'{head}, "components": {{"schemas": {{\n' + ",\n".join(lines) + "\n}}}\n"
    Path(__file__).with_name("requests.json").write_text(text)
