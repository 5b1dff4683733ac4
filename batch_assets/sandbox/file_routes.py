"""The routes of OpenAI's Files API that batches need (API reference, Files)."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from batch_assets.sandbox.errors import ApiError, missing_parameter, unsupported_value
from batch_assets.sandbox.multipart import FormReader, MalformedForm, form_boundary
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.queries import cursor_page, integer_query, lifetime
from batch_assets.sandbox.stored_files import StoredFile, new_file_id

MAX_FILES_PER_PAGE = 10_000


async def upload_file(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    file_id = new_file_id()
    form, kept = await received(request, file_id, _check_form)
    filename = form.filename or "upload"
    file = await run_in_threadpool(sandbox.add_upload, file_id, filename, kept)
    return JSONResponse(file.to_json())


async def received(
    request: Request, file_id: str, check: Callable[[FormReader], float]
) -> tuple[FormReader, float]:
    """The form of an upload and what the check says of it; its file is there under the id."""
    sandbox: Sandbox = request.app.state.sandbox
    try:
        boundary = form_boundary(request.headers.get("content-type", ""))
        with sandbox.receiving(file_id) as sink:
            form = FormReader(boundary, sink)
            async for chunk in request.stream():
                form.feed(chunk)
                _check_size(form.file_bytes, sandbox.settings.max_file_bytes)
            if not form.finished:
                raise MalformedForm("it ends before its last boundary")
            return form, check(form)
    except MalformedForm as malformed:
        raise ApiError(400, f"Could not parse multipart form: {malformed}.") from malformed


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ApiError(413, f"File is too large. Batch files may have {limit} bytes.", param="file")


def _check_form(form: FormReader) -> float:
    """How long the file will be kept; raises for a form that the API refuses."""
    check_batch_file(form, purpose="batch")
    return lifetime(
        "expires_after",
        form.fields.get("expires_after[anchor]"),
        form.fields.get("expires_after[seconds]"),
    )


def check_batch_file(form: FormReader, *, purpose: str) -> None:
    """Raise for a form that brings no file for a batch."""
    given = form.fields.get("purpose")
    if given is None:
        raise missing_parameter("purpose")
    if given != purpose:
        raise unsupported_value("purpose", given, [purpose])
    if form.filename is None:
        raise missing_parameter("file")
    if not form.filename.endswith(".jsonl"):
        raise ApiError(400, "Invalid file format for Batch API. Must be .jsonl")


def list_files(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    order = request.query_params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise unsupported_value("order", order, ["asc", "desc"])
    files, more = sandbox.files.page(
        purpose=request.query_params.get("purpose"),
        after=request.query_params.get("after"),
        limit=integer_query(
            request, "limit", default=MAX_FILES_PER_PAGE, low=1, high=MAX_FILES_PER_PAGE
        ),
        descending=order == "desc",
    )
    return JSONResponse(cursor_page([file.to_json() for file in files], more))


def retrieve_file(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(sandbox.files.get(request.path_params["file_id"]).to_json())


def file_content(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    return content_of(sandbox, sandbox.files.get(request.path_params["file_id"]))


def content_of(sandbox: Sandbox, file: StoredFile) -> Response:
    path = sandbox.files.content_path(file.id)
    content = FileResponse(
        path,
        media_type="application/octet-stream",
        filename=file.filename,
        stat_result=path.stat() if file.bytes == 0 else None,
    )
    if file.bytes:
        return content
    # Of an empty file the client has all with the headers, and may reset the sandbox before a
    # FileResponse would open it: what fails after the headers costs the client its connection.
    return Response(headers=content.headers)


def delete_file(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    file_id = request.path_params["file_id"]
    sandbox.files.delete(file_id)
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})
