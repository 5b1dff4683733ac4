"""Lines as a provider returns them, and the verdicts on them."""

import json
from typing import Any

from factories import Kind

from batch_assets.prompt import OutputType, Prompt
from batch_assets.prompt.answers import Verdict
from batch_assets.prompt.endpoints import Endpoint, compile_endpoint
from batch_assets.prompt.output import Output, TextOutput

OUTPUT = OutputType(Kind)


def an_endpoint(
    name: str,
    *,
    model: str = "gpt-5-mini",
    prompt: Prompt | None = None,
    output: Output | None = None,
    **settings: Any,
) -> Endpoint:
    """An endpoint; keywords are settings."""
    return compile_endpoint(
        name,
        model=model,
        prompt=prompt or Prompt(user="Word: {{ word }}"),
        output=output or TextOutput(),
        settings=settings,
    )


CHAT = an_endpoint("chat", output=OUTPUT)
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


def verdict(line: Any, endpoint: Endpoint = CHAT) -> Verdict:
    """The verdict on a line; a dict is encoded, bytes are taken as they are."""
    [read] = endpoint.read_lines(line if isinstance(line, bytes) else encoded(line))
    return endpoint.judge(read)


def an_answer(body: Any, **line: Any) -> Any:
    """A line with the body of any endpoint's answer."""
    response = {"status_code": 200, "request_id": "req", "body": body}
    return {"id": "batch_req_1", "custom_id": "r-0", "response": response, "error": None} | line
