"""OpenAI's wire (API reference: Files, Batch, Models, "Debugging requests")."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse

from batch_assets.sandbox import batch_routes, file_routes
from batch_assets.sandbox.endpoints import OPENAI_ENDPOINTS
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.live_routes import live_routes
from batch_assets.sandbox.wire import WRONG_KEY_PREFIX, Routes, Wire

MODELS = ("gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o-mini", "gpt-5-mini", "gpt-5-nano")


def list_models(request: Request) -> JSONResponse:
    models = [
        {"id": name, "object": "model", "created": 1_715_367_049, "owned_by": "sandbox"}
        for name in MODELS
    ]
    return JSONResponse({"object": "list", "data": models})


def refused(error: ApiError) -> JSONResponse:
    """The shape that errors have anyway."""
    return JSONResponse(error.body, status_code=error.status_code, headers=error.headers)


def key_complaint(headers: Headers) -> ApiError | None:
    """Any key will do, except those that begin with `sk-wrong`."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return ApiError(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            code="invalid_api_key",
        )
    if key.startswith(WRONG_KEY_PREFIX):
        shown = f"{key[:8]}{'*' * 8}{key[-4:]}"
        return ApiError(
            401,
            f"Incorrect API key provided: {shown}. "
            "You can find your API key at https://platform.openai.com/account/api-keys.",
            code="invalid_api_key",
        )
    return None


ROUTES: Routes = {
    "files.create": ("POST", "/files", file_routes.upload_file),
    "files.list": ("GET", "/files", file_routes.list_files),
    "files.retrieve": ("GET", "/files/{file_id}", file_routes.retrieve_file),
    "files.content": ("GET", "/files/{file_id}/content", file_routes.file_content),
    "files.delete": ("DELETE", "/files/{file_id}", file_routes.delete_file),
    "batches.create": ("POST", "/batches", batch_routes.create_batch),
    "batches.list": ("GET", "/batches", batch_routes.list_batches),
    "batches.retrieve": ("GET", "/batches/{batch_id}", batch_routes.retrieve_batch),
    "batches.cancel": ("POST", "/batches/{batch_id}/cancel", batch_routes.cancel_batch),
    "models.list": ("GET", "/models", list_models),
    **live_routes({url.removeprefix("/v1"): url for url in OPENAI_ENDPOINTS}),
}

OPENAI = Wire(
    name="openai", prefix="/v1", routes=ROUTES, refused=refused, key_complaint=key_complaint
)
