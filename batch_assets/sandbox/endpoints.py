"""The endpoints a batch may address, by URL: what a body needs, and who answers it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from batch_assets.sandbox.answers import chat_completion
from batch_assets.sandbox.chat_rules import chat_refusal
from batch_assets.sandbox.tokens import message_tokens


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the endpoint says to one request, with the tokens it charges for."""

    status_code: int
    body: dict[str, Any]
    input_tokens: int = 0
    output_tokens: int = 0


class Endpoint(ABC):
    required: tuple[str, ...]
    """Body parameters whose absence fails the whole batch at validation."""
    name: str
    """How OpenAI names the endpoint in its error texts."""

    @abstractmethod
    def refusal(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """The error body of a 400 answer, or None if the request would be answered."""

    @abstractmethod
    def input_tokens(self, body: dict[str, Any]) -> int: ...

    @abstractmethod
    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> Reply:
        """The answer to a body that has no refusal."""

    def reply(self, body: dict[str, Any], reply_id: str, created: int) -> Reply:
        refused = self.refusal(body)
        if refused is not None:
            return Reply(status_code=400, body=refused)
        return self.answer(body, reply_id, created)


class ChatCompletions(Endpoint):
    required = ("model", "messages")
    name = "Chat Completions"

    def refusal(self, body: dict[str, Any]) -> dict[str, Any] | None:
        return chat_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return message_tokens(body.get("messages"))

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> Reply:
        completion = chat_completion(body, reply_id, created)
        usage = completion["usage"]
        return Reply(
            status_code=200,
            body=completion,
            input_tokens=usage["prompt_tokens"],
            output_tokens=usage["completion_tokens"],
        )


ENDPOINTS: dict[str, Endpoint] = {"/v1/chat/completions": ChatCompletions()}
