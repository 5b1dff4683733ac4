"""Image generations (OpenAI API reference, "Create image"), as raw as they come.

An image is some megabytes of base64 in its line; nothing here holds more than one line's.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import pyarrow as pa
from msgspec import Meta

from batch_assets.domain.outcome import Outcome
from batch_assets.prompt.answers import Body
from batch_assets.prompt.endpoints.endpoint import (
    Answer,
    Endpoint,
    complaint_of_several,
    json_text,
    refuse_output,
)
from batch_assets.prompt.endpoints.settings import Known, Reserved, SafetyIdentifier, User
from batch_assets.prompt.output import Output

_Level = Literal["low", "medium", "high"]
_Quality = Literal["low", "medium", "high", "xhigh", "max", "auto", "standard", "hd"]

SETTINGS: Known = {
    "background": Literal["transparent", "opaque", "auto"] | None,
    "complexity": _Level | None,
    "frame_count": Annotated[int, Meta(ge=2, le=16)] | None,
    "frame_duration_ms": Annotated[int, Meta(ge=1, le=655_350)] | None,
    "moderation": Literal["low", "auto"] | None,
    "n": Annotated[int, Meta(ge=1, le=10)] | None,
    "output_compression": Annotated[int, Meta(ge=0, le=100)] | None,
    "output_format": Literal["png", "webp", "jpeg", "gif", "svg"] | None,
    "quality": _Quality | None,
    "response_format": Literal["url", "b64_json"] | None,
    "safety_identifier": SafetyIdentifier,
    "size": Annotated[str, Meta(pattern=r"^(auto|[1-9][0-9]*x[1-9][0-9]*)$")] | None,
    "style": Literal["vivid", "natural"] | None,
    "svg": dict[str, Any] | None,
    "user": User,
}

RESERVED_SETTINGS: Reserved = {
    "model": "it is declared as the inference's model",
    "prompt": "it comes from the prompt",
    "partial_images": "a batch does not stream",
    "stream": "a batch does not stream",
}


class _Image(msgspec.Struct, omit_defaults=True):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _ImagesBody(Body):
    data: list[_Image] | None = None


class ImagesEndpoint(Endpoint):
    """Images for a text. The output is the JSON text of the answer's `data`."""

    answer_media = frozenset({"image"})
    url = "/v1/images/generations"
    prompt_field = "prompt"
    dialect = "text"
    known_settings = SETTINGS
    reserved_settings = RESERVED_SETTINGS
    body_type = _ImagesBody
    answer_name = "data"

    def arrow_type_of(self, output: Output, settings: Mapping[str, Any]) -> pa.DataType:
        if output.kind != "text":
            refuse_output(self.url, output, "its answers are images; leave the output away")
        return pa.large_string()

    def complaint(self, prompt: bytes) -> str | None:
        return complaint_of_several(prompt)

    def has_answer(self, body: _ImagesBody) -> bool:
        return bool(body.data)

    def answer_in(self, body: _ImagesBody) -> Answer:
        assert body.data
        if not all(image.b64_json or image.url for image in body.data):
            return Answer(Outcome.INVALID, "an image has neither bytes nor a url")
        return Answer(Outcome.OK, output=json_text(body.data))
