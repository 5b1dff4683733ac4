"""Lines as a provider returns them for chat completions."""

import json
from typing import Any

from factories import Kind

from batch_assets.prompt import OutputType
from batch_assets.prompt.chat_answers import Verdict, judge, read_lines

OUTPUT = OutputType(Kind)
VALUE = {"label": "plant", "words": ["oak"], "score": 3}
TEXT = json.dumps(VALUE)
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 80},
    "completion_tokens_details": {"reasoning_tokens": 15},
}


def a_choice(content: Any = TEXT, finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"message": {"content": content, **message}, "finish_reason": finish}


def a_line(custom_id: str = "r-0", *, status: Any = 200, error: Any = None, **body: Any) -> Any:
    """A line of an output file; keywords are the body's."""
    facts = {"model": "gpt-5-mini-2026", "choices": [a_choice()], "usage": USAGE}
    response = {"status_code": status, "request_id": "req", "body": facts | body}
    return {"id": "batch_req_1", "custom_id": custom_id, "response": response, "error": error}


def a_failed_line(status: Any, **error: Any) -> Any:
    """A line of an error file with a reply of the endpoint's."""
    body = {"error": {"message": "No.", "type": "t", "param": None, "code": None} | error}
    return {"custom_id": "r-0", "response": {"status_code": status, "body": body}, "error": None}


def an_unrun_line(code: str | None, message: str | None = "Why.") -> Any:
    """A line of an error file without a reply."""
    return {"custom_id": "r-0", "response": None, "error": {"code": code, "message": message}}


def encoded(*lines: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def verdict(line: Any) -> Verdict:
    """The verdict on a line; a dict is encoded, bytes are taken as they are."""
    [read] = read_lines(line if isinstance(line, bytes) else encoded(line))
    return judge(read, OUTPUT)
