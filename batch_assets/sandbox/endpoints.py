"""The endpoints a batch may address, by URL: what a body needs, and who answers it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

from batch_assets.sandbox.answers import chat_completion
from batch_assets.sandbox.anthropic_messages import message, messages_refusal, prompt_tokens
from batch_assets.sandbox.chat_rules import chat_refusal
from batch_assets.sandbox.completions import completion, completions_refusal
from batch_assets.sandbox.embeddings import (
    MAX_INPUTS_PER_BATCH,
    embedding_list,
    embeddings_refusal,
)
from batch_assets.sandbox.gemini_answers import (
    GENERATE_CONTENT,
    content_tokens,
    generate_content_refusal,
    generated_content,
)
from batch_assets.sandbox.images import images, images_refusal
from batch_assets.sandbox.mistral_chat import CHAT as MISTRAL_CHAT
from batch_assets.sandbox.mistral_chat import EMBEDDINGS as MISTRAL_EMBEDDINGS
from batch_assets.sandbox.mistral_chat import (
    mistral_chat_refusal,
    mistral_completion,
    mistral_embeddings,
    mistral_embeddings_refusal,
)
from batch_assets.sandbox.moderations import DEFAULT_MODEL, moderation, moderations_refusal
from batch_assets.sandbox.responses import response, response_tokens, responses_refusal
from batch_assets.sandbox.rules import Refusal
from batch_assets.sandbox.tokens import input_texts, message_tokens, text_tokens


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
    default_model: str | None = None
    """The model of a body that names none, where the endpoint allows that."""
    max_inputs: int | None = None
    """Inputs that all requests of a batch may have together."""

    @abstractmethod
    def refusal(self, body: dict[str, Any]) -> Refusal:
        """The error body of a 400 answer, or None if the request would be answered."""

    @abstractmethod
    def input_tokens(self, body: dict[str, Any]) -> int: ...

    @abstractmethod
    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        """The answer to a body that has no refusal."""

    def inputs(self, body: dict[str, Any]) -> int:
        return 0

    def reply(self, body: dict[str, Any], reply_id: str, created: int) -> Reply:
        refused = self.refusal(body)
        if refused is not None:
            return Reply(status_code=400, body=refused)
        answer = self.answer(body, reply_id, created)
        usage = answer.get("usage", {})
        return Reply(
            status_code=200,
            body=answer,
            input_tokens=usage.get("prompt_tokens", usage.get("input_tokens", 0)),
            output_tokens=usage.get("completion_tokens", usage.get("output_tokens", 0)),
        )


class ChatCompletions(Endpoint):
    required = ("model", "messages")
    name = "Chat Completions"

    def refusal(self, body: dict[str, Any]) -> Refusal:
        return chat_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return message_tokens(body.get("messages"))

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        return chat_completion(body, reply_id, created)


class Responses(Endpoint):
    required = ("model", "input")
    name = "Responses"

    def refusal(self, body: dict[str, Any]) -> Refusal:
        return responses_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return response_tokens(body)

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        return response(body, reply_id, created)


class Embeddings(Endpoint):
    required = ("model", "input")
    name = "Embeddings"
    max_inputs = MAX_INPUTS_PER_BATCH

    def refusal(self, body: dict[str, Any]) -> Refusal:
        return embeddings_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return sum(map(text_tokens, input_texts(body["input"])))

    def inputs(self, body: dict[str, Any]) -> int:
        return len(input_texts(body["input"]))

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        return embedding_list(body)


class Moderations(Endpoint):
    required = ("input",)
    name = "Moderations"
    default_model = DEFAULT_MODEL

    def refusal(self, body: dict[str, Any]) -> Refusal:
        return moderations_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return 0  # It costs nothing and queues nothing.

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        return moderation(body, reply_id)


class Completions(Endpoint):
    required = ("model", "prompt")
    name = "Completions"

    def refusal(self, body: dict[str, Any]) -> Refusal:
        return completions_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return sum(map(text_tokens, input_texts(body["prompt"])))

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        return completion(body, reply_id, created)


class ImageGenerations(Endpoint):
    required = ("model", "prompt")
    name = "Images"

    def refusal(self, body: dict[str, Any]) -> Refusal:
        return images_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return sum(map(text_tokens, input_texts(body["prompt"])))

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        return images(body, created)


class GenerateContent(Endpoint):
    required = ("model", "contents")
    name = "GenerateContent"

    def refusal(self, body: dict[str, Any]) -> Refusal:
        return generate_content_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return content_tokens(body)

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        return generated_content(body, reply_id)

    def reply(self, body: dict[str, Any], reply_id: str, created: int) -> Reply:
        reply = super().reply(body, reply_id, created)
        counted = reply.body.get("usageMetadata", {})
        answered = counted.get("totalTokenCount", 0) - counted.get("promptTokenCount", 0)
        asked = counted.get("promptTokenCount", 0)
        return replace(reply, input_tokens=asked, output_tokens=answered)


class Messages(Endpoint):
    """Anthropic's."""

    required = ("model", "max_tokens", "messages")
    name = "Messages"

    def refusal(self, body: dict[str, Any]) -> Refusal:
        return messages_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return prompt_tokens(body)

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        return message(body, reply_id)


class MistralChat(Endpoint):
    required = ("messages",)
    name = "Chat Completions"

    def refusal(self, body: dict[str, Any]) -> Refusal:
        return mistral_chat_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return message_tokens(body.get("messages"))

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        return mistral_completion(body, reply_id, created)


class MistralEmbeddings(Endpoint):
    required = ("input",)
    name = "Embeddings"

    def refusal(self, body: dict[str, Any]) -> Refusal:
        return mistral_embeddings_refusal(body)

    def input_tokens(self, body: dict[str, Any]) -> int:
        return sum(map(text_tokens, input_texts(body["input"])))

    def answer(self, body: dict[str, Any], reply_id: str, created: int) -> dict[str, Any]:
        return mistral_embeddings(body, reply_id)


#: What OpenAI's wire has.
OPENAI_ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": ChatCompletions(),
    "/v1/completions": Completions(),
    "/v1/embeddings": Embeddings(),
    "/v1/images/generations": ImageGenerations(),
    "/v1/moderations": Moderations(),
    "/v1/responses": Responses(),
}

#: What any wire has. Where two have the same url, one of them stands here under another name.
ENDPOINTS: dict[str, Endpoint] = {
    **OPENAI_ENDPOINTS,
    GENERATE_CONTENT: GenerateContent(),
    "/v1/messages": Messages(),
    MISTRAL_CHAT: MistralChat(),
    MISTRAL_EMBEDDINGS: MistralEmbeddings(),
}
