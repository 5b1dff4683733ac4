"""What came of a live request, as lines of the output files that batches have."""

from typing import Any

import msgspec

from batch_assets.resources.live.caller import Reply
from batch_assets.resources.live.sdk_caller import WireLines

_encode = msgspec.json.Encoder().encode


def _one_line(reply: Reply) -> bytes:
    """The body as it came; of one that is no JSON, a page of a gateway's, the text."""
    if not reply.is_readable:
        return _encode(reply.body.decode(errors="replace"))
    if b"\n" in reply.body or b"\r" in reply.body:
        return msgspec.json.format(reply.body, indent=-1)
    return reply.body


def _openai_line(custom_id: str, reply: Reply) -> bytes:
    """OpenAI's batch guide: output file."""
    head = _encode({"id": f"live_{reply.request_id or custom_id}", "custom_id": custom_id})
    facts = _encode({"status_code": reply.status, "request_id": reply.request_id or ""})
    body = _one_line(reply)
    return b"".join(
        (head[:-1], b',"response":', facts[:-1], b',"body":', body, b'},"error":null}\n')
    )


def _openai_silence(custom_id: str, why: str) -> bytes:
    # The code is OpenAI's own (specification, errors of batches).
    error = {"code": "request_timeout", "message": why}
    line = {"id": f"live_{custom_id}", "custom_id": custom_id, "response": None, "error": error}
    return _encode(line) + b"\n"


def _anthropic_line(custom_id: str, reply: Reply) -> bytes:
    """Anthropic 2.12, `types/messages/message_batch_individual_response.py`."""
    if reply.status == 200:
        kind, name = b"succeeded", b"message"
    else:
        kind, name = b"errored", b"error"
    if kind == b"errored" and not reply.is_readable:
        said = reply.body.decode(errors="replace")
        return _anthropic_error(custom_id, "api_error", f"HTTP {reply.status}: {said}")
    whose, body = _encode(custom_id), _one_line(reply)
    return b'{"custom_id":%b,"result":{"type":"%b","%b":%b}}\n' % (whose, kind, name, body)


def _anthropic_silence(custom_id: str, why: str) -> bytes:
    return _anthropic_error(custom_id, "timeout_error", why)


def _anthropic_error(custom_id: str, kind: str, message: str) -> bytes:
    error = {"type": "error", "error": {"type": kind, "message": message}}
    line: dict[str, Any] = {"custom_id": custom_id, "result": {"type": "errored", "error": error}}
    return _encode(line) + b"\n"


OPENAI_LINES = WireLines(of_reply=_openai_line, of_silence=_openai_silence)
ANTHROPIC_LINES = WireLines(of_reply=_anthropic_line, of_silence=_anthropic_silence)
