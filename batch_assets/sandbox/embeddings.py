"""The embeddings endpoint (OpenAI API reference, "Create embeddings"; guide "Vector embeddings").

The refusal of an input is worded as the API words it (seen in public bug reports).
"""

import re
import zlib
from base64 import b64encode
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_assets.sandbox.errors import error_body
from batch_assets.sandbox.rules import (
    Refusal,
    choice_refusal,
    integer_refusal,
    texts_refusal,
    unknown_parameter,
)
from batch_assets.sandbox.tokens import input_texts, text_tokens

PARAMETERS = frozenset({"dimensions", "encoding_format", "input", "model", "user"})
LENGTHS = {"text-embedding-3-large": 3072}
USUAL_LENGTH = 1536
FIXED_LENGTH = "text-embedding-ada-002"
MAX_INPUTS = 2048
MAX_INPUTS_PER_BATCH = 50_000
MAX_INPUT_TOKENS = 8192
MAX_REQUEST_TOKENS = 300_000
DECIMALS = 8
WORD = re.compile(r"\w+")

Vector = npt.NDArray[np.float32]


def embeddings_refusal(body: dict[str, Any]) -> Refusal:
    """The error body of the first rule that `body` breaks."""
    return (
        unknown_parameter(body, PARAMETERS)
        or texts_refusal(body.get("input"), "input")
        or _texts_refusal(input_texts(body["input"]))
        or _dimensions_refusal(body)
        or choice_refusal(body, "encoding_format", ("float", "base64"))
    )


def embedding_list(body: dict[str, Any]) -> dict[str, Any]:
    texts = input_texts(body["input"])
    length = body.get("dimensions") or LENGTHS.get(body["model"], USUAL_LENGTH)
    written = _as_base64 if body.get("encoding_format") == "base64" else _as_floats
    tokens = sum(map(text_tokens, texts))
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": written(vector_of(text, length))}
            for index, text in enumerate(texts)
        ],
        "model": body["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def vector_of(text: str, length: int) -> Vector:
    """A vector of norm 1, the same for the same text, and near for texts of many equal words."""
    words = WORD.findall(text.lower()) or [text]
    total = np.sum([_vector_of_word(word, length) for word in words], axis=0)
    unit: Vector = np.round(total / np.linalg.norm(total), DECIMALS).astype("<f4")
    return unit


@lru_cache(maxsize=1024)
def _vector_of_word(word: str, length: int) -> npt.NDArray[np.float64]:
    seed = zlib.crc32(word.encode("utf-8", "replace"))
    return np.random.default_rng(seed).standard_normal(length)


def _as_floats(vector: Vector) -> list[float]:
    rounded: list[float] = np.round(vector.astype(np.float64), DECIMALS).tolist()
    return rounded


def _as_base64(vector: Vector) -> str:
    return b64encode(vector.tobytes()).decode()


def _texts_refusal(texts: list[str]) -> Refusal:
    if not texts or not all(texts) or len(texts) > MAX_INPUTS:
        return error_body(
            "'$.input' is invalid. Please check the API reference: "
            "https://platform.openai.com/docs/api-reference."
        )
    tokens = [text_tokens(text) for text in texts]
    if max(tokens) > MAX_INPUT_TOKENS:
        return error_body(
            f"This model's maximum context length is {MAX_INPUT_TOKENS} tokens, however you "
            f"requested {max(tokens)} tokens ({max(tokens)} in your prompt; 0 for the completion). "
            "Please reduce your prompt; or completion length."
        )
    if sum(tokens) > MAX_REQUEST_TOKENS:
        return error_body(
            f"Requested {sum(tokens)} tokens, max {MAX_REQUEST_TOKENS} tokens per request",
            param="input",
            code="max_tokens_per_request",
            type="max_tokens_per_request",
        )
    return None


def _dimensions_refusal(body: dict[str, Any]) -> Refusal:
    if body.get("dimensions") is not None and body["model"] == FIXED_LENGTH:
        return error_body("This model does not support specifying dimensions.", param="dimensions")
    most = LENGTHS.get(body["model"], USUAL_LENGTH)
    return integer_refusal(body, "dimensions", high=most)
