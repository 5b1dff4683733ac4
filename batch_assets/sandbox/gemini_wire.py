"""Gemini's wire, as its Developer API has it (API reference, Files and Batch API), and the jobs of
Vertex AI.

The SDK's base URL is the server's address and `/gemini`; any version of the API will do.
"""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse

from batch_assets.sandbox import gemini_batches, gemini_files, gemini_vertex
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.gemini_errors import refused
from batch_assets.sandbox.gemini_files import COMMAND, WIRE
from batch_assets.sandbox.wire import WRONG_KEY_PREFIX, Routes, Wire

MODELS = ("gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro")


def list_models(request: Request) -> JSONResponse:
    methods = ["generateContent", "batchGenerateContent"]
    models = [
        {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
        for name in MODELS
    ]
    return JSONResponse({"models": models})


def key_complaint(headers: Headers) -> ApiError | None:
    """Any key will do, except those that begin with `sk-wrong`; the content of an upload is sent to
    an address that is a secret of its own.
    """
    if headers.get(COMMAND, "start") != "start":
        return None
    scheme, _, token = headers.get("authorization", "").partition(" ")
    key = headers.get("x-goog-api-key", "").strip() or (scheme == "Bearer" and token.strip()) or ""
    if not key:
        return ApiError(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). "
            "Please use API Key or other form of API consumer identity to call this API.",
        )
    if key.startswith(WRONG_KEY_PREFIX):
        message = "API key not valid. Please pass a valid API key."
        return ApiError(400, message, code="invalid_api_key")
    return None


_FILE = "/{version}/files/{file_id}"
_BATCH = "/{version}/batches/{batch_id}"
_JOBS = "/{version}/projects/{project}/locations/{location}/batchPredictionJobs"

#: The first that fits answers: what is longer stands before what it begins with.
ROUTES: Routes = {
    "files.create": ("POST", "/upload/{version}/files", gemini_files.upload_file),
    "files.list": ("GET", "/{version}/files", gemini_files.list_files),
    "files.content": ("GET", f"{_FILE}:download", gemini_files.file_content),
    "files.retrieve": ("GET", _FILE, gemini_files.retrieve_file),
    "files.delete": ("DELETE", _FILE, gemini_files.delete_file),
    "batches.create": (
        "POST",
        "/{version}/models/{model}:batchGenerateContent",
        gemini_batches.create_batch,
    ),
    "batches.list": ("GET", "/{version}/batches", gemini_batches.list_batches),
    "batches.retrieve": ("GET", _BATCH, gemini_batches.retrieve_batch),
    "batches.cancel": ("POST", f"{_BATCH}:cancel", gemini_batches.cancel_batch),
    "batches.delete": ("DELETE", _BATCH, gemini_batches.delete_batch),
    "batches.create:vertex": ("POST", _JOBS, gemini_vertex.create_job),
    "batches.list:vertex": ("GET", _JOBS, gemini_vertex.list_jobs),
    "batches.cancel:vertex": ("POST", f"{_JOBS}/{{batch_id}}:cancel", gemini_vertex.cancel_job),
    "batches.retrieve:vertex": ("GET", f"{_JOBS}/{{batch_id}}", gemini_vertex.retrieve_job),
    "batches.delete:vertex": ("DELETE", f"{_JOBS}/{{batch_id}}", gemini_vertex.delete_job),
    "models.list": ("GET", "/{version}/models", list_models),
}

GEMINI = Wire(
    name=WIRE, prefix="/gemini", routes=ROUTES, refused=refused, key_complaint=key_complaint
)
