"""What may be set for Gemini's generateContent, named as in the SDK's `GenerateContentConfig`.

The SDK's names are flat and in snake case; a body has most of them under `generationConfig`, all in
camel case. Ranges are those of the API reference ("GenerationConfig") and of google-genai 3.4,
`types.py`. A contract test holds the tables to the SDK's types.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from batch_assets.prompt.endpoints.settings import Count, Flag, Known, Reserved, Temperature, TopP

_NO_CALLS = "an answer is of the output type, and nobody is there to carry out a call"
_OUTPUT = "it comes from the output type"
_TEXT = "an answer is text"
_OF_THE_SDK = "it is the SDK's own and no part of a request"
_ONE_MODEL = "it chooses the model, which is declared as the inference's"
_WHOLE = "an answer that is not whole counts as truncated"

_Words = Annotated[str, Meta(min_length=1)]
_Penalty = Annotated[float, Meta(ge=-2, le=2)] | None


class _Thinking(msgspec.Struct, forbid_unknown_fields=True):
    """The SDK's `ThinkingConfig`; a budget of 0 is no thinking, of -1 the model's own choice."""

    include_thoughts: Flag = None
    thinking_budget: Annotated[int, Meta(ge=-1)] | None = None
    thinking_level: Literal["MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"] | None = None


class _Safety(msgspec.Struct, forbid_unknown_fields=True):
    """The SDK's `SafetySetting`; `method` is Vertex AI's."""

    category: Literal[
        "HARM_CATEGORY_HARASSMENT",
        "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT",
        "HARM_CATEGORY_CIVIC_INTEGRITY",
        "HARM_CATEGORY_JAILBREAK",
        "HARM_CATEGORY_IMAGE_HATE",
        "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT",
        "HARM_CATEGORY_IMAGE_HARASSMENT",
        "HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT",
    ]
    threshold: Literal[
        "BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"
    ]
    method: Literal["SEVERITY", "PROBABILITY"] | None = None


class _ModelArmor(msgspec.Struct, forbid_unknown_fields=True):
    """The SDK's `ModelArmorConfig`, which Vertex AI takes."""

    prompt_template_name: str | None = None
    response_template_name: str | None = None


#: Those that stand under `generationConfig`.
GENERATION: Known = {
    "audio_timestamp": Flag,
    "enable_enhanced_civic_answers": Flag,
    "frequency_penalty": _Penalty,
    "logprobs": Annotated[int, Meta(ge=0, le=20)] | None,
    "max_output_tokens": Count,
    "media_resolution": Literal[
        "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"
    ]
    | None,
    "presence_penalty": _Penalty,
    "response_logprobs": Flag,
    "seed": Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None,
    "stop_sequences": Annotated[list[_Words], Meta(min_length=1, max_length=5)] | None,
    "temperature": Temperature,
    "thinking_config": _Thinking | None,
    "top_k": Annotated[float, Meta(ge=1)] | None,
    "top_p": TopP,
}

SETTINGS: Known = {
    **GENERATION,
    "cached_content": _Words | None,
    "model_armor_config": _ModelArmor | None,
    "safety_settings": list[_Safety] | None,
    "store": Flag,
}

RESERVED_SETTINGS: Reserved = {
    "audio_transcription_config": "an inference asks by its prompt; put it into extra_body for a "
    "model that only transcribes",
    "automatic_continuation": _WHOLE,
    "automatic_function_calling": _NO_CALLS,
    "candidate_count": "an item has one answer",
    "continuation_token": _WHOLE,
    "generation_output_config": "an answer stands in the batch's own output",
    "http_options": _OF_THE_SDK,
    "image_config": _TEXT,
    "labels": "at Vertex AI they say whose a request is",
    "model_selection_config": _ONE_MODEL,
    "response_json_schema": _OUTPUT,
    "response_mime_type": _OUTPUT,
    "response_modalities": _TEXT,
    "response_schema": _OUTPUT,
    "routing_config": _ONE_MODEL,
    "service_tier": "a batch is a tier of its own",
    "should_return_http_response": _OF_THE_SDK,
    "speech_config": _TEXT,
    "system_instruction": "it is the prompt's system message",
    "tool_config": _NO_CALLS,
    "tools": _NO_CALLS,
}

_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")


def camel_case(name: str) -> str:
    """The name as the API has it."""
    head, *others = name.split("_")
    return head + "".join(other.capitalize() for other in others)


def snake_case(name: str) -> str:
    """The name as the SDK has it."""
    return _CAPITAL.sub(r"_\1", name).lower()


def as_sent(value: Any) -> Any:
    """A setting's value with the API's names; those that are null are left out."""
    if isinstance(value, Mapping):
        return {camel_case(name): as_sent(v) for name, v in value.items() if v is not None}
    return [as_sent(each) for each in value] if isinstance(value, list) else value


def as_declared(value: Any) -> Any:
    """The same with the SDK's names."""
    if isinstance(value, Mapping):
        return {snake_case(name): as_declared(each) for name, each in value.items()}
    return [as_declared(each) for each in value] if isinstance(value, list) else value
