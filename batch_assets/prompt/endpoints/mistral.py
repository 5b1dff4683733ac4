"""Mistral's chat completions and embeddings: near to OpenAI's, and not the same.

Names, types and values are those of mistralai 3.7 (`client/models/chatcompletionrequest.py`,
`embeddingrequest.py`); ranges that its types do not have are left to the provider. A contract test
holds both tables to it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from batch_assets.domain.errors import DeclarationError, about
from batch_assets.domain.outcome import Outcome
from batch_assets.prompt.answers import Body
from batch_assets.prompt.endpoints.chat import RESERVED_SETTINGS as CHAT_RESERVED
from batch_assets.prompt.endpoints.chat import ChatEndpoint
from batch_assets.prompt.endpoints.embeddings import EmbeddingsEndpoint
from batch_assets.prompt.endpoints.endpoint import Answer, judged_text
from batch_assets.prompt.endpoints.settings import (
    Count,
    Flag,
    Known,
    ReasoningEffort,
    Reserved,
    TopP,
)
from batch_assets.prompt.envelope import Envelope
from batch_assets.prompt.output import Output
from batch_assets.prompt.parts import Audio, File
from batch_assets.prompt.prompt import Prompt

#: A line has no method and no url: the job says them (`client/models/createbatchjobrequest.py`).
ENVELOPE = Envelope()

_Number = float | None
_Metadata = dict[str, Any] | None

CHAT_SETTINGS: Known = {
    "frequency_penalty": _Number,
    "guardrails": list[dict[str, Any]] | None,
    "logprobs": Flag,
    "max_tokens": Count,
    "metadata": _Metadata,
    "min_tokens": Annotated[int, Meta(ge=0)] | None,
    "presence_penalty": _Number,
    "prompt_cache_key": str | None,
    "prompt_mode": Literal["reasoning"] | None,
    "random_seed": int | None,
    "reasoning_effort": ReasoningEffort,
    "repetition_penalty": _Number,
    "safe_prompt": bool,
    "stop": str | list[str] | None,
    "temperature": Annotated[float, Meta(ge=0)] | None,
    "top_k": int | None,
    "top_logprobs": Annotated[int, Meta(ge=0)] | None,
    "top_p": TopP,
}

_OF_THE_PROMPT = "what it reports has no place in the results"

CHAT_RESERVED_SETTINGS: Reserved = {
    **{
        name: CHAT_RESERVED[name]
        for name in (
            "model",
            "messages",
            "response_format",
            "stream",
            "n",
            "service_tier",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "prediction",
        )
    },
    "prompt_logprobs": _OF_THE_PROMPT,
    "top_prompt_logprobs": _OF_THE_PROMPT,
}


class _Chunk(msgspec.Struct):
    """A part of an answer; what a reasoning model thinks is a chunk of its own, without text."""

    type: str | None = None
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_Chunk] | None = None

    @property
    def text(self) -> str | None:
        content = self.content
        if not isinstance(content, list):
            return content
        texts = [chunk.text for chunk in content if chunk.text is not None]
        return "".join(texts) if texts else None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: Any = None


class _ChatBody(Body):
    choices: list[_Choice] | None = None


_NO_MESSAGE = _Message()

#: Mistral's finish reasons that chat completions have another word for
#: (`client/models/chatcompletionchoice.py`): the context's end is an end for want of tokens, too.
_REASONS = {"model_length": "length"}


class MistralChatEndpoint(ChatEndpoint):
    """One answer in text per request; the output type is its `response_format`."""

    envelope: ClassVar[Envelope] = ENVELOPE
    known_settings = CHAT_SETTINGS
    reserved_settings = CHAT_RESERVED_SETTINGS
    aliases: ClassVar[Mapping[str, str]] = {
        "max_output_tokens": "max_tokens",
        "seed": "random_seed",
    }
    body_type = _ChatBody

    def __init__(
        self, *, model: str, prompt: Prompt, output: Output, settings: Mapping[str, Any]
    ) -> None:
        with about("prompt"):
            _check_parts(prompt)
        super().__init__(model=model, prompt=prompt, output=output, settings=settings)

    def answer_in(self, body: Any) -> Answer:
        assert body.choices
        choice = body.choices[0]
        reason = choice.finish_reason
        if reason == "error":
            return Answer(Outcome.INVALID, "the model stopped with an error", finish_reason=reason)
        return judged_text(
            (choice.message or _NO_MESSAGE).text,
            self.output,
            _REASONS.get(reason, reason),
            logprobs=choice.logprobs,
        )


def _check_parts(prompt: Prompt) -> None:
    """Raise DeclarationError for a part that Mistral's messages have in no form that we write."""
    messages = [prompt.user, *(example.user for example in prompt.examples)]
    for message in messages:
        for part in [] if isinstance(message, str | None) else message:
            if isinstance(part, File | Audio):
                raise DeclarationError(
                    f"{part.kind} parts are not written in Mistral's form: give texts and images"
                )


EMBEDDING_SETTINGS: Known = {
    "encoding_format": Literal["float", "base64"],
    "metadata": _Metadata,
    "output_dimension": Count,
}

EMBEDDING_RESERVED_SETTINGS: Reserved = {
    "model": "it is declared as the inference's model",
    "input": "it comes from the prompt",
    "output_dtype": "the results have 32-bit floats",
}


class MistralEmbeddingsEndpoint(EmbeddingsEndpoint):
    """A vector of 32-bit floats for each text."""

    envelope: ClassVar[Envelope] = ENVELOPE
    known_settings = EMBEDDING_SETTINGS
    reserved_settings = EMBEDDING_RESERVED_SETTINGS
    aliases: ClassVar[Mapping[str, str]] = {"dimensions": "output_dimension"}

    def arrow_type_of(self, output: Output, settings: Mapping[str, Any]) -> Any:
        """The length is declared: Mistral's models are not known here."""
        length = settings.get("output_dimension") or settings.get("vector_length")
        known = {**settings, "vector_length": length} if length else settings
        return super().arrow_type_of(output, known)
