"""Mistral's wire: files and batch jobs (mistralai 3.7: `client/files.py`, `client/jobs.py`)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from batch_assets.sandbox.batch_routes import checked_metadata, json_object
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.file_routes import check_batch_file, content_of, received
from batch_assets.sandbox.mistral_chat import CHAT, EMBEDDINGS
from batch_assets.sandbox.multipart import FormReader
from batch_assets.sandbox.openai_wire import key_complaint
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.queries import integer_query
from batch_assets.sandbox.read_lines import as_read, as_sent
from batch_assets.sandbox.stored_batches import BatchOrder
from batch_assets.sandbox.stored_files import LIFETIME, StoredFile, new_file_id, no_such_file
from batch_assets.sandbox.wire import Routes, Wire

NAME = "mistral"
ENDPOINTS = {url.removeprefix("mistral:"): url for url in (CHAT, EMBEDDINGS)}
STATUSES = {
    "validating": "QUEUED",
    "in_progress": "RUNNING",
    "finalizing": "RUNNING",
    "completed": "SUCCESS",
    "failed": "FAILED",
    "expired": "TIMEOUT_EXCEEDED",
    "cancelling": "CANCELLATION_REQUESTED",
    "cancelled": "CANCELLED",
}
MODELS = ("mistral-small-latest", "mistral-large-latest", "mistral-embed")

#: The parameters of the list of jobs; the SDK sends those of `metadata` beside them, by their own
#: names (`client/utils/queryparams.py`: style form, exploded).
LIST_PARAMETERS = frozenset({
    "page", "page_size", "model", "agent_id", "created_after", "created_by_me", "status",
    "order_by",
})  # fmt: skip

MOST_HOURS = 168
_ALL = 1_000_000


def refused(error: ApiError) -> JSONResponse:
    """Mistral's error object; what guards the API has FastAPI's."""
    told = error.body["error"]
    body: dict[str, Any] = {"detail": "Unauthorized"}
    if error.status_code != 401:
        body = {
            "object": "error",
            "message": told["message"],
            "type": told["type"],
            "param": told["param"],
            "code": told["code"],
        }
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def upload_file(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox

    def check(form: FormReader) -> float:
        check_batch_file(form, purpose="batch")
        return LIFETIME

    file_id = new_file_id()
    form, kept = await received(request, file_id, check)
    name = form.filename or "upload"
    file = await run_in_threadpool(sandbox.add_upload, file_id, name, kept, wire=NAME)
    return JSONResponse(_file(file))


def list_files(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    found, _ = sandbox.files.page(purpose=None, after=None, limit=_ALL, descending=True, wire=NAME)
    page = _page(request, found)
    total = len(found) if request.query_params.get("include_total") != "false" else None
    return JSONResponse({"data": [_file(file) for file in page], "object": "list", "total": total})


def retrieve_file(request: Request) -> JSONResponse:
    return JSONResponse(_file(_named_file(request)) | {"deleted": False})


def file_content(request: Request) -> Response:
    return content_of(request.app.state.sandbox, _named_file(request))


def delete_file(request: Request) -> JSONResponse:
    file = _named_file(request)
    request.app.state.sandbox.files.delete(file.id)
    return JSONResponse({"id": file.id, "object": "file", "deleted": True})


async def create_job(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    body = await json_object(request)
    return JSONResponse(await run_in_threadpool(_created, sandbox, body))


def list_jobs(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    query = request.query_params
    found, _ = sandbox.batch_page(after=None, limit=_ALL, wire=NAME)
    wanted = {name: value for name, value in query.items() if name not in LIST_PARAMETERS}
    if not sandbox.settings.mistral_filters_metadata:
        wanted = {}
    after = query.get("created_after")
    since = datetime.fromisoformat(after).timestamp() if after else 0.0
    statuses = query.getlist("status")
    jobs = [
        job
        for job in map(_job, found)
        if job["created_at"] >= int(since)
        and (not statuses or job["status"] in statuses)
        and wanted.items() <= (job["metadata"] or {}).items()
    ]
    if query.get("order_by") == "created":
        jobs.reverse()
    page = _page(request, jobs)
    return JSONResponse({"data": page, "object": "list", "total": len(jobs)})


def retrieve_job(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(_job(sandbox.batch(_job_id(request))))


def cancel_job(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(_job(sandbox.cancel(_job_id(request))))


def list_models(request: Request) -> JSONResponse:
    models = [{"id": name, "object": "model", "owned_by": "mistralai"} for name in MODELS]
    return JSONResponse({"object": "list", "data": models})


def _created(sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    endpoint, files, model = (body.get(name) for name in ("endpoint", "input_files", "model"))
    if endpoint not in ENDPOINTS:
        raise _invalid("endpoint", f"Input should be one of {', '.join(ENDPOINTS)}")
    if not isinstance(files, list) or len(files) != 1 or not isinstance(files[0], str):
        raise _invalid("input_files", "The sandbox takes one file")
    if not isinstance(model, str) or not model:
        raise _invalid("model", "Field required")
    hours = body.get("timeout_hours", 24)
    if not isinstance(hours, int) or not 1 <= hours <= MOST_HOURS:
        raise _invalid("timeout_hours", f"Input should be from 1 to {MOST_HOURS}")
    url = ENDPOINTS[endpoint]
    order = BatchOrder(
        endpoint=url,
        input_file_id=as_read(sandbox, files[0], _line_of(url, model)),
        metadata=checked_metadata(body.get("metadata")),
        output_lifetime=LIFETIME,
        wire=NAME,
    )
    return _job(sandbox.create_batch(order))


def _line_of(url: str, model: str) -> Callable[[bytes], bytes]:
    """A line of Mistral's as the sandbox reads it: the job says what OpenAI's lines say."""

    def read(line: bytes) -> bytes:
        try:
            request = msgspec.json.decode(line)
            body = {"model": model, **request["body"]}
            found = {"custom_id": request["custom_id"], "method": "POST", "url": url, "body": body}
        except (msgspec.DecodeError, RecursionError, LookupError, TypeError):
            return line
        return msgspec.json.encode(found) + b"\n"

    return read


def _job(batch: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's batch object as a job."""
    counts = batch["request_counts"]
    problems = (batch["errors"] or {}).get("data", [])
    ended = [batch[name] for name in ("completed_at", "failed_at", "expired_at", "cancelled_at")]
    return {
        "id": batch["id"],
        "object": "batch",
        "input_files": [as_sent(batch["input_file_id"])],
        "metadata": batch["metadata"],
        "endpoint": batch["endpoint"].removeprefix("mistral:"),
        "model": batch["model"],
        "agent_id": None,
        "output_file": batch["output_file_id"],
        "error_file": batch["error_file_id"],
        "errors": [{"message": problem["message"], "count": 1} for problem in problems],
        "status": STATUSES.get(batch["status"], batch["status"].upper()),
        "created_at": batch["created_at"],
        "started_at": batch["in_progress_at"],
        "completed_at": next(filter(None, ended), None),
        "total_requests": counts["total"],
        "completed_requests": counts["completed"] + counts["failed"],
        "succeeded_requests": counts["completed"],
        "failed_requests": counts["failed"],
    }


def _file(file: StoredFile) -> dict[str, Any]:
    is_input = file.purpose == "batch"
    kinds = ("batch_error" if "_error" in file.filename else "batch_result", "batch_request")
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": int(file.created_at),
        "filename": file.filename,
        "purpose": "batch",
        "sample_type": kinds[is_input],
        "source": "upload" if is_input else "mistral",
        "expires_at": int(file.expires_at),
    }


def _page(request: Request, found: list[Any]) -> list[Any]:
    page = integer_query(request, "page", default=0, low=0, high=_ALL)
    size = integer_query(request, "page_size", default=100, low=1, high=1_000)
    return found[page * size : (page + 1) * size]


def _named_file(request: Request) -> StoredFile:
    sandbox: Sandbox = request.app.state.sandbox
    file = sandbox.files.get(request.path_params["file_id"])
    if file.wire != NAME:
        raise no_such_file(file.id)
    return file


def _job_id(request: Request) -> str:
    sandbox: Sandbox = request.app.state.sandbox
    job_id: str = request.path_params["job_id"]
    if sandbox.batches.get(job_id).wire != NAME:
        raise ApiError(404, f"No batch found with id '{job_id}'.")
    return job_id


def _invalid(field: str, message: str) -> ApiError:
    return ApiError(422, f"{field}: {message}", param=field, type="invalid_request_error")


ROUTES: Routes = {
    "files.create": ("POST", "/v1/files", upload_file),
    "files.list": ("GET", "/v1/files", list_files),
    "files.retrieve": ("GET", "/v1/files/{file_id}", retrieve_file),
    "files.content": ("GET", "/v1/files/{file_id}/content", file_content),
    "files.delete": ("DELETE", "/v1/files/{file_id}", delete_file),
    "batches.create": ("POST", "/v1/batch/jobs", create_job),
    "batches.list": ("GET", "/v1/batch/jobs", list_jobs),
    "batches.retrieve": ("GET", "/v1/batch/jobs/{job_id}", retrieve_job),
    "batches.cancel": ("POST", "/v1/batch/jobs/{job_id}/cancel", cancel_job),
    "models.list": ("GET", "/v1/models", list_models),
}

MISTRAL = Wire(
    name=NAME, prefix="/mistral", routes=ROUTES, refused=refused, key_complaint=key_complaint
)
