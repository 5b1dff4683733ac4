"""Completions, the older endpoint of one text in and one text out (API reference, Completions)."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import pyarrow as pa
from msgspec import Meta

from batch_assets.prompt.answers import Body
from batch_assets.prompt.endpoints.endpoint import (
    Answer,
    Endpoint,
    complaint_of_several,
    judged_text,
    refuse_output,
)
from batch_assets.prompt.endpoints.settings import (
    Flag,
    Known,
    LogitBias,
    Penalty,
    Reserved,
    Seed,
    Stop,
    Temperature,
    TopP,
    User,
)
from batch_assets.prompt.output import Output

SETTINGS: Known = {
    "best_of": Annotated[int, Meta(ge=1, le=20)] | None,
    "echo": Flag,
    "frequency_penalty": Penalty,
    "logit_bias": LogitBias,
    "logprobs": Annotated[int, Meta(ge=0, le=5)] | None,
    "max_tokens": Annotated[int, Meta(ge=1)] | None,
    "presence_penalty": Penalty,
    "seed": Seed,
    "stop": Stop,
    "suffix": str | None,
    "temperature": Temperature,
    "top_p": TopP,
    "user": User,
}

RESERVED_SETTINGS: Reserved = {
    "model": "it is declared as the inference's model",
    "prompt": "it comes from the prompt",
    "stream": "a batch does not stream",
    "stream_options": "a batch does not stream",
    "n": "an item has one answer",
}


class _Choice(msgspec.Struct):
    text: str | None = None
    finish_reason: str | None = None
    logprobs: Any = None


class _CompletionBody(Body):
    choices: list[_Choice] | None = None


class CompletionsEndpoint(Endpoint):
    """The text that a model goes on with. It cannot be held to a schema."""

    url = "/v1/completions"
    prompt_field = "prompt"
    dialect = "text"
    known_settings = SETTINGS
    reserved_settings = RESERVED_SETTINGS
    body_type = _CompletionBody
    answer_name = "choices"

    def arrow_type_of(self, output: Output, settings: Mapping[str, Any]) -> pa.DataType:
        if output.kind != "text":
            refuse_output(self.url, output, "declare text, or use chat or responses")
        return output.arrow_type

    def complaint(self, prompt: bytes) -> str | None:
        return complaint_of_several(prompt)

    def has_answer(self, body: _CompletionBody) -> bool:
        return bool(body.choices)

    def answer_in(self, body: _CompletionBody) -> Answer:
        assert body.choices
        choice = body.choices[0]
        return judged_text(choice.text, self.output, choice.finish_reason, logprobs=choice.logprobs)
