"""Chat completions (OpenAI API reference, "Create chat completion")."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import pyarrow as pa

from batch_assets.prompt.answers import Body
from batch_assets.prompt.endpoints.endpoint import Answer, Endpoint, judged_text
from batch_assets.prompt.endpoints.settings import (
    PROMPT_CACHE,
    Count,
    Flag,
    Known,
    LogitBias,
    Metadata,
    Penalty,
    ReasoningEffort,
    Reserved,
    SafetyIdentifier,
    Seed,
    Stop,
    Temperature,
    TopLogprobs,
    TopP,
    User,
    Verbosity,
)
from batch_assets.prompt.output import Output

_NO_CALLS = "an answer is of the output type, and nobody is there to carry out a call"

#: A contract test holds both tables to the official SDK's types.
SETTINGS: Known = {
    "frequency_penalty": Penalty,
    "logit_bias": LogitBias,
    "logprobs": Flag,
    "max_completion_tokens": Count,
    "max_tokens": Count,
    "metadata": Metadata,
    "presence_penalty": Penalty,
    "reasoning_effort": ReasoningEffort,
    "safety_identifier": SafetyIdentifier,
    "seed": Seed,
    "stop": Stop,
    "store": Flag,
    "temperature": Temperature,
    "top_logprobs": TopLogprobs,
    "top_p": TopP,
    "user": User,
    "verbosity": Verbosity,
    **PROMPT_CACHE,
}

RESERVED_SETTINGS: Reserved = {
    "model": "it is declared as the inference's model",
    "messages": "they come from the prompt",
    "response_format": "it comes from the output type",
    "stream": "a batch does not stream",
    "stream_options": "a batch does not stream",
    "n": "an item has one answer",
    "service_tier": "a batch is a tier of its own",
    "audio": "an answer is text",
    "modalities": "an answer is text",
    "functions": _NO_CALLS,
    "function_call": _NO_CALLS,
    "tools": _NO_CALLS,
    "tool_choice": _NO_CALLS,
    "parallel_tool_calls": _NO_CALLS,
    "prediction": "every item would be given the same one",
    "web_search_options": "a batch does not search the web",
    "moderation": "what it finds would have no place in the results",
}


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: Any = None


class _ChatBody(Body):
    choices: list[_Choice] | None = None


_NO_MESSAGE = _Message()


class ChatEndpoint(Endpoint):
    """One answer in text per request; the output type is its `response_format`."""

    url = "/v1/chat/completions"
    prompt_field = "messages"
    dialect = "chat"
    known_settings = SETTINGS
    reserved_settings = RESERVED_SETTINGS
    aliases: ClassVar[Mapping[str, str]] = {"max_output_tokens": "max_completion_tokens"}
    is_packable = True
    body_type: ClassVar[type[Body]] = _ChatBody
    answer_name = "choices"

    def arrow_type_of(self, output: Output, settings: Mapping[str, Any]) -> pa.DataType:
        return output.arrow_type

    def format_of(self, output: Output, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        match output.kind:
            case "text":
                return {}
            case "json_object":
                return {"response_format": {"type": "json_object"}}
            case "json_schema":
                schema = {"name": output.name, "strict": True, "schema": output.schema}
                return {"response_format": {"type": "json_schema", "json_schema": schema}}

    def has_answer(self, body: _ChatBody) -> bool:
        return bool(body.choices)

    def answer_in(self, body: _ChatBody) -> Answer:
        assert body.choices
        choice = body.choices[0]
        message = choice.message or _NO_MESSAGE
        return judged_text(
            message.content, self.output, choice.finish_reason, message.refusal, choice.logprobs
        )
