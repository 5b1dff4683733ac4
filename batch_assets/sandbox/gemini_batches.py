"""The routes of Gemini's Batch API: a batch is a long-running operation (API reference, Batch API;
google-genai 3.4, `batches.py`: _BatchJob_from_mldev).
"""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from batch_assets.sandbox.batch_routes import json_object
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.gemini_answers import GENERATE_CONTENT
from batch_assets.sandbox.gemini_errors import status_of
from batch_assets.sandbox.gemini_files import LIFETIME, WIRE, file_of, moment
from batch_assets.sandbox.gemini_lines import lines_for_the_engine, responses_file
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.queries import integer_query
from batch_assets.sandbox.stored_batches import BatchOrder

#: Gemini's words for the engine's; a word that a fault puts in stays as it is. The Developer API
#: has none for a batch that is being cancelled.
STATES = {
    "validating": "BATCH_STATE_PENDING",
    "in_progress": "BATCH_STATE_RUNNING",
    "finalizing": "BATCH_STATE_RUNNING",
    "cancelling": "BATCH_STATE_RUNNING",
    "completed": "BATCH_STATE_SUCCEEDED",
    "failed": "BATCH_STATE_FAILED",
    "cancelled": "BATCH_STATE_CANCELLED",
    "expired": "BATCH_STATE_EXPIRED",
}
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1beta"


async def create_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    batch = (await json_object(request)).get("batch")
    model = f"models/{request.path_params['model']}"
    if not isinstance(batch, dict):
        raise ApiError(400, "* BatchGenerateContentRequest.batch: batch is not specified")
    source = batch.get("inputConfig") or {}
    if "fileName" not in source:
        raise ApiError(400, "The sandbox takes batches of a file only: set inputConfig.fileName.")
    created = await run_in_threadpool(_create, sandbox, model, source["fileName"], batch)
    return JSONResponse(created)


def _create(sandbox: Sandbox, model: str, file_name: str, batch: dict[str, Any]) -> dict[str, Any]:
    file = file_of(sandbox, file_name.removeprefix("files/"))
    lines = lines_for_the_engine(sandbox, file, model)
    order = BatchOrder(
        endpoint=GENERATE_CONTENT,
        input_file_id=lines,
        metadata={
            "displayName": str(batch.get("displayName", "")),
            "model": model,
            "fileName": f"files/{file.id}",
        },
        output_lifetime=LIFETIME,
        wire=WIRE,
    )
    created = sandbox.create_batch(order)
    # Nobody but the engine knows of that file: it goes when the batch is executed.
    sandbox.files.delete(lines)
    return shown(sandbox, created)


def retrieve_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(shown(sandbox, sandbox.batch(_known(sandbox, request))))


def list_batches(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    batches, more = sandbox.batch_page(
        after=request.query_params.get("pageToken"),
        limit=integer_query(request, "pageSize", default=10, low=1, high=1_000),
        wire=WIRE,
    )
    page: dict[str, Any] = {"operations": [shown(sandbox, batch) for batch in batches]}
    if more:
        page["nextPageToken"] = batches[-1]["id"]
    return JSONResponse(page)


def cancel_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    try:
        sandbox.cancel(_known(sandbox, request))
    except ApiError as error:
        if error.status_code != 409:
            raise
        raise ApiError(400, error.message, code="FAILED_PRECONDITION") from error
    return JSONResponse({})


def delete_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.batches.forget(_known(sandbox, request))
    return JSONResponse({})


def _known(sandbox: Sandbox, request: Request) -> str:
    batch_id: str = request.path_params["batch_id"]
    if sandbox.batches.get(batch_id).wire != WIRE:
        raise ApiError(404, f"No batch found with id '{batch_id}'.")
    return batch_id


def shown(sandbox: Sandbox, batch: dict[str, Any]) -> dict[str, Any]:
    """The operation; its metadata are the batch."""
    state = STATES.get(batch["status"], batch["status"])
    told = batch["metadata"] or {}
    responses = responses_file(sandbox, batch)
    ended = state.endswith(ENDED)
    name = f"batches/{batch['id']}"
    metadata: dict[str, Any] = {
        "@type": f"{_TYPE}.GenerateContentBatch",
        "name": name,
        "displayName": told.get("displayName", ""),
        "model": told.get("model"),
        "inputConfig": {"fileName": told.get("fileName")},
        "createTime": moment(batch["created_at"]),
        "updateTime": moment(_last_of(batch)),
        "batchStats": _stats(batch["request_counts"]),
        "state": state,
    }
    if ended:
        metadata["endTime"] = moment(_last_of(batch))
    if responses is not None:
        metadata["output"] = {"responsesFile": responses}
    operation: dict[str, Any] = {"name": name, "metadata": metadata, "done": ended}
    if batch["status"] == "failed":
        operation["error"] = status_of("INVALID_ARGUMENT", _complaint(batch))
    elif responses is not None:
        operation["response"] = {
            "@type": f"{_TYPE}.GenerateContentBatchOutput",
            "responsesFile": responses,
        }
    return operation


def _stats(counts: dict[str, int]) -> dict[str, str]:
    """Numbers as text, as JSON of protocol buffers has those of 64 bits; none that is zero."""
    numbers = {
        "requestCount": counts["total"],
        "successfulRequestCount": counts["completed"],
        "failedRequestCount": counts["failed"],
        "pendingRequestCount": counts["total"] - counts["completed"] - counts["failed"],
    }
    return {name: str(number) for name, number in numbers.items() if number > 0}


def _complaint(batch: dict[str, Any]) -> str:
    errors = (batch["errors"] or {}).get("data") or []
    said = [f"line {error['line']}: {error['message']}" if error["line"] else error["message"]
            for error in errors]  # fmt: skip
    return "; ".join(said) or "The batch failed."


def _last_of(batch: dict[str, Any]) -> float:
    times = [batch[name] for name in batch if name.endswith("_at") and name != "expires_at"]
    return float(max(filter(None, times)))
