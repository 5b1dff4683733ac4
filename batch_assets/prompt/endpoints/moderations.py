"""Moderations (OpenAI API reference, "Create moderation")."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pyarrow as pa

from batch_assets.domain.outcome import Outcome
from batch_assets.prompt.answers import Body
from batch_assets.prompt.endpoints.embeddings import complaint_of_texts
from batch_assets.prompt.endpoints.endpoint import (
    Answer,
    Endpoint,
    json_text,
    refuse_output,
)
from batch_assets.prompt.endpoints.settings import Known, Reserved
from batch_assets.prompt.output import Output

SETTINGS: Known = {}

RESERVED_SETTINGS: Reserved = {
    "model": "it is declared as the inference's model",
    "input": "it comes from the prompt",
}

#: `several_inputs`: an item has a list of texts and gets a list of findings.
OWN_SETTINGS: Known = {"several_inputs": bool}

#: As the API spells them (API reference, "Moderation object").
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)

#: One finding. A category that the model does not know is null; one that is not known here stands
#: in the answer's text alone.
FINDING = pa.struct(
    [
        ("flagged", pa.bool_()),
        ("categories", pa.struct([(name, pa.bool_()) for name in CATEGORIES])),
        ("category_scores", pa.struct([(name, pa.float64()) for name in CATEGORIES])),
    ]
)


class _Finding(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool | None]
    category_scores: dict[str, float | None]


class _ModerationBody(Body):
    results: list[_Finding] | None = None


class ModerationsEndpoint(Endpoint):
    """Whether a text is flagged, and for what."""

    url = "/v1/moderations"
    prompt_field = "input"
    dialect = "text"
    known_settings = SETTINGS
    reserved_settings = RESERVED_SETTINGS
    own_settings = OWN_SETTINGS
    body_type = _ModerationBody
    answer_name = "results"

    def arrow_type_of(self, output: Output, settings: Mapping[str, Any]) -> pa.DataType:
        if output.kind != "text":
            refuse_output(self.url, output, "its answers are findings; leave the output away")
        self._several = settings.get("several_inputs", False)
        return pa.list_(FINDING) if self._several else FINDING

    def complaint(self, prompt: bytes) -> str | None:
        return complaint_of_texts(prompt, several=self._several)

    def has_answer(self, body: _ModerationBody) -> bool:
        return bool(body.results)

    def answer_in(self, body: _ModerationBody) -> Answer:
        assert body.results
        if not self._several and len(body.results) != 1:
            return Answer(Outcome.INVALID, f"there are {len(body.results)} findings for one text")
        found = [_value(finding) for finding in body.results]
        told: Any = body.results if self._several else body.results[0]
        return Answer(Outcome.OK, None, json_text(told), found if self._several else found[0])


def _value(finding: _Finding) -> dict[str, Any]:
    return {
        "flagged": finding.flagged,
        "categories": {name: finding.categories.get(name) for name in CATEGORIES},
        "category_scores": {name: finding.category_scores.get(name) for name in CATEGORIES},
    }
