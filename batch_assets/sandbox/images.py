"""The image generations endpoint (OpenAI API reference, "Create image"): one pixel per image."""

import struct
import zlib
from base64 import b64encode
from typing import Any

from batch_assets.sandbox.errors import wrong_type
from batch_assets.sandbox.rules import Refusal, choice_refusal, integer_refusal, unknown_parameter
from batch_assets.sandbox.tokens import text_tokens

PARAMETERS = frozenset({
    "background", "complexity", "frame_count", "frame_duration_ms", "model", "moderation", "n",
    "output_compression", "output_format", "partial_images", "prompt", "quality",
    "safety_identifier", "size", "stream", "style", "svg", "user",
})  # fmt: skip
TOKENS_PER_IMAGE = 272


def images_refusal(body: dict[str, Any]) -> Refusal:
    """The error body of the first rule that `body` breaks."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str):
        return wrong_type("prompt", "a string", prompt)
    return (
        unknown_parameter(body, PARAMETERS)
        or integer_refusal(body, "n", high=10)
        or choice_refusal(body, "background", ("transparent", "opaque", "auto"))
        or choice_refusal(body, "output_format", ("png", "webp", "jpeg", "gif", "svg"))
    )


def images(body: dict[str, Any], created: int) -> dict[str, Any]:
    count = body.get("n") or 1
    tokens = text_tokens(body["prompt"])
    pictures = [pixel(f"{body['prompt']}/{number}") for number in range(count)]
    return {
        "created": created,
        "background": "opaque",
        "data": [{"b64_json": b64encode(picture).decode()} for picture in pictures],
        "output_format": "png",
        "quality": "low",
        "size": "1024x1024",
        "usage": {
            "input_tokens": tokens,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": tokens},
            "output_tokens": TOKENS_PER_IMAGE * count,
            "total_tokens": tokens + TOKENS_PER_IMAGE * count,
        },
    }


def pixel(text: str) -> bytes:
    """A PNG of one pixel, whose colour the text decides (PNG specification, 11.2)."""
    colour = zlib.crc32(text.encode("utf-8", "replace")).to_bytes(4, "big")[:3]
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + colour)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
