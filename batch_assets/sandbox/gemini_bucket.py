"""A bucket service for Vertex AI's batches: as much of Google Cloud Storage's JSON API as gcsfs
uses (API reference, Objects; "Resumable uploads"), and a place to get a token.

Clients find it by `STORAGE_EMULATOR_HOST`, which is the server's address and `/gcs`.
"""

import hashlib
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.gemini_errors import refused
from batch_assets.sandbox.gemini_files import moment
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.queries import integer_query
from batch_assets.sandbox.wire import Wire

_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


def object_path(sandbox: Sandbox, bucket: str, name: str) -> Path:
    """Where an object's content lies."""
    folder = _bucket_path(sandbox, bucket)
    folder.mkdir(exist_ok=True)
    return folder / quote(name, safe="")


def object_names(sandbox: Sandbox, bucket: str) -> list[str]:
    """The objects of a bucket; none of one that nothing was ever put into."""
    folder = _bucket_path(sandbox, bucket)
    if not folder.is_dir():
        return []
    return sorted(unquote(path.name) for path in folder.iterdir() if path.suffix != ".part")


def _bucket_path(sandbox: Sandbox, bucket: str) -> Path:
    return sandbox.files.buckets / quote(bucket, safe="")


async def upload_object(request: Request) -> Response:
    """A whole object in one call, or the start of one that comes in parts."""
    sandbox: Sandbox = request.app.state.sandbox
    bucket = request.path_params["bucket"]
    if request.query_params.get("uploadType") == "resumable":
        described = msgspec.json.decode(await request.body() or b"{}")
        name = request.query_params.get("name") or described["name"]
        _check_generation(request, object_path(sandbox, bucket, name))
        address = request.url.replace(query="").include_query_params(
            upload_id=secrets.token_hex(8), name=name
        )
        return Response(headers={"location": str(address)})
    if "upload_id" in request.query_params:
        return await _receive(request, sandbox, bucket)
    described, content = _parts_of(request.headers.get("content-type", ""), await request.body())
    path = object_path(sandbox, bucket, described["name"])
    _check_generation(request, path)
    path.write_bytes(content)
    return JSONResponse(_shown(sandbox, bucket, path))


def _check_generation(request: Request, path: Path) -> None:
    """The precondition `ifGenerationMatch=0`: only where no such object is there."""
    if request.query_params.get("ifGenerationMatch") == "0" and path.is_file():
        raise ApiError(412, "At least one of the pre-conditions you specified did not hold.")


async def _receive(request: Request, sandbox: Sandbox, bucket: str) -> Response:
    path = object_path(sandbox, bucket, request.query_params["name"])
    unfinished = path.with_name(f"{request.query_params['upload_id']}.part")
    unfinished.touch()
    found = _RANGE.fullmatch(request.headers.get("content-range", "bytes */0"))
    if found is None:
        raise ApiError(400, "Invalid Content-Range.")
    start = int(found[1]) if found[1] else unfinished.stat().st_size
    with unfinished.open("r+b") as sink:
        sink.seek(start)
        async for chunk in request.stream():
            sink.write(chunk)
        size = sink.tell()
    if found[3] == "*" or int(found[3]) != size:
        return Response(status_code=308, headers={"range": f"bytes=0-{size - 1}"})
    unfinished.replace(path)
    return JSONResponse(_shown(sandbox, bucket, path))


def _parts_of(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The description and the content of a multipart/related upload."""
    boundary = content_type.partition("boundary=")[2].strip("\"'").encode()
    try:
        _, first, second, _ = body.split(b"--" + boundary, 3)
        described = first.partition(b"\n\n" if b"\r\n\r\n" not in first else b"\r\n\r\n")[2]
        separator = b"\r\n\r\n" if b"\r\n\r\n" in second[:500] else b"\n\n"
        content = second.partition(separator)[2]
        end = b"\r\n" if content.endswith(b"\r\n") else b"\n"
        return msgspec.json.decode(described), content.removesuffix(end)
    except (ValueError, msgspec.DecodeError) as error:
        raise ApiError(400, "Could not parse the upload.") from error


def list_objects(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    bucket = request.path_params["bucket"]
    prefix = request.query_params.get("prefix", "")
    delimiter = request.query_params.get("delimiter", "")
    most = integer_query(request, "maxResults", default=1_000, low=1, high=1_000)
    entries: dict[str, Path | None] = {}
    for name in object_names(sandbox, bucket):
        if not name.startswith(prefix):
            continue
        folder, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        path = None if found else object_path(sandbox, bucket, name)
        entries[f"{prefix}{folder}{delimiter}" if found else name] = path
    begin = request.query_params.get("pageToken", "")
    left = {name: path for name, path in sorted(entries.items()) if name > begin}
    names = list(left)[:most]
    page: dict[str, Any] = {
        "items": [_shown(sandbox, bucket, item) for name in names if (item := left[name])],
        "prefixes": [name for name in names if left[name] is None],
    }
    if len(left) > most:
        page["nextPageToken"] = names[-1]
    return JSONResponse(page)


def retrieve_object(request: Request) -> Response:
    sandbox: Sandbox = request.app.state.sandbox
    path = _known(request)
    if request.query_params.get("alt") == "media":
        return FileResponse(path, media_type="application/octet-stream")
    return JSONResponse(_shown(sandbox, request.path_params["bucket"], path))


def delete_object(request: Request) -> Response:
    _known(request).unlink()
    return Response(status_code=204)


def get_token(request: Request) -> JSONResponse:
    token = {"access_token": "sandbox", "expires_in": 3_600, "token_type": "Bearer"}
    return JSONResponse(token)


def _known(request: Request) -> Path:
    sandbox: Sandbox = request.app.state.sandbox
    path = object_path(sandbox, request.path_params["bucket"], request.path_params["name"])
    if not path.is_file():
        raise ApiError(404, f"No such object: {request.path_params['name']}")
    return path


def _shown(sandbox: Sandbox, bucket: str, path: Path) -> dict[str, Any]:
    name, facts = unquote(path.name), path.stat()
    written = moment(sandbox.clock.now())
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{facts.st_mtime_ns}",
        "name": name,
        "bucket": bucket,
        "generation": str(facts.st_mtime_ns),
        "size": str(facts.st_size),
        "contentType": "application/octet-stream",
        "timeCreated": written,
        "updated": written,
        "etag": hashlib.sha256(str(facts.st_mtime_ns).encode()).hexdigest()[:16],
    }


_OBJECT = "/b/{bucket}/o/{name:path}"

GCS = Wire(
    name="gcs",
    prefix="/gcs",
    routes={
        "files.create": ("POST", "/upload/storage/v1/b/{bucket}/o", upload_object),
        "files.list": ("GET", "/storage/v1/b/{bucket}/o", list_objects),
        "files.content": ("GET", f"/download/storage/v1{_OBJECT}", retrieve_object),
        "files.retrieve": ("GET", f"/storage/v1{_OBJECT}", retrieve_object),
        "files.delete": ("DELETE", f"/storage/v1{_OBJECT}", delete_object),
        "token.create": ("POST", "/token", get_token),
    },
    refused=refused,
    key_complaint=lambda headers: None,
)
