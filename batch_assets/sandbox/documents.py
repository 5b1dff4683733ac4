"""A document that is valid under a JSON schema, made from a text.

Covers what OpenAI's strict mode allows (guide "Structured Outputs", "Supported schemas") and,
for schemas that are not strict, the usual rest. Recursion ends because every choice, once the
budget is spent, takes the branch with the shallowest document.
"""

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

from batch_assets.sandbox.labels import choose_label
from batch_assets.sandbox.lists import listed_in
from batch_assets.sandbox.pattern_text import text_for_pattern
from batch_assets.sandbox.sample_numbers import sample_integer, sample_number

FORMAT_SAMPLES = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/",
}
GENEROUS_LEVELS = 4
MAX_LEVELS = 64
EXCERPT_CHARACTERS = 120


def excerpt(text: str, characters: int = EXCERPT_CHARACTERS) -> str:
    return " ".join(text.split())[:characters].rstrip()


class DocumentMaker:
    """One schema, read once; `document` then answers for any number of texts."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._heights = self._reference_heights()
        self._list = self._list_with_ids()

    def document(self, text: str) -> Any:
        document = self._value(self._root, text, "", 0)
        if self._list is not None and (things := listed_in(text)):
            name, element = self._list
            document[name] = [
                {**self._value(element, thing.text, f"{name}[]", 1), "id": thing.id}
                for thing in things
            ]
        return document

    def _list_with_ids(self) -> tuple[str, Any] | None:
        """The one list at the root whose elements have an id, with the schema of its elements."""
        properties = self._root.get("properties") if isinstance(self._root, Mapping) else None
        for name, node in (properties or {}).items():
            items = node.get("items") if isinstance(node, dict) else None
            if isinstance(items, dict) and "id" in _properties(items):
                return name, items
        return None

    def _resolve(self, reference: str) -> Any:
        target: Any = self._root
        for step in reference.split("/")[1:]:
            target = target[step.replace("~1", "/").replace("~0", "~")]
        return target

    def _reference_heights(self) -> dict[str, float]:
        """Least nesting of a document for each `$ref`, by iteration to a fixed point."""
        heights = dict.fromkeys(_references(self._root), math.inf)
        for _ in heights:
            for reference in heights:
                heights[reference] = self._height(self._resolve(reference), heights)
        return heights

    def _height(self, node: Any, heights: Mapping[str, float]) -> float:
        if not isinstance(node, dict) or "const" in node or "enum" in node:
            return 0
        if "$ref" in node:
            # A step of its own, so that a reference never ties with the branch that ends it.
            return 1 + heights[node["$ref"]]
        for keyword in ("anyOf", "oneOf"):
            if node.get(keyword):
                return min(self._height(branch, heights) for branch in node[keyword])
        kinds = _kinds(node)
        if kinds and not set(kinds) <= {"object", "array"}:
            return 0
        if kinds[:1] == ["array"]:
            needed = node.get("minItems", 0)
            return 1 + self._height(node.get("items"), heights) if needed else 0
        required = [child for name, child in _properties(node).items() if _is_required(node, name)]
        return 1 + max((self._height(child, heights) for child in required), default=0)

    def _value(self, node: Any, text: str, path: str, level: int) -> Any:
        if not isinstance(node, dict) or level > MAX_LEVELS:
            return None
        if "$ref" in node:
            if self._heights[node["$ref"]] == math.inf:
                return None  # No finite document fits; any end will do.
            return self._value(self._resolve(node["$ref"]), text, path, level + 1)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return _choose(node["enum"], text, path)
        for keyword in ("anyOf", "oneOf"):
            if node.get(keyword):
                return self._value(self._branch(node[keyword], level), text, path, level)
        if node.get("allOf"):
            return self._value(_merged(node), text, path, level)
        return self._typed(node, text, path, level)

    def _branch(self, branches: list[Any], level: int) -> Any:
        heights = [self._height(branch, self._heights) for branch in branches]
        if level < GENEROUS_LEVELS:
            finite = [b for b, height in zip(branches, heights, strict=True) if height < math.inf]
            return finite[0] if finite else branches[0]
        return branches[heights.index(min(heights))]

    def _typed(self, node: Mapping[str, Any], text: str, path: str, level: int) -> Any:
        kinds = _kinds(node)
        if level >= GENEROUS_LEVELS and "null" in kinds:
            return None
        kind = next((kind for kind in kinds if kind != "null"), "null")
        match kind:
            case "object":
                return self._object(node, text, path, level)
            case "array":
                return self._array(node, text, path, level)
            case "string":
                return _string(node, text)
            case "integer":
                return sample_integer(node, _share(text, path))
            case "number":
                return sample_number(node, _share(text, path))
            case "boolean":
                return _share(text, path) < 0.5
            case _:
                return None

    def _object(self, node: Mapping[str, Any], text: str, path: str, level: int) -> dict[str, Any]:
        return {
            name: self._value(child, text, f"{path}/{name}", level + 1)
            for name, child in _properties(node).items()
            if level < GENEROUS_LEVELS or _is_required(node, name)
        }

    def _array(self, node: Mapping[str, Any], text: str, path: str, level: int) -> list[Any]:
        least, most = node.get("minItems", 0), node.get("maxItems", math.inf)
        fits = self._height(node.get("items"), self._heights) < math.inf
        wanted = 1 if level < GENEROUS_LEVELS and fits else 0
        items = node.get("items", {"type": "string"})
        return [
            self._value(items, text, f"{path}/{index}", level + 1)
            for index in range(int(min(max(least, wanted), most)))
        ]


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_references, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(_references, node.values()))


def _kinds(node: Mapping[str, Any]) -> list[str]:
    declared = node.get("type")
    if isinstance(declared, list):
        return declared
    if declared is not None:
        return [declared]
    if "properties" in node:
        return ["object"]
    return ["array"] if "items" in node else ["string"]


def _properties(node: Mapping[str, Any]) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = node.get("properties", {})
    return properties


def _is_required(node: Mapping[str, Any], name: str) -> bool:
    return name in node.get("required", [])


def _merged(node: Mapping[str, Any]) -> dict[str, Any]:
    """`allOf` of objects, joined; strict mode knows no `allOf`, so this is good enough."""
    merged: dict[str, Any] = {key: value for key, value in node.items() if key != "allOf"}
    for part in node["allOf"]:
        merged["properties"] = {**merged.get("properties", {}), **part.get("properties", {})}
        merged["required"] = [*merged.get("required", []), *part.get("required", [])]
        merged = {**part, **merged}
    return merged


def _choose(values: list[Any], text: str, path: str) -> Any:
    labels = [value for value in values if isinstance(value, str)]
    if labels:
        return choose_label(labels, text)
    return values[int(_share(text, path) * len(values))]


def _string(node: Mapping[str, Any], text: str) -> str:
    if "format" in node and node["format"] in FORMAT_SAMPLES:
        return FORMAT_SAMPLES[node["format"]]
    if "pattern" in node:
        sample = text_for_pattern(node["pattern"])
        if sample is not None:
            return sample
    wanted = excerpt(text, min(EXCERPT_CHARACTERS, node.get("maxLength", EXCERPT_CHARACTERS)))
    return wanted.ljust(node.get("minLength", 0), ".")


def _share(text: str, path: str) -> float:
    """A number in [0, 1) that depends on the text and the place in the document only."""
    return zlib.crc32(json.dumps([path, text]).encode()) / 2**32
