"""Classification: an answer is one of some labels, or several of them."""

from typing import Any

import msgspec
import pyarrow as pa

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.output import InvalidAnswer, Output, provider_name
from batch_assets.prompt.strict_limits import check_limits


class _OneLabel(msgspec.Struct):
    label: str


class _SeveralLabels(msgspec.Struct):
    labels: list[str]


_decode_one = msgspec.json.Decoder(_OneLabel).decode
_decode_several = msgspec.json.Decoder(_SeveralLabels).decode


class Labels(Output):
    """One of the labels for each item, as plain text, or with `several` a list of them.

    Several labels come in the order of the answer, each once; none at all is an answer.
    """

    kind = "json_schema"

    def __init__(self, *labels: str, several: bool = False, name: str = "label") -> None:
        if not labels or not all(isinstance(label, str) and label for label in labels):
            raise DeclarationError(
                f"labels {list(labels)} must be texts, and at least one: Labels('a', 'b')"
            )
        if repeated := {label for label in labels if labels.count(label) > 1}:
            raise DeclarationError(f"labels {sorted(repeated)} are given twice; give each once")
        self.labels = labels
        self.several = several
        self.name = provider_name(name)
        one = {"type": "string", "enum": list(labels)}
        field = "labels" if several else "label"
        self.schema: dict[str, Any] = {
            "type": "object",
            "properties": {field: {"type": "array", "items": one} if several else one},
            "required": [field],
            "additionalProperties": False,
        }
        check_limits(self.schema, name)
        self.arrow_type = pa.list_(pa.string()) if several else pa.string()
        self._known = frozenset(labels)

    def parse(self, text: str) -> str | list[str]:
        """The label, or the labels. Raises InvalidAnswer for one that was not declared."""
        try:
            found = _decode_several(text).labels if self.several else [_decode_one(text).label]
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise InvalidAnswer(f"answer: {error}") from error
        if not self._known.issuperset(found):
            raise InvalidAnswer(f"{'labels' if self.several else 'label'}: not a declared label")
        return list(dict.fromkeys(found)) if self.several else found[0]
