"""Anthropic's wire (API reference: Message Batches, "Errors", "Authentication")."""

import secrets

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse

from batch_assets.sandbox import anthropic_batches
from batch_assets.sandbox.anthropic_results import in_our_words
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.live_routes import live_routes
from batch_assets.sandbox.wire import WRONG_KEY_PREFIX, Routes, Wire

MODELS = ("claude-haiku-4-5", "claude-sonnet-5", "claude-opus-5")


def list_models(request: Request) -> JSONResponse:
    data = [
        {"id": name, "type": "model", "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
        for name in MODELS
    ]
    return JSONResponse(
        {"data": data, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    )


def refused(error: ApiError) -> JSONResponse:
    request_id = f"req_{secrets.token_hex(12)}"
    status, told = in_our_words(error.status_code, error.body["error"])
    return JSONResponse(
        {"type": "error", "error": told, "request_id": request_id},
        status_code=status,
        headers={"request-id": request_id, **(error.headers or {})},
    )


def key_complaint(headers: Headers) -> ApiError | None:
    """Any key will do, except those that begin with `sk-wrong`.

    The SDK sends it as a bearer's (anthropic 2.12, `_client.py`), older ones as `x-api-key`.
    """
    scheme, _, key = headers.get("authorization", "").partition(" ")
    key = headers.get("x-api-key", key if scheme.lower() == "bearer" else "").strip()
    if not key:
        return ApiError(401, "x-api-key header is required", type="authentication_error")
    if key.startswith(WRONG_KEY_PREFIX):
        return ApiError(401, "invalid x-api-key", type="authentication_error")
    if not headers.get("anthropic-version"):
        return ApiError(400, "anthropic-version: header is required")
    return None


_BATCHES = f"{anthropic_batches.URL}/batches"
_BATCH = f"{_BATCHES}/{{batch_id}}"

ROUTES: Routes = {
    "batches.create": ("POST", _BATCHES, anthropic_batches.create_batch),
    "batches.list": ("GET", _BATCHES, anthropic_batches.list_batches),
    "batches.retrieve": ("GET", _BATCH, anthropic_batches.retrieve_batch),
    "batches.cancel": ("POST", f"{_BATCH}/cancel", anthropic_batches.cancel_batch),
    "files.content": ("GET", f"{_BATCH}/results", anthropic_batches.results),
    "files.delete": ("DELETE", _BATCH, anthropic_batches.delete_batch),
    "models.list": ("GET", "/v1/models", list_models),
    **live_routes({anthropic_batches.URL: anthropic_batches.URL}),
}

ANTHROPIC = Wire(
    name=anthropic_batches.WIRE,
    prefix="/anthropic",
    routes=ROUTES,
    refused=refused,
    key_complaint=key_complaint,
)
