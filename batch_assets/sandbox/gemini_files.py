"""The routes of Gemini's Files API that batches need, with its resumable upload (API reference,
Files; google-genai 3.4, `_api_client.py`: _upload_fd).
"""

import secrets
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.queries import integer_query
from batch_assets.sandbox.stored_files import StoredFile

WIRE = "gemini"

#: How long the Files API keeps a file (guide "Files API").
LIFETIME = 48 * 60 * 60.0

MOST_FILES = 100
LONGEST_NAME = 512
COMMAND = "x-goog-upload-command"


async def upload_file(request: Request) -> Response:
    """Both steps of an upload: `start` gives an address, to which the content is sent."""
    command = request.headers.get(COMMAND, "")
    if command == "start":
        return await _start(request)
    if "upload" in command:
        return await _receive(request, is_last="finalize" in command)
    raise ApiError(400, "Upload request must have a valid X-Goog-Upload-Command header.")


async def _start(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    length = request.headers.get("x-goog-upload-header-content-length", "0")
    _check_size(int(length), sandbox.settings.max_file_bytes)
    content = await request.body()
    described = msgspec.json.decode(content) if content else {}
    file = described.get("file") or {}
    # JSON of protocol buffers takes both spellings, and the SDK sends the second.
    display_name = file.get("displayName") or file.get("display_name") or ""
    if len(display_name) > LONGEST_NAME:
        raise ApiError(400, f"display_name must have at most {LONGEST_NAME} characters.")
    # The address says all there is to know, so that a restart loses no upload.
    address = request.url.replace(query="").include_query_params(
        upload_id=secrets.token_hex(6), upload_protocol="resumable", display_name=display_name
    )
    headers = {"x-goog-upload-url": str(address), "x-goog-upload-status": "active"}
    return Response(headers=headers)


async def _receive(request: Request, *, is_last: bool) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    file_id = request.query_params.get("upload_id", "")
    if not file_id.isalnum():
        raise ApiError(404, "No such upload.")
    path = sandbox.files.content_path(file_id)
    path.touch()
    offset = int(request.headers.get("x-goog-upload-offset", "0"))
    if offset > path.stat().st_size:
        raise ApiError(400, f"The upload has {path.stat().st_size} bytes, not {offset}.")
    with path.open("r+b") as sink:
        # What is sent again after a lost reply takes the place of what came then.
        sink.truncate(offset)
        sink.seek(offset)
        async for chunk in request.stream():
            sink.write(chunk)
        size = sink.tell()
    _check_size(size, sandbox.settings.max_file_bytes)
    if not is_last:
        return Response(headers={"x-goog-upload-status": "active"})
    name = request.query_params.get("display_name", "")
    file = await run_in_threadpool(sandbox.add_upload, file_id, name, LIFETIME, wire=WIRE)
    headers = {"x-goog-upload-status": "final"}
    return JSONResponse({"file": shown(file)}, headers=headers)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ApiError(
            400,
            f"The file has more than {limit} bytes.",
            headers={"x-goog-upload-status": "final"},
        )


def list_files(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    files, more = sandbox.files.page(
        purpose=None,
        after=request.query_params.get("pageToken"),
        limit=integer_query(request, "pageSize", default=10, low=1, high=MOST_FILES),
        descending=True,
        wire=WIRE,
    )
    page: dict[str, Any] = {"files": [shown(file) for file in files]}
    if more:
        page["nextPageToken"] = files[-1].id
    return JSONResponse(page)


def retrieve_file(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(shown(file_of(sandbox, request.path_params["file_id"])))


def file_content(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    file = file_of(sandbox, request.path_params["file_id"])
    if file.purpose == "batch":
        raise ApiError(400, "Only generated files can be downloaded, uploaded files can't be.")
    path = sandbox.files.content_path(file.id)
    if file.bytes == 0:
        return Response(media_type="application/octet-stream")
    return FileResponse(path, media_type="application/octet-stream")


def delete_file(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.files.delete(file_of(sandbox, request.path_params["file_id"]).id)
    return JSONResponse({})


def file_of(sandbox: Sandbox, file_id: str) -> StoredFile:
    """The file; one that is not there is answered as one of somebody else's."""
    try:
        file = sandbox.files.get(file_id)
    except ApiError:
        file = None
    if file is None or file.wire != WIRE:
        message = f"You do not have permission to access the File {file_id} or it may not exist."
        raise ApiError(403, message)
    return file


def shown(file: StoredFile) -> dict[str, Any]:
    is_upload = file.purpose == "batch"
    fields = {
        "name": f"files/{file.id}",
        "displayName": file.filename,
        "mimeType": "application/jsonl",
        "sizeBytes": str(file.bytes),
        "createTime": moment(file.created_at),
        "updateTime": moment(file.created_at),
        "expirationTime": moment(file.expires_at),
        "uri": f"https://generativelanguage.googleapis.com/v1beta/files/{file.id}",
        "state": "ACTIVE",
        "source": "UPLOADED" if is_upload else "GENERATED",
    }
    if not is_upload:
        fields["downloadUri"] = f"{fields['uri']}:download?alt=media"
    return fields


def moment(seconds: float) -> str:
    """Of Google's timestamps, which have nanoseconds."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
