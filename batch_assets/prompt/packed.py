"""Several items in one request: what their answers look like together, and taking them apart."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.json_schema import ROOT
from batch_assets.prompt.output import InvalidAnswer, Output
from batch_assets.prompt.strict_limits import check_limits


class _Pack(msgspec.Struct):
    answers: list[msgspec.Raw]


class _Element(msgspec.Struct):
    id: str | int
    answer: msgspec.Raw


_decode_pack = msgspec.json.Decoder(_Pack).decode
_decode_element = msgspec.json.Decoder(_Element).decode
#: Where the first element begins, and what stands between two.
_HEAD = re.compile(r'\s*\{\s*"answers"\s*:\s*\[')
_BETWEEN = " \t\r\n,"
_scan = json.JSONDecoder().raw_decode


class PackedOutput(Output):
    """An output for each of several items: a list of `{"id": ..., "answer": ...}`.

    The column type and `parse` are those of the whole list; to judge each item's answer alone, take
    the answer apart with `split`. Raises DeclarationError where the list has no strict form.
    """

    kind = "json_schema"
    schema: Mapping[str, Any]

    def __init__(self, output: Output) -> None:
        if output.kind == "json_object":
            raise DeclarationError(
                f"output {output.name}: JSON mode cannot be packed: a list of any objects has no "
                "strict form; declare the fields, or leave rows_per_request at 1"
            )
        self.output = output
        self.name = f"packed_{output.name}"[:64]
        self.schema = _packed(output.schema)
        check_limits(self.schema, f"{output.name}, packed")
        self.arrow_type = pa.list_(pa.struct([("id", pa.string()), ("answer", output.arrow_type)]))

    def _declared(self) -> Any:
        return self.output.version

    def parse(self, text: str) -> list[dict[str, Any]]:
        """All answers, each with its id. Raises InvalidAnswer where one of them is not valid."""
        return [{"id": i, "answer": self.output.parse(part)} for i, part in self.split(text)]

    def split(self, text: str) -> list[tuple[str, str]]:
        """Each id with the text of its answer: JSON, or plain text where the output is free text.

        An element without an id and an answer is left out, and spoils no other. Of a document that
        ends too early, or is damaged, the elements before that are there. Raises InvalidAnswer
        where there is no list of answers.
        """
        try:
            elements = [bytes(raw) for raw in _decode_pack(text).answers]
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            elements = list(_whole_elements(text))
            if not elements:
                raise InvalidAnswer(f"answers: no list of answers can be read: {error}") from error
        return [found for element in elements if (found := self._split_one(element)) is not None]

    def _split_one(self, element: bytes) -> tuple[str, str] | None:
        try:
            read = _decode_element(element)
            if self.output.kind == "text":
                return str(read.id), msgspec.json.decode(read.answer, type=str)
            return str(read.id), bytes(read.answer).decode()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


def _whole_elements(text: str) -> Iterator[bytes]:
    """The elements of `{"answers": [...` up to where it can no longer be read."""
    head = _HEAD.match(text)
    at = head.end() if head else len(text)
    while True:
        at = next((i for i in range(at, len(text)) if text[i] not in _BETWEEN), len(text))
        try:
            _, end = _scan(text, at)
        except (ValueError, RecursionError):
            return
        yield text[at:end].encode(errors="replace")
        at = end


def _packed(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"type": "string"} if schema is None else dict(schema)
    definitions = answer.pop("$defs", {})
    if _refers_to_root(answer) or _refers_to_root(definitions):
        name = max((*definitions, "Answer"), key=len) + "_"
        reference = f"#/$defs/{name}"
        definitions = _with_root(definitions, reference) | {name: _with_root(answer, reference)}
        answer = {"$ref": reference}
    element = _closed({"id": {"type": "string"}, "answer": answer})
    packed = _closed({"answers": {"type": "array", "items": element}})
    return {**packed, "$defs": definitions} if definitions else packed


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _refers_to_root(part: Any) -> bool:
    if isinstance(part, list):
        return any(map(_refers_to_root, part))
    if not isinstance(part, dict):
        return False
    return part.get("$ref") == ROOT or any(map(_refers_to_root, part.values()))


def _with_root(part: Any, reference: str) -> Any:
    """The part with another name for the root."""
    if isinstance(part, list):
        return [_with_root(each, reference) for each in part]
    if not isinstance(part, dict):
        return part
    if part.get("$ref") == ROOT:
        return {"$ref": reference}
    return {key: _with_root(each, reference) for key, each in part.items()}
