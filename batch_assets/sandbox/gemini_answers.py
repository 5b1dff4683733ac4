"""Answers to generateContent requests (Gemini API reference, GenerateContentResponse)."""

from collections.abc import Collection, Mapping
from typing import Any

from batch_assets.sandbox.errors import error_body
from batch_assets.sandbox.response_schema import response_schema
from batch_assets.sandbox.rules import Refusal, integer_refusal, number_refusal
from batch_assets.sandbox.texts import cut, said_in_format
from batch_assets.sandbox.tokens import TOKENS_PER_MESSAGE, text_tokens

#: The name under which the engine has the requests; it stands in no URL.
GENERATE_CONTENT = "gemini:generateContent"

#: Fields of GenerateContentRequest and of GenerationConfig (API reference; google-genai 3.4,
#: `batches.py` and `models.py`).
FIELDS = frozenset({
    "cachedContent", "contents", "continuationToken", "generationConfig", "labels", "model",
    "modelArmorConfig", "safetySettings", "serviceTier", "store", "systemInstruction", "toolConfig",
    "tools",
})  # fmt: skip
CONFIG_FIELDS = frozenset({
    "audioTimestamp", "audioTranscriptionConfig", "candidateCount", "enableEnhancedCivicAnswers",
    "frequencyPenalty", "imageConfig", "logprobs", "maxOutputTokens", "mediaResolution",
    "presencePenalty", "responseJsonSchema", "responseLogprobs", "responseMimeType",
    "responseModalities", "responseSchema", "routingConfig", "seed", "speechConfig",
    "stopSequences", "temperature", "thinkingConfig", "topK", "topP",
})  # fmt: skip
JSON = "application/json"
MIME_TYPES = ("text/plain", JSON, "text/x.enum")
ROLES = ("user", "model")

#: What a model that thinks takes for it here.
THOUGHT = "The text names one thing, so it is enough to say which."

#: Gemini's words for why an answer ended, by chat's.
FINISH_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def generate_content_refusal(body: dict[str, Any]) -> Refusal:
    """The error body of the first rule that `body` breaks."""
    config = body.get("generationConfig") or {}
    return (
        _unknown_field(body, FIELDS, "request")
        or _contents_refusal(body.get("contents"))
        or _unknown_field(config, CONFIG_FIELDS, "request.generation_config")
        or integer_refusal(config, "maxOutputTokens")
        or number_refusal(config, "temperature", low=0, high=2)
        or number_refusal(config, "topP", low=0, high=1)
        or _format_refusal(config)
    )


def content_tokens(body: Mapping[str, Any]) -> int:
    contents = body.get("contents")
    system = body.get("systemInstruction")
    all_of_them = [*(contents if isinstance(contents, list) else ()), system]
    return sum(
        text_tokens(_text_of(content)) + TOKENS_PER_MESSAGE
        for content in all_of_them
        if isinstance(content, Mapping)
    )


def generated_content(body: dict[str, Any], reply_id: str) -> dict[str, Any]:
    config = body.get("generationConfig") or {}
    asked = [content for content in body["contents"] if content.get("role", "user") == "user"]
    text = _text_of((asked or body["contents"])[-1])
    content, is_cut = cut(_content(text, config), config.get("maxOutputTokens"))
    thinking = config.get("thinkingConfig") or {}
    thinks = bool(thinking) and thinking.get("thinkingBudget") != 0
    parts: list[dict[str, Any]] = [{"text": content}]
    if thinking.get("includeThoughts"):
        parts.insert(0, {"text": THOUGHT, "thought": True})
    counted = {
        "promptTokenCount": content_tokens(body),
        "candidatesTokenCount": text_tokens(content),
    }
    if thinks:
        counted["thoughtsTokenCount"] = text_tokens(THOUGHT)
    return {
        "candidates": [
            {
                "content": {"parts": parts, "role": "model"},
                "finishReason": "MAX_TOKENS" if is_cut else "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            **counted,
            "totalTokenCount": sum(counted.values()),
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": counted["promptTokenCount"]}
            ],
        },
        "modelVersion": body["model"].removeprefix("models/"),
        "responseId": reply_id,
    }


def said_by(answer: Mapping[str, Any]) -> str:
    """What the model said, without its thoughts."""
    content = answer["candidates"][0].get("content") or {}
    parts = [part["text"] for part in content.get("parts", ()) if not part.get("thought")]
    return "".join(parts)


def saying(
    answer: dict[str, Any], text: str | None, finish_reason: str, refusal: str | None
) -> dict[str, Any]:
    """The answer had the model said something else; a refusal has no text."""
    reason = FINISH_REASONS.get(finish_reason, finish_reason.upper())
    candidate: dict[str, Any] = {"finishReason": reason, "index": 0}
    if refusal is not None:
        candidate |= {"finishReason": "PROHIBITED_CONTENT", "finishMessage": refusal}
    elif text is not None:
        candidate["content"] = {"parts": [{"text": text}], "role": "model"}
    return answer | {"candidates": [candidate]}


def _content(text: str, config: Mapping[str, Any]) -> str:
    if config.get("responseMimeType") != JSON:
        return said_in_format(text, "text", None)
    schema = _schema_of(config)
    kind = "json_object" if schema is None else "json_schema"
    return said_in_format(text, kind, schema and {"schema": schema})


def _schema_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    schema: dict[str, Any] | None = config.get("responseJsonSchema")
    return _lower_types(config.get("responseSchema")) if schema is None else schema


def _lower_types(schema: Any) -> Any:
    """An OpenAPI schema as Gemini has it, with its types as JSON Schema writes them."""
    if isinstance(schema, list):
        return [_lower_types(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: part.lower() if name == "type" and isinstance(part, str) else _lower_types(part)
        for name, part in schema.items()
    }


def _format_refusal(config: Mapping[str, Any]) -> Refusal:
    kind = config.get("responseMimeType", MIME_TYPES[0])
    if kind not in MIME_TYPES:
        return error_body(
            f"Unsupported response mime type {kind!r}; allowed are {', '.join(MIME_TYPES)}."
        )
    schema = _schema_of(config)
    if schema is None:
        return None
    if kind != JSON:
        return error_body(f"A response schema is only supported with response mime type {JSON!r}.")
    complaint = response_schema({"schema": schema}).complaint
    return None if complaint is None else error_body(f"Invalid response schema: {complaint}")


def _contents_refusal(contents: Any) -> Refusal:
    if not isinstance(contents, list) or not contents:
        return error_body("* GenerateContentRequest.contents: contents is not specified")
    for place, content in enumerate(contents):
        at = f"* GenerateContentRequest.contents[{place}]"
        if not isinstance(content, dict) or not content.get("parts"):
            return error_body(f"{at}.parts: contents.parts must not be empty.")
        if content.get("role", "user") not in ROLES:
            return error_body(f"{at}.role: Please use a valid role: user, model.")
    return None


def _unknown_field(fields: Mapping[str, Any], known: Collection[str], where: str) -> Refusal:
    for name in fields:
        if name not in known:
            return error_body(
                f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': "
                "Cannot find field."
            )
    return None


def _text_of(content: Mapping[str, Any]) -> str:
    parts = content.get("parts")
    texts = [part.get("text") for part in parts or () if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
