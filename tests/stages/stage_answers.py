"""Lines of an output file that a script has the sandbox write in place of an answer."""

from collections import Counter
from collections.abc import Callable
from typing import Any


def answered(status: int, body: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """A line with this response, for any custom_id."""
    return lambda custom_id: {
        "custom_id": custom_id,
        "response": {"status_code": status, "body": body},
        "error": None,
    }


def completion(content: str | None, **choice: Any) -> dict[str, Any]:
    """The body of an answer that used 10 and 5 tokens."""
    message = {"role": "assistant", "content": content, "refusal": None}
    return {
        "model": "gpt-5-mini",
        "choices": [{"message": message, "finish_reason": "stop"} | choice],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }


DOWN = answered(500, {"error": {"message": "The server had an error.", "code": "server_error"}})
WRONG = answered(400, {"error": {"message": "No such parameter.", "code": "invalid_value"}})
NOT_JSON = answered(200, completion("I would say a plant."))


class Flaky:
    """Answers the n-th question about a request by the n-th line of its list, then behaves."""

    def __init__(self, lines: dict[int, list[Callable[[str], dict[str, Any]]]]) -> None:
        self._lines = lines
        self.asked: Counter[int] = Counter()

    def __call__(self, batch_id: str, custom_id: str) -> dict[str, Any] | None:
        ordinal = int(custom_id.rpartition("-")[2])
        lines, times = self._lines.get(ordinal, []), self.asked[ordinal]
        self.asked[ordinal] += 1
        return lines[times](custom_id) if times < len(lines) else None
