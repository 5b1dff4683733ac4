"""The routes of Anthropic's Message Batches (API reference, "Message Batches").

The requests stand in the call that creates a batch. What a `params` must be is found out when its
request is executed, except for what the guide says is refused at once (guide "Batch processing",
"Limitations").
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from batch_assets.sandbox.anthropic_results import failed_as_a_whole, translated
from batch_assets.sandbox.endpoints import ENDPOINTS
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.settings import Settings
from batch_assets.sandbox.stored_batches import BatchOrder, StoredBatch
from batch_assets.sandbox.stored_files import new_file_id
from batch_assets.sandbox.validation import Validation, enqueued_token_message

WIRE = "anthropic"
URL = "/v1/messages"
MAX_REQUESTS = 100_000
MAX_BYTES = 256_000_000
MAX_LIMIT = 1_000
ARCHIVED_AFTER = 29 * 24 * 60 * 60.0
LONGEST_CUSTOM_ID = 64
CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]+")

STATUSES = {
    "validating": "in_progress",
    "in_progress": "in_progress",
    "finalizing": "in_progress",
    "cancelling": "canceling",
    "failed": "ended",
    "completed": "ended",
    "expired": "ended",
    "cancelled": "ended",
}
ENDED_AT = ("completed_at", "expired_at", "cancelled_at", "failed_at")

_encode = msgspec.json.Encoder().encode


class _Request(msgspec.Struct):
    custom_id: Any = msgspec.UNSET
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Body(msgspec.Struct):
    requests: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


async def create_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    body = bytearray()
    most = _limit(sandbox, "max_file_bytes", MAX_BYTES)
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise ApiError(413, "Request exceeds the maximum size", type="request_too_large")
    batch = await run_in_threadpool(_created, sandbox, bytes(body))
    return JSONResponse(_shown(sandbox, batch, request))


def retrieve_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(_shown(sandbox, sandbox.batch(_stored(request).id), request))


def list_batches(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    query = request.query_params
    after, before = query.get("after_id"), query.get("before_id")
    if after and before:
        raise _refused("Cannot specify both `before_id` and `after_id`.")
    batches, more = sandbox.batch_page(
        after=_engine_id(after) if after else None,
        before=_engine_id(before) if before else None,
        limit=_page_size(query.get("limit", "20")),
        wire=WIRE,
    )
    shown = [_shown(sandbox, batch, request) for batch in batches]
    return JSONResponse(
        {
            "data": shown,
            "has_more": more,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
        }
    )


def cancel_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    stored = _stored(request)
    if stored.timeline.standing(sandbox.clock.now()).terminal:
        raise _refused(f"Batch {_our_id(stored.id)} cannot be canceled because it has ended.")
    return JSONResponse(_shown(sandbox, sandbox.cancel(stored.id), request))


def delete_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    stored = _stored(request)
    if not stored.timeline.standing(sandbox.clock.now()).terminal:
        raise _refused(
            f"Batch {_our_id(stored.id)} cannot be deleted while it is processing. Cancel it first."
        )
    sandbox.batches.forget(stored.id)
    return JSONResponse({"id": _our_id(stored.id), "type": "message_batch_deleted"})


def results(request: Request) -> Response:
    """A file, made of the engine's when it is asked for the first time."""
    sandbox: Sandbox = request.app.state.sandbox
    shown = sandbox.batch(_stored(request).id)
    if _results_url(sandbox, shown, request) is None:
        raise ApiError(
            404, f"No results for batch {_our_id(shown['id'])}: it has not ended, or is archived."
        )
    name = f"results-{shown['id']}"
    path = sandbox.files.content_path(name)
    if not path.exists():
        with sandbox.receiving(name) as sink:
            if shown["status"] == "failed":
                requests = sandbox.files.content_path(shown["input_file_id"])
                failed_as_a_whole(requests, shown["errors"]["data"][0]["message"], sink)
            else:
                # What a fault cuts off ends the output file.
                ids = filter(None, (shown["error_file_id"], shown["output_file_id"]))
                translated([sandbox.files.content_path(file_id) for file_id in ids], sink)
    return FileResponse(path, media_type="application/x-jsonl")


def _created(sandbox: Sandbox, body: bytes) -> dict[str, Any]:
    file_id = new_file_id()
    total = refused = tokens = 0
    model: str | None = None
    endpoint = ENDPOINTS[URL]
    with sandbox.receiving(file_id) as sink:
        for custom_id, params in _requests(sandbox, body):
            line = {"custom_id": custom_id, "method": "POST", "url": URL, "body": params}
            sink.write(_encode(line) + b"\n")
            total += 1
            refused += endpoint.refusal(params) is not None
            tokens += endpoint.input_tokens(params)
            model = model or params.get("model")
    sandbox.add_upload(file_id, "requests.jsonl", ARCHIVED_AFTER, wire=WIRE)
    order = BatchOrder(
        endpoint=URL,
        input_file_id=file_id,
        metadata=None,
        output_lifetime=ARCHIVED_AFTER,
        wire=WIRE,
        found=Validation(errors=[], total=total, refused=refused, model=model, input_tokens=tokens),
    )
    _check_room(sandbox, model, tokens)
    return sandbox.create_batch(order)


def _check_room(sandbox: Sandbox, model: str | None, tokens: int) -> None:
    limit = sandbox.settings.enqueued_token_limit
    if limit is None or model is None:
        return
    if sandbox.batches.enqueued_tokens(model, sandbox.clock.now()) + tokens > limit:
        raise ApiError(429, enqueued_token_message(model, limit), type="rate_limit_error")


def _requests(sandbox: Sandbox, body: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The requests one after the other; raises ApiError for the first rule that is broken."""
    try:
        requests = msgspec.json.decode(body, type=_Body).requests
    except msgspec.ValidationError:
        raise _refused("requests: Input should be a valid list") from None
    except msgspec.DecodeError as error:
        raise _refused(f"The request body is not valid JSON: {error}") from None
    if isinstance(requests, msgspec.UnsetType):
        raise _refused("requests: Field required")
    if not requests:
        raise _refused("requests: List should have at least 1 item after validation, not 0")
    most = _limit(sandbox, "max_requests", MAX_REQUESTS)
    if len(requests) > most:
        raise _refused(
            f"requests: List should have at most {most} items after validation, not {len(requests)}"
        )
    seen: set[str] = set()
    for place, raw in enumerate(requests):
        yield _request(raw, f"requests.{place}", seen)


def _request(raw: msgspec.Raw, where: str, seen: set[str]) -> tuple[str, dict[str, Any]]:
    try:
        request = msgspec.json.decode(raw, type=_Request)
    except msgspec.ValidationError:
        raise _refused(f"{where}: Input should be a valid dictionary") from None
    _check_custom_id(request.custom_id, f"{where}.custom_id", seen)
    if isinstance(request.params, msgspec.UnsetType):
        raise _refused(f"{where}.params: Field required")
    params = msgspec.json.decode(request.params)
    if not isinstance(params, dict):
        raise _refused(f"{where}.params: Input should be a valid dictionary")
    if params.get("stream"):
        raise _refused(f"{where}.params.stream: Streaming is not supported in batches")
    if params.get("max_tokens") == 0:
        raise _refused(f"{where}.params.max_tokens: Input should be greater than or equal to 1")
    return request.custom_id, params


def _check_custom_id(custom_id: Any, where: str, seen: set[str]) -> None:
    if custom_id is msgspec.UNSET:
        raise _refused(f"{where}: Field required")
    if not isinstance(custom_id, str):
        raise _refused(f"{where}: Input should be a valid string")
    if len(custom_id) > LONGEST_CUSTOM_ID:
        raise _refused(f"{where}: String should have at most {LONGEST_CUSTOM_ID} characters")
    if not CUSTOM_ID.fullmatch(custom_id):
        raise _refused(f"{where}: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
    if custom_id in seen:
        raise _refused(f"{where}: Duplicate custom_id found: {custom_id}")
    seen.add(custom_id)


def _shown(sandbox: Sandbox, batch: dict[str, Any], request: Request) -> dict[str, Any]:
    """The engine's batch as Anthropic describes it; a word that a fault said stays."""
    status = STATUSES.get(batch["status"], batch["status"])
    ended_at = next((batch[name] for name in ENDED_AT if batch[name]), None)
    archived_at = batch["created_at"] + ARCHIVED_AFTER
    return {
        "id": _our_id(batch["id"]),
        "type": "message_batch",
        "processing_status": status,
        "request_counts": _counts(batch, ended=status == "ended"),
        "created_at": _moment(batch["created_at"]),
        "expires_at": _moment(batch["expires_at"]),
        "ended_at": _moment(ended_at) if status == "ended" else None,
        "cancel_initiated_at": _moment(batch["cancelling_at"]),
        "archived_at": _moment(archived_at) if sandbox.clock.now() >= archived_at else None,
        "results_url": _results_url(sandbox, batch, request),
    }


def _counts(batch: dict[str, Any], *, ended: bool) -> dict[str, int]:
    """All are processing until the batch has ended."""
    counts = batch["request_counts"]
    told = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    if not ended:
        return told | {"processing": counts["total"]}
    rest = max(0, counts["total"] - counts["completed"] - counts["failed"])
    told |= {"succeeded": counts["completed"], "errored": counts["failed"]}
    kind = {"cancelled": "canceled", "expired": "expired"}.get(batch["status"], "errored")
    told[kind] += rest
    return told


def _results_url(sandbox: Sandbox, batch: dict[str, Any], request: Request) -> str | None:
    has_files = bool(batch["output_file_id"] or batch["error_file_id"])
    is_there = STATUSES.get(batch["status"]) == "ended" and (
        has_files or batch["status"] == "failed"
    )
    if not is_there or sandbox.clock.now() >= batch["created_at"] + ARCHIVED_AFTER:
        return None
    origin = f"{request.url.scheme}://{request.url.netloc}"
    return f"{origin}/{WIRE}{URL}/batches/{_our_id(batch['id'])}/results"


def _stored(request: Request) -> StoredBatch:
    sandbox: Sandbox = request.app.state.sandbox
    asked: str = request.path_params["batch_id"]
    try:
        stored = sandbox.batches.get(_engine_id(asked))
    except ApiError:
        stored = None
    if stored is None or stored.wire != WIRE:
        raise ApiError(404, f"Could not find message batch with id {asked}.")
    return stored


def _our_id(batch_id: str) -> str:
    return f"msg{batch_id.replace('batch_', 'batch_01', 1)}"


def _engine_id(batch_id: str) -> str:
    return batch_id.replace("msgbatch_01", "batch_", 1)


def _limit(sandbox: Sandbox, name: str, own: int) -> int:
    """Anthropic's own limit, except where another than OpenAI's was chosen."""
    chosen: int = getattr(sandbox.settings, name)
    return own if chosen == getattr(Settings(), name) else chosen


def _page_size(written: str) -> int:
    try:
        size = int(written)
    except ValueError:
        raise _refused("limit: Input should be a valid integer") from None
    if not 1 <= size <= MAX_LIMIT:
        bound = "greater than or equal to 1" if size < 1 else f"less than or equal to {MAX_LIMIT}"
        raise _refused(f"limit: Input should be {bound}")
    return size


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def _refused(message: str) -> ApiError:
    return ApiError(400, message)
