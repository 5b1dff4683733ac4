"""The moderations endpoint (OpenAI API reference, "Create moderation"), with a rule of keywords."""

import re
from typing import Any

from batch_assets.sandbox.errors import wrong_type
from batch_assets.sandbox.rules import Refusal, empty_array, texts_refusal, unknown_parameter
from batch_assets.sandbox.tokens import input_texts

PARAMETERS = frozenset({"input", "model"})
DEFAULT_MODEL = "omni-moderation-latest"
WORD = re.compile(r"[a-z]+")
LOW, HIGH = 0.0001, 0.98

KEYWORDS = {
    "harassment": "idiot moron loser",
    "harassment/threatening": "beware",
    "hate": "subhuman vermin",
    "hate/threatening": "exterminate",
    "illicit": "shoplift launder smuggle",
    "illicit/violent": "bomb ambush",
    "self-harm": "suicide",
    "self-harm/instructions": "noose",
    "self-harm/intent": "goodbye",
    "sexual": "porn erotic",
    "sexual/minors": "underage",
    "violence": "kill murder stab shoot bomb",
    "violence/graphic": "gore entrails",
}
OF_IMAGES_TOO = ("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence",
                 "violence/graphic")  # fmt: skip


def moderations_refusal(body: dict[str, Any]) -> Refusal:
    """The error body of the first rule that `body` breaks."""
    return unknown_parameter(body, PARAMETERS) or _input_refusal(body.get("input"))


def moderation(body: dict[str, Any], reply_id: str) -> dict[str, Any]:
    return {
        "id": f"modr-{reply_id}",
        "model": body.get("model", DEFAULT_MODEL),
        "results": [_finding(text) for text in _texts(body["input"])],
    }


def _texts(value: Any) -> list[str]:
    """Each text is an input; the parts of several kinds are one together."""
    if isinstance(value, list) and isinstance(value[0], dict):
        return [" ".join(str(part.get("text", "")) for part in value)]
    return input_texts(value)


def _finding(text: str) -> dict[str, Any]:
    words = set(WORD.findall(text.lower()))
    found = {name: not words.isdisjoint(keywords.split()) for name, keywords in KEYWORDS.items()}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {name: HIGH if flagged else LOW for name, flagged in found.items()},
        "category_applied_input_types": {
            name: ["text", "image"] if name in OF_IMAGES_TOO else ["text"] for name in found
        },
    }


def _input_refusal(value: Any) -> Refusal:
    if value == []:
        return empty_array("input")
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        for index, part in enumerate(value):
            if part.get("type") not in ("text", "image_url"):
                return wrong_type(f"input[{index}].type", "'text' or 'image_url'", part.get("type"))
        return None
    return texts_refusal(value, "input")
