"""What stands between Gemini's provider and the sandbox in the tests of its contract."""

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from batch_assets.resources.gemini import GeminiProvider, GeminiResource

#: Nobody's key, in the shape of Google's.
API_KEY = "AIzaSy0123456789abcdefghijklmnopqrstuvw"
KEY = "0123456789abcdef" * 2
MODEL = "gemini-2.5-flash"
ENDPOINT = f"/v1beta/models/{MODEL}:generateContent"

UPLOAD = "POST /gemini/upload/v1beta/files"
CREATE = f"POST /gemini/v1beta/models/{MODEL}:batchGenerateContent"
BATCHES = "GET /gemini/v1beta/batches"
FILES = "GET /gemini/v1beta/files"

_KEPT = ("content-type", "x-goog-upload-url", "x-goog-upload-status")


def answer(body: object = None, *, status: int = 200, **headers: str) -> bytes:
    """A whole HTTP reply. Bytes are sent as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {
        "content-type": "application/json",
        "content-length": str(len(content)),
        "connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {v}" for name, v in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def passing_on_to(origin: str) -> Callable[[Any], bytes]:
    """The answer of another server to a call, with the headers of an upload."""

    def forward(call: Any) -> bytes:
        connection = http.client.HTTPConnection(urlsplit(origin).netloc)
        try:
            target = f"{call.path}?{call.query}" if call.query else call.path
            connection.request(call.method, target, call.body, call.headers)
            reply = connection.getresponse()
            headers = {
                name.replace("-", "_"): reply.headers[name]
                for name in _KEPT
                if reply.headers[name] is not None
            }
            return answer(reply.read(), status=reply.status, **headers)
        finally:
            connection.close()

    return forward


def address(server: Any) -> str:
    return server.base_url.removesuffix("/v1") + "/gemini"


def a_provider(base_url: str | None, **fields: Any) -> GeminiProvider:
    """The provider of a GeminiResource; keywords are the resource's fields."""
    chosen = {"api_key": API_KEY, "timeout_seconds": 5.0, "max_retries": 0, **fields}
    resource = GeminiResource(**chosen, base_url=base_url)
    return resource.create_resource(dg.build_init_resource_context())


def a_line(number: int, **over: Any) -> str:
    contents = [{"role": "user", "parts": [{"text": f"Question {number}"}]}]
    return json.dumps({"key": f"r-{number}", "request": {"contents": contents}, **over})


def a_shard(folder: Path, requests: int = 3, **over: Any) -> Path:
    path = folder / "shard.jsonl"
    path.write_text("".join(f"{a_line(number, **over)}\n" for number in range(requests)))
    return path


def an_operation(number: int, state: str = "BATCH_STATE_PENDING", **metadata: Any) -> Any:
    """A batch as the Developer API shows it."""
    told = {"displayName": f"k-{number}", "createTime": "2026-11-01T00:00:00Z", "state": state}
    return {"name": f"batches/b{number}", "metadata": told | metadata}


def a_refusal(
    status: int, name: str = "INVALID_ARGUMENT", message: str = "No.", **more: Any
) -> bytes:
    error = {"code": status, "message": message, "status": name, **more}
    return answer({"error": error}, status=status)


def a_reason(reason: str) -> Any:
    return [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
