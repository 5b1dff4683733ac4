"""Anthropic's Messages (API reference, "Create a Message"): which bodies get a 400, and answers.

Parameter names are those of the official SDK's `MessageCreateParams` (anthropic 2.12). Texts of
refusals are the API's own where they are on record (anthropic-sdk-python#984, #1118, #1185, public
error handlers); the others are in their manner.
"""

import json
from typing import Any

from batch_assets.sandbox.anthropic_schema import schema_complaint
from batch_assets.sandbox.response_schema import response_schema
from batch_assets.sandbox.rules import Refusal
from batch_assets.sandbox.texts import cut, last_user_text, said_in_format
from batch_assets.sandbox.tokens import message_text, message_tokens, text_tokens

PARAMETERS = frozenset({
    "cache_control", "container", "diagnostics", "inference_geo", "max_tokens", "messages",
    "metadata", "model", "output_config", "service_tier", "speed", "stop_sequences", "stream",
    "system", "thinking", "tool_choice", "tools", "user_profile_id",
})  # fmt: skip
REQUIRED = ("model", "max_tokens", "messages")
LEAST_THINKING = 1_024
LEAST_CACHED = 1_024
"""Prompt tokens below which nothing is cached; some models need more."""


def invalid_request(message: str) -> dict[str, Any]:
    error = {"type": "invalid_request_error", "message": message}
    return {"type": "error", "error": error, "request_id": None}


def messages_refusal(body: dict[str, Any]) -> Refusal:
    """The error body of the first rule that `body` breaks."""
    complaint = (
        _parameters_complaint(body)
        or _messages_complaint(body["messages"])
        or _system_complaint(body.get("system"))
        or _thinking_complaint(body)
        or _format_complaint(body)
        or _tools_complaint(body)
    )
    return None if complaint is None else invalid_request(complaint)


def _parameters_complaint(body: dict[str, Any]) -> str | None:
    for name in REQUIRED:
        if name not in body:
            return f"{name}: Field required"
    for name in body:
        if name not in PARAMETERS:
            return f"{name}: Extra inputs are not permitted"
    most = body["max_tokens"]
    if not isinstance(most, int) or isinstance(most, bool):
        return "max_tokens: Input should be a valid integer"
    if most < 1:
        return "max_tokens: Input should be greater than or equal to 1"
    if not isinstance(body["model"], str):
        return "model: Input should be a valid string"
    return None


def _messages_complaint(messages: Any) -> str | None:
    if not isinstance(messages, list):
        return "messages: Input should be a valid list"
    if not messages:
        return "messages: at least one message is required"
    for place, message in enumerate(messages):
        where = f"messages.{place}"
        if not isinstance(message, dict):
            return f"{where}: Input should be a valid dictionary"
        if message.get("role") == "system" and place == 0:
            return (
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
                'parameter, not "system" as an input message role.'
            )
        if message.get("role") not in ("user", "assistant", "system"):
            return f"{where}.role: Input should be 'user', 'assistant' or 'system'"
        if (complaint := _content_complaint(message.get("content"), where)) is not None:
            return complaint
    return None


def _content_complaint(content: Any, where: str) -> str | None:
    if content == "" or content == []:
        return f"{where}: all messages must have non-empty content"
    if isinstance(content, str):
        return None if content.strip() else _blank()
    if not isinstance(content, list):
        return f"{where}.content: Input should be a valid string or list"
    for place, block in enumerate(content):
        at = f"{where}.content.{place}"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind is None:
            return f"{at}.type: Field required"
        if kind == "text" and not block.get("text"):
            return "messages: text content blocks must be non-empty"
        if kind == "text" and not block["text"].strip():
            return _blank()
        if kind in ("image", "document") and (complaint := _source_complaint(block)) is not None:
            return f"{at}.{kind}.{complaint}"
        if kind not in BLOCKS:
            return (
                f"{at}: Input tag '{kind}' found using 'type' does not match any of the expected "
                f"tags: {', '.join(repr(each) for each in BLOCKS)}"
            )
    return None


BLOCKS = ("text", "image", "document", "search_result", "thinking", "tool_use", "tool_result")
SOURCES = {
    "base64": ("media_type", "data"),
    "url": ("url",),
    "file": ("file_id",),
    "text": ("media_type", "data"),
    "content": ("content",),
}
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def _source_complaint(block: dict[str, Any]) -> str | None:
    source = block.get("source")
    if not isinstance(source, dict) or source.get("type") not in SOURCES:
        return "source: Field required"
    for name in SOURCES[source["type"]]:
        if not source.get(name):
            return f"source.{source['type']}.{name}: Field required"
    known = IMAGE_TYPES if block["type"] == "image" else ("application/pdf",)
    if source["type"] == "base64" and source["media_type"] not in known:
        return f"source.base64.media_type: Input should be {' or '.join(map(repr, known))}"
    return None


def _blank() -> str:
    return "messages: text content blocks must contain non-whitespace text"


def _system_complaint(system: Any) -> str | None:
    if system is None or isinstance(system, str):
        return None
    if not isinstance(system, list):
        return "system: Input should be a valid string or list"
    for place, block in enumerate(system):
        if not isinstance(block, dict) or block.get("type") != "text":
            return f"system.{place}.type: Input should be 'text'"
        if not block.get("text"):
            return "system: text content blocks must be non-empty"
    return None


def _thinking_complaint(body: dict[str, Any]) -> str | None:
    thinking = body.get("thinking") or {}
    if thinking.get("type") != "enabled":
        return None
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or budget < LEAST_THINKING:
        return "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
    if budget >= body["max_tokens"]:
        return "`max_tokens` must be greater than `thinking.budget_tokens`."
    return None


def _format_complaint(body: dict[str, Any]) -> str | None:
    wanted = _format(body)
    if wanted is None:
        return None
    if wanted.get("type") != "json_schema":
        return "output_config.format.type: Input should be 'json_schema'"
    complaint = schema_complaint(wanted.get("schema"))
    return complaint and f"output_config.format.schema: {complaint}"


def _tools_complaint(body: dict[str, Any]) -> str | None:
    choice = body.get("tool_choice") or {}
    tools = body.get("tools") or []
    if choice.get("type") != "tool":
        return None
    if (body.get("thinking") or {}).get("type", "disabled") != "disabled":
        return "Thinking may not be enabled when tool_choice forces tool use."
    if _tool(body) is None:
        return f"Tool '{choice.get('name')}' not found in provided tools"
    for place, tool in enumerate(tools):
        schema = tool.get("input_schema")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            return f"tools.{place}.custom.input_schema.type: Field required"
        complaint = response_schema({"schema": schema}).complaint
        if complaint is not None:
            return f"tools.{place}.custom.input_schema: JSON schema is invalid."
    return None


def _format(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = (body.get("output_config") or {}).get("format")
    return wanted if isinstance(wanted, dict) else None


def _tool(body: dict[str, Any]) -> dict[str, Any] | None:
    """The tool that the model has to call."""
    choice = body.get("tool_choice") or {}
    tools = body.get("tools") or [] if choice.get("type") == "tool" else []
    return next((tool for tool in tools if tool.get("name") == choice.get("name")), None)


def prompt_tokens(body: dict[str, Any]) -> int:
    return text_tokens(_system_text(body)) + message_tokens(body.get("messages"))


def _system_text(body: dict[str, Any]) -> str:
    return message_text({"content": body.get("system")})


def message(body: dict[str, Any], reply_id: str) -> dict[str, Any]:
    """The answer to a body that has no refusal."""
    text = last_user_text(body["messages"])
    tool, wanted = _tool(body), _format(body)
    if tool is not None:
        document = response_schema({"schema": tool["input_schema"]}).maker.document(text)
        call = {"type": "tool_use", "id": f"toolu_{reply_id}", "name": tool["name"]}
        content = [{**call, "input": document}]
        written, stop_reason = text_tokens(str(document)), "tool_use"
    else:
        kind = "text" if wanted is None else "json_schema"
        said, is_cut = cut(said_in_format(text, kind, wanted), body["max_tokens"])
        content = [{"type": "text", "text": said, "citations": None}]
        written, stop_reason = text_tokens(said), "max_tokens" if is_cut else "end_turn"
    return {
        "id": f"msg_{reply_id}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "stop_details": None,
        "usage": _usage(body, reply_id, written),
    }


def _usage(body: dict[str, Any], reply_id: str, written: int) -> dict[str, Any]:
    """Of what is marked for the cache, one request in sixteen writes it and the others read it."""
    marked = _marked_tokens(body)
    made = marked if reply_id[0] == "0" else 0
    return {
        "input_tokens": prompt_tokens(body) - marked,
        "cache_creation_input_tokens": made,
        "cache_read_input_tokens": marked - made,
        "cache_creation": {
            "ephemeral_5m_input_tokens": made,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": written,
        "service_tier": "batch",
    }


def _marked_tokens(body: dict[str, Any]) -> int:
    """Prompt tokens up to the last breakpoint; 0 where they are too few to be cached."""
    system = body.get("system")
    blocks: list[Any] = system if isinstance(system, list) else []
    counted = marked = 0
    for block in blocks:
        counted += text_tokens(block.get("text") or "")
        marked = counted if block.get("cache_control") else marked
    counted = text_tokens(_system_text(body))
    for said in body["messages"]:
        counted += message_tokens([said])
        parts = said.get("content")
        if isinstance(parts, list) and any(part.get("cache_control") for part in parts):
            marked = counted
    return marked if marked >= LEAST_CACHED else 0


def text_of_message(answer: dict[str, Any]) -> str:
    """What the model said; of a call the input, as JSON."""
    block = answer["content"][0] if answer["content"] else {}
    if block.get("type") == "tool_use":
        return json.dumps(block["input"], ensure_ascii=False)
    text: str = block.get("text", "")
    return text


def message_saying(
    answer: dict[str, Any], text: str | None, finish_reason: str, refusal: str | None
) -> dict[str, Any]:
    """The message as it would be had the model said something else; reasons are those of chat."""
    stop_reason = STOP_REASONS.get(finish_reason, finish_reason)
    if refusal is not None:
        details = {"type": "refusal", "category": None, "explanation": refusal}
        return answer | {"content": [], "stop_reason": "refusal", "stop_details": details}
    content = [] if text is None else [{"type": "text", "text": text, "citations": None}]
    return answer | {"content": content, "stop_reason": stop_reason}


STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
}
