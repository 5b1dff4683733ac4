"""The routes of a server that speaks OpenAI's Batch API in its own way."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from batch_assets.sandbox.batch_routes import check_texts, checked_metadata, json_object
from batch_assets.sandbox.compatible_oddities import Oddities, hours_of, shown, with_text_body
from batch_assets.sandbox.endpoints import OPENAI_ENDPOINTS
from batch_assets.sandbox.errors import ApiError, missing_parameter, unsupported_value
from batch_assets.sandbox.file_routes import check_batch_file, content_of, received
from batch_assets.sandbox.multipart import FormReader
from batch_assets.sandbox.openai_wire import list_models
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.queries import cursor_page, integer_query, lifetime
from batch_assets.sandbox.read_lines import as_read, as_sent
from batch_assets.sandbox.stored_batches import BatchOrder
from batch_assets.sandbox.stored_files import StoredFile, new_file_id, no_such_file
from batch_assets.sandbox.wire import Routes

_URL = re.compile(rb'("url"\s*:\s*")(/(?!v1/))')

#: More than any list of a test has.
_ALL = 1_000_000


@dataclass(frozen=True)
class CompatibleRoutes:
    """The calls of one wire; its oddities are asked for at each of them."""

    wire: str
    oddities_of: Callable[[Sandbox], Oddities]

    def routes(self, below: str, upload_path: str) -> Routes:
        """By the names that OpenAI's routes have."""
        return {
            "files.create": ("POST", f"{below}{upload_path}", self.upload_file),
            "files.list": ("GET", f"{below}/files", self.list_files),
            "files.retrieve": ("GET", f"{below}/files/{{file_id}}", self.retrieve_file),
            "files.content": ("GET", f"{below}/files/{{file_id}}/content", self.file_content),
            "files.delete": ("DELETE", f"{below}/files/{{file_id}}", self.delete_file),
            "batches.create": ("POST", f"{below}/batches", self.create_batch),
            "batches.list": ("GET", f"{below}/batches", self.list_batches),
            "batches.retrieve": ("GET", f"{below}/batches/{{batch_id}}", self.retrieve_batch),
            "batches.cancel": ("POST", f"{below}/batches/{{batch_id}}/cancel", self.cancel_batch),
            "models.list": ("GET", f"{below}/models", list_models),
        }

    async def upload_file(self, request: Request) -> JSONResponse:
        sandbox, odd = self._asked(request)

        def check(form: FormReader) -> float:
            check_batch_file(form, purpose=odd.purpose)
            if odd.names_file and not form.fields.get("file_name"):
                raise missing_parameter("file_name")
            anchor = form.fields.get("expires_after[anchor]")
            if anchor is not None and not odd.keeps_for:
                raise unknown_parameter("expires_after")
            return lifetime("expires_after", anchor, form.fields.get("expires_after[seconds]"))

        file_id = new_file_id()
        form, kept = await received(request, file_id, check)
        return await run_in_threadpool(self._uploaded, sandbox, odd, file_id, form, kept)

    def _uploaded(
        self, sandbox: Sandbox, odd: Oddities, file_id: str, form: FormReader, kept: float
    ) -> JSONResponse:
        content = sandbox.files.content_path(file_id)
        for other in self._files(sandbox) if odd.equal_files == "refused" else ():
            if sandbox.files.content_path(other.id).read_bytes() == content.read_bytes():
                content.unlink()
                return JSONResponse({"message": "exists", "file_id": other.id}, status_code=409)
        name = form.fields.get("file_name") or form.filename or "upload"
        file = sandbox.add_upload(file_id, name, kept, wire=self.wire)
        return JSONResponse(self._file(sandbox, odd, file))

    def list_files(self, request: Request) -> JSONResponse:
        sandbox, odd = self._asked(request)
        if not odd.file_list:
            raise no_route(request)
        if odd.listing in ("whole", "array"):
            files = [self._file(sandbox, odd, file) for file in self._files(sandbox)]
            return JSONResponse({"object": "list", "data": files})
        purpose = request.query_params.get("purpose")
        found, more = sandbox.files.page(
            purpose="batch" if purpose == odd.purpose else purpose,
            after=request.query_params.get("after"),
            limit=integer_query(request, "limit", default=10_000, low=1, high=10_000),
            descending=request.query_params.get("order", "desc") == "desc",
            wire=self.wire,
        )
        files = [self._file(sandbox, odd, file) for file in found]
        return JSONResponse(cursor_page(files, more))

    def retrieve_file(self, request: Request) -> JSONResponse:
        sandbox, odd = self._asked(request)
        if not odd.file_status:
            raise no_route(request)
        return JSONResponse(self._file(sandbox, odd, self._named_file(request)))

    def file_content(self, request: Request) -> Response:
        sandbox, odd = self._asked(request)
        file = self._named_file(request)
        if not odd.text_bodies or file.purpose == "batch":
            return content_of(sandbox, file)
        lines = sandbox.files.content_path(file.id).read_bytes().splitlines(keepends=True)
        return StreamingResponse(map(with_text_body, lines))

    def delete_file(self, request: Request) -> JSONResponse:
        sandbox, _ = self._asked(request)
        file = self._named_file(request)
        sandbox.files.delete(file.id)
        return JSONResponse({"id": file.id, "object": "file", "deleted": True})

    async def create_batch(self, request: Request) -> JSONResponse:
        sandbox, odd = self._asked(request)
        body = await json_object(request)
        return await run_in_threadpool(self._created, sandbox, odd, body)

    def _created(self, sandbox: Sandbox, odd: Oddities, body: dict[str, Any]) -> JSONResponse:
        order = self._order(sandbox, odd, body)
        batch = shown(self._batch(sandbox.create_batch(order)), odd)
        return JSONResponse({odd.created_in: batch, "warning": ""} if odd.created_in else batch)

    def _order(self, sandbox: Sandbox, odd: Oddities, body: dict[str, Any]) -> BatchOrder:
        check_texts(body, "input_file_id", "endpoint", "completion_window")
        version = "" if odd.versioned else "/v1"
        taken = [url.removeprefix(version) for url in odd.endpoints or sorted(OPENAI_ENDPOINTS)]
        if body["endpoint"] not in taken:
            raise unsupported_value("endpoint", body["endpoint"], taken)
        if hours_of(body["completion_window"]) not in odd.window_hours:
            windows = [f"{hours}h" for hours in odd.window_hours]
            raise unsupported_value("completion_window", body["completion_window"], windows)
        kept = body.get("output_expires_after") or {}
        if kept and not odd.keeps_for:
            raise unknown_parameter("output_expires_after")
        file_id = self._input(sandbox, odd, body["input_file_id"])
        return BatchOrder(
            endpoint=version + body["endpoint"],
            input_file_id=file_id,
            metadata=_metadata(body, odd),
            output_lifetime=lifetime(
                "output_expires_after", kept.get("anchor"), kept.get("seconds")
            ),
            wire=self.wire,
        )

    def _input(self, sandbox: Sandbox, odd: Oddities, file_id: str) -> str:
        """The file as the sandbox reads it; raises for one that is not ready."""
        file = next((file for file in self._files(sandbox) if file.id == file_id), None)
        if file is None:
            return file_id
        if self._status(sandbox, odd, file) == "pending":
            raise ApiError(400, f"File '{file_id}' is in state 'pending'.", param="input_file_id")
        if odd.max_batch_bytes is not None and file.bytes > odd.max_batch_bytes:
            return as_read(sandbox, file_id, lambda line: b"The file is too large.\n")
        if odd.versioned:
            return file_id
        return as_read(sandbox, file_id, lambda line: _URL.sub(rb"\1/v1\2", line, count=1))

    def retrieve_batch(self, request: Request) -> JSONResponse:
        sandbox, odd = self._asked(request)
        return JSONResponse(shown(self._batch(sandbox.batch(self._batch_id(request))), odd))

    def cancel_batch(self, request: Request) -> JSONResponse:
        sandbox, odd = self._asked(request)
        return JSONResponse(shown(self._batch(sandbox.cancel(self._batch_id(request))), odd))

    def list_batches(self, request: Request) -> JSONResponse:
        sandbox, odd = self._asked(request)
        after = request.query_params.get("after")
        limit = integer_query(request, "limit", default=20, low=1, high=100)
        if odd.listing == "pages":
            found, more = sandbox.batch_page(after=after, limit=limit, wire=self.wire)
            return JSONResponse(cursor_page(self._shown(found, odd), more))
        found, _ = sandbox.batch_page(after=None, limit=_ALL, wire=self.wire)
        match odd.listing:
            case "array":
                return JSONResponse(self._shown(found, odd))
            case "whole":
                return JSONResponse({"object": "list", "data": self._shown(found, odd)})
        # The same disorder at every call, so that a cursor has a place in it.
        found.sort(key=lambda batch: random.Random(batch["id"]).random())
        ids = [batch["id"] for batch in found]
        if after is not None and after not in ids:
            raise ApiError(404, f"No batch found with id '{after}'.")
        start = 0 if after is None else ids.index(after) + 1
        page = self._shown(found[start : start + limit], odd)
        return JSONResponse(cursor_page(page, start + limit < len(ids)))

    def _asked(self, request: Request) -> tuple[Sandbox, Oddities]:
        sandbox: Sandbox = request.app.state.sandbox
        odd = self.oddities_of(sandbox)
        version = request.query_params.get("api-version")
        if odd.api_version is not None and version != odd.api_version:
            raise ApiError(404, "Resource not found", code="404")
        return sandbox, odd

    def _batch_id(self, request: Request) -> str:
        """The id of a batch of this wire; raises for another's."""
        sandbox: Sandbox = request.app.state.sandbox
        batch_id: str = request.path_params["batch_id"]
        if sandbox.batches.get(batch_id).wire != self.wire:
            raise ApiError(404, f"No batch found with id '{batch_id}'.")
        return batch_id

    def _named_file(self, request: Request) -> StoredFile:
        sandbox: Sandbox = request.app.state.sandbox
        file = sandbox.files.get(request.path_params["file_id"])
        if file.wire != self.wire:
            raise no_such_file(file.id)
        return file

    def _files(self, sandbox: Sandbox) -> list[StoredFile]:
        """All of the wire, the newest first."""
        return sandbox.files.page(
            purpose=None, after=None, limit=_ALL, descending=True, wire=self.wire
        )[0]

    def _status(self, sandbox: Sandbox, odd: Oddities, file: StoredFile) -> str:
        age = sandbox.clock.now() - file.created_at
        return "pending" if file.purpose == "batch" and age < odd.pending_seconds else "processed"

    def _file(self, sandbox: Sandbox, odd: Oddities, file: StoredFile) -> dict[str, Any]:
        purpose = odd.purpose if file.purpose == "batch" else file.purpose
        status = self._status(sandbox, odd, file)
        return file.to_json() | {"purpose": purpose, "status": status}

    def _batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        return batch | {"input_file_id": as_sent(batch["input_file_id"])}

    def _shown(self, batches: list[dict[str, Any]], odd: Oddities) -> list[dict[str, Any]]:
        return [shown(self._batch(batch), odd) for batch in batches]


def _metadata(body: dict[str, Any], odd: Oddities) -> dict[str, str] | None:
    metadata = body.get("metadata")
    if metadata is not None and odd.metadata == "refused":
        raise unknown_parameter("metadata")
    if odd.metadata_bytes is None or not isinstance(metadata, dict):
        return checked_metadata(metadata)
    size = sum(len(str(text).encode()) for pair in metadata.items() for text in pair)
    if size > odd.metadata_bytes:
        message = f"metadata must not exceed {odd.metadata_bytes} bytes"
        raise ApiError(400, message, param="metadata")
    return metadata


def unknown_parameter(name: str) -> ApiError:
    return ApiError(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")


def no_route(request: Request) -> ApiError:
    return ApiError(404, f"Invalid URL ({request.method} {request.url.path})")
