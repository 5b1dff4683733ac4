"""Responses (OpenAI API reference, "Create a model response")."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pyarrow as pa
from msgspec import Meta

from batch_assets.prompt.answers import Body
from batch_assets.prompt.endpoints.endpoint import Answer, Endpoint, judged_text
from batch_assets.prompt.endpoints.settings import (
    PROMPT_CACHE,
    Flag,
    Known,
    Metadata,
    ReasoningEffort,
    Reserved,
    SafetyIdentifier,
    Temperature,
    TopLogprobs,
    TopP,
    User,
    Verbosity,
)
from batch_assets.prompt.output import Output

_NO_CALLS = "an answer is of the output type, and nobody is there to carry out a call"
_NO_STATE = "each item is asked for itself"


class _Reasoning(TypedDict, total=False):
    """How a model is to reason (the SDK's `Reasoning`)."""

    context: Literal["auto", "current_turn", "all_turns"] | None
    effort: ReasoningEffort
    generate_summary: Literal["auto", "concise", "detailed"] | None
    mode: str
    summary: Literal["auto", "concise", "detailed"] | None


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    """What of `text` is a user's to give; its format comes from the output type."""

    verbosity: Verbosity = None


#: Other values of `include` belong to tools.
_Include = Literal["message.output_text.logprobs", "reasoning.encrypted_content"]

SETTINGS: Known = {
    "include": list[_Include] | None,
    "instructions": str | None,
    # OpenAI refuses less ("Expected a value >= 16"), which the reference does not say.
    "max_output_tokens": Annotated[int, Meta(ge=16)] | None,
    "metadata": Metadata,
    "reasoning": _Reasoning | None,
    "safety_identifier": SafetyIdentifier,
    "store": Flag,
    "temperature": Temperature,
    "text": _Text,
    "top_logprobs": TopLogprobs,
    "top_p": TopP,
    "truncation": Literal["auto", "disabled"] | None,
    "user": User,
    **PROMPT_CACHE,
}

RESERVED_SETTINGS: Reserved = {
    "model": "it is declared as the inference's model",
    "input": "it comes from the prompt",
    "prompt": "it comes from the prompt that is declared here, and not from a stored one",
    "stream": "a batch does not stream",
    "stream_options": "a batch does not stream",
    "service_tier": "a batch is a tier of its own",
    "background": "a batch is in the background already",
    "background_options": "a batch is in the background already",
    "conversation": _NO_STATE,
    "context_management": _NO_STATE,
    "previous_response_id": _NO_STATE,
    "tools": _NO_CALLS,
    "tool_choice": _NO_CALLS,
    "parallel_tool_calls": _NO_CALLS,
    "max_tool_calls": _NO_CALLS,
    "image": "it says what tools do with images",
    "access_programs": "it belongs to the account; give it in extra_body if yours has one",
    "moderation": "what it finds would have no place in the results",
}


class _Part(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    logprobs: Any = None


class _Item(msgspec.Struct):
    type: str | None = None
    content: list[_Part] | str | None = None
    phase: str | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _ResponseBody(Body):
    status: str | None = None
    output: list[_Item] | None = None
    incomplete_details: _Incomplete | None = None


#: What is said of a response that came to its end; compatible servers say nothing.
_WHOLE = ("completed", None)


class ResponsesEndpoint(Endpoint):
    """One answer in text per request; the output type is its `text.format`."""

    url = "/v1/responses"
    prompt_field = "input"
    dialect = "responses"
    known_settings = SETTINGS
    reserved_settings = RESERVED_SETTINGS
    is_packable = True
    body_type = _ResponseBody
    answer_name = "output"

    def arrow_type_of(self, output: Output, settings: Mapping[str, Any]) -> pa.DataType:
        return output.arrow_type

    def format_of(self, output: Output, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        text = dict(settings.get("text", {}))
        match output.kind:
            case "json_object":
                text["format"] = {"type": "json_object"}
            case "json_schema":
                schema = {"name": output.name, "strict": True, "schema": output.schema}
                text["format"] = {"type": "json_schema", **schema}
        return {"text": text} if text else {}

    def says_status(self, body: _ResponseBody) -> bool:
        return body.status == "failed"

    def has_answer(self, body: _ResponseBody) -> bool:
        return bool(body.output) or body.status == "incomplete"

    def answer_in(self, body: _ResponseBody) -> Answer:
        text: str | None = None
        refusal: str | None = None
        logprobs: list[Any] = []
        for part in _message_parts(body):
            if part.text is not None:
                text = part.text if text is None else text + part.text
            refusal = refusal or part.refusal
            if isinstance(part.logprobs, list):
                logprobs += part.logprobs
        incomplete = body.incomplete_details or _Incomplete()
        finish_reason = None
        if incomplete.reason == "content_filter":
            finish_reason = incomplete.reason
        elif incomplete.reason or body.status not in _WHOLE:
            finish_reason = "length"
        answer = judged_text(text, self.output, finish_reason, refusal, logprobs)
        return answer._replace(finish_reason=incomplete.reason or body.status)


def _message_parts(body: _ResponseBody) -> Iterator[_Part]:
    """The parts of the answer itself: neither reasoning, nor what is said on the way to it."""
    for item in body.output or ():
        if item.type not in ("message", None) or item.phase == "commentary":
            continue
        if isinstance(item.content, str):
            yield _Part(text=item.content)
        else:
            yield from item.content or ()
