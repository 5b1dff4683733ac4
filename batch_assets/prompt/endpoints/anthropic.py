"""Anthropic's Messages, in a batch (API reference, "Create a Message Batch"; anthropic 2.12,
`types/message_create_params.py`).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypedDict

import msgspec
import pyarrow as pa
from msgspec import Meta

from batch_assets.domain.errors import DeclarationError, about
from batch_assets.prompt.answers import Counts, Shape
from batch_assets.prompt.anthropic_schema import anthropic_schema
from batch_assets.prompt.endpoints.anthropic_answers import (
    SHAPE,
    MessageBody,
    answer_text,
    counts_of_message,
    stopped_early,
)
from batch_assets.prompt.endpoints.endpoint import (
    Answer,
    Endpoint,
    json_text,
    judged_text,
    refuse_output,
)
from batch_assets.prompt.endpoints.settings import Known, Reserved
from batch_assets.prompt.envelope import Envelope
from batch_assets.prompt.messages import Messages
from batch_assets.prompt.output import Output
from batch_assets.prompt.prompt import Prompt

#: The API takes no request without `max_tokens`; this is what one that says nothing may write.
DEFAULT_MAX_TOKENS = 4_096

_Some = Annotated[str, Meta(min_length=1)]


class _CacheControl(TypedDict, total=False):
    """A breakpoint of the prompt cache (the SDK's `CacheControlEphemeralParam`)."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"]


class _Metadata(TypedDict, total=False):
    user_id: Annotated[str, Meta(max_length=256)] | None


class _OutputConfig(msgspec.Struct, forbid_unknown_fields=True):
    """What of `output_config` is a user's to give; its format comes from the output type."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None


class _Thinks(msgspec.Struct, tag_field="type", tag="enabled", forbid_unknown_fields=True):
    budget_tokens: Annotated[int, Meta(ge=1024)]
    display: Literal["summarized", "omitted"] | None = None


class _ThinksAsNeeded(msgspec.Struct, tag_field="type", tag="adaptive", forbid_unknown_fields=True):
    display: Literal["summarized", "omitted"] | None = None


class _ThinksNot(msgspec.Struct, tag_field="type", tag="disabled", forbid_unknown_fields=True):
    pass


class _SystemBlock(msgspec.Struct, tag_field="type", tag="text"):
    text: _Some


#: A contract test holds both tables to the official SDK's types.
SETTINGS: Known = {
    "cache_control": _CacheControl | None,
    "inference_geo": str | None,
    # In a batch not 0, which only fills the cache (guide "Batch processing", "Limitations").
    "max_tokens": Annotated[int, Meta(ge=1)],
    "metadata": _Metadata,
    "output_config": _OutputConfig,
    "stop_sequences": list[_Some],
    "thinking": _Thinks | _ThinksAsNeeded | _ThinksNot,
    "user_profile_id": _Some,
}

_NO_CALLS = "an answer is of the output type, and nobody is there to carry out a call"
_GONE = (
    "the Messages API knows it no more (anthropic 2.12): leave it out; where your model or server "
    "still takes it, give it in extra_body"
)

RESERVED_SETTINGS: Reserved = {
    "model": "it is declared as the inference's model",
    "messages": "they come from the prompt",
    "system": "it comes from the prompt",
    "stream": "a batch does not stream",
    "tools": _NO_CALLS,
    "tool_choice": _NO_CALLS,
    "container": "it belongs to tools that run code",
    "diagnostics": "it compares a request with one before, and each item is asked for itself",
    "service_tier": "a batch is a tier of its own",
    "speed": "a batch has no fast mode",
    "workspace_id": "it is a header of the whole batch: declare it in the resource",
}

#: What the API had, by names that people still try.
GONE: Reserved = dict.fromkeys(("temperature", "top_p", "top_k"), _GONE)

OWN_SETTINGS: Known = {
    # Marks what stands before the item, system message and examples, for the prompt cache; true is
    # the API's own five minutes.
    "cache_prefix": bool | Literal["5m", "1h"],
    # How an output type is asked for: as the answer's format, or as the input of a tool that the
    # model has to call, which takes schemas that the format does not.
    "structured_output": Literal["format", "tool"],
}

#: The API refuses a text block that is empty or has nothing but spaces.
_EMPTY_TEXT = re.compile(rb'"(?:content|text)":"(?: |\\[nrt])*"')


class MessagesEndpoint(Endpoint):
    """One message in text per request; the output type is its `output_config.format`, or a tool."""

    url = "/v1/messages"
    envelope = Envelope(id="custom_id", body="params")
    prompt_field = "messages"
    dialect = "anthropic"
    known_settings = SETTINGS
    reserved_settings: ClassVar[Reserved] = {**RESERVED_SETTINGS, **GONE}
    aliases: ClassVar[Mapping[str, str]] = {"max_output_tokens": "max_tokens"}
    own_settings = OWN_SETTINGS
    prompt_fields: ClassVar[Known] = {
        "system": _Some | Annotated[list[_SystemBlock], Meta(min_length=1)]
    }
    is_packable = True
    body_type = MessageBody
    answer_name = "content"

    def __init__(
        self, *, model: str, prompt: Prompt, output: Output, settings: Mapping[str, Any]
    ) -> None:
        #: As they were given: their values are checked before they are used.
        self._cache = settings.get("cache_prefix", False)
        self._by_tool = settings.get("structured_output") == "tool"
        if not {"max_tokens", *self.aliases} & settings.keys():
            settings = {**settings, "max_tokens": DEFAULT_MAX_TOKENS}
        super().__init__(model=model, prompt=prompt, output=output, settings=settings)

    def arrow_type_of(self, output: Output, settings: Mapping[str, Any]) -> pa.DataType:
        if output.kind == "json_object":
            refuse_output(
                self.url,
                output,
                "Anthropic has no JSON mode; declare the type of the answer, or leave the output "
                "away and read the text yourself",
            )
        with about("settings"):
            self._check_thinking(output, settings)
        return output.arrow_type

    def compiled(self, prompt: Prompt) -> Messages:
        mark = b""
        if self._cache:
            control = {"type": "ephemeral"}
            if isinstance(self._cache, str):
                control["ttl"] = self._cache
            mark = b',"cache_control":' + json_text(control).encode()
        return prompt.compiled(self.dialect, mark=mark)

    def format_of(self, output: Output, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        config = dict(settings.get("output_config", {}))
        if output.schema is None:
            return {"output_config": config} if config else {}
        if self._by_tool:
            tool = {
                "name": output.name,
                "description": "Takes the answer.",
                "input_schema": output.schema,
            }
            choice = {"type": "tool", "name": output.name, "disable_parallel_tool_use": True}
            form: dict[str, Any] = {"tools": [tool], "tool_choice": choice}
            return form | ({"output_config": config} if config else {})
        schema = anthropic_schema(output.schema, output.name)
        config["format"] = {"type": "json_schema", "schema": schema}
        return {"output_config": config}

    def complaint(self, prompt: bytes) -> str | None:
        if _EMPTY_TEXT.search(prompt) is None:
            return None
        return (
            "a text of the prompt is empty or has nothing but spaces, which Anthropic refuses: "
            "leave out the row, or fill it in"
        )

    def line_shape(self) -> Shape:
        return SHAPE

    def has_answer(self, body: MessageBody) -> bool:
        return bool(body.content) or body.stop_reason is not None

    def answer_in(self, body: MessageBody) -> Answer:
        text = answer_text(body)
        early = stopped_early(body)
        if early is None:
            return judged_text(text, self.output, body.stop_reason)
        outcome, message = early
        return Answer(outcome, message, text, finish_reason=body.stop_reason)

    def counts_in(self, body: MessageBody, *, answered: bool) -> Counts:
        return counts_of_message(body, answered=answered)

    def _check_thinking(self, output: Output, settings: Mapping[str, Any]) -> None:
        """Raise DeclarationError for settings that the API refuses together."""
        thinking = settings.get("thinking", {})
        if thinking.get("budget_tokens", 0) >= settings["max_tokens"]:
            raise DeclarationError(
                f"thinking may take {thinking['budget_tokens']:,} tokens and the whole answer "
                f"{settings['max_tokens']:,}: give max_tokens more than budget_tokens"
            )
        forced = self._by_tool and output.schema is not None
        if forced and thinking.get("type", "disabled") != "disabled":
            raise DeclarationError(
                "a model that is made to call a tool cannot think before: leave thinking out, or "
                "structured_output: tool"
            )
