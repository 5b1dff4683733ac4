"""Batch prediction jobs as Vertex AI has them, over the sandbox's own buckets (REST reference,
projects.locations.batchPredictionJobs; page "Batch inference from Cloud Storage").

An output line repeats its request, has `status` in place of an error, and nothing else of the
request's line.
"""

import threading
from pathlib import Path
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from batch_assets.sandbox.batch_routes import json_object
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.gemini_answers import GENERATE_CONTENT
from batch_assets.sandbox.gemini_bucket import object_path
from batch_assets.sandbox.gemini_errors import name_of, status_of
from batch_assets.sandbox.gemini_files import LIFETIME, moment
from batch_assets.sandbox.gemini_lines import FILE_IDS
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.queries import integer_query
from batch_assets.sandbox.stored_batches import BatchOrder
from batch_assets.sandbox.stored_files import new_file_id

WIRE = "vertex"

STATES = {
    "validating": "JOB_STATE_PENDING",
    "in_progress": "JOB_STATE_RUNNING",
    "finalizing": "JOB_STATE_RUNNING",
    "cancelling": "JOB_STATE_CANCELLING",
    "completed": "JOB_STATE_SUCCEEDED",
    "failed": "JOB_STATE_FAILED",
    "cancelled": "JOB_STATE_CANCELLED",
    "expired": "JOB_STATE_EXPIRED",
}

_MAKING = threading.Lock()

_encode = msgspec.json.Encoder().encode


async def create_job(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    job = await json_object(request)
    parent = "projects/{project}/locations/{location}".format_map(request.path_params)
    return JSONResponse(await run_in_threadpool(_create, sandbox, parent, job))


def _create(sandbox: Sandbox, parent: str, job: dict[str, Any]) -> dict[str, Any]:
    source = _object(sandbox, job["inputConfig"]["gcsSource"]["uris"][0])
    if not source.is_file():
        raise ApiError(400, "The Cloud Storage input file does not exist.")
    file_id = new_file_id()
    with source.open("rb") as lines, sandbox.receiving(file_id) as sink:
        for number, line in enumerate(lines):
            sink.write(_for_the_engine(number, line, job["model"]))
    sandbox.add_upload(file_id, "requests", LIFETIME, wire=WIRE, purpose="engine")
    told = {
        "displayName": str(job.get("displayName", "")),
        "model": job["model"],
        "source": job["inputConfig"]["gcsSource"]["uris"][0],
        "prefix": job["outputConfig"]["gcsDestination"]["outputUriPrefix"],
        "parent": parent,
    }
    order = BatchOrder(
        endpoint=GENERATE_CONTENT,
        input_file_id=file_id,
        metadata=told,
        output_lifetime=LIFETIME,
        wire=WIRE,
    )
    created = sandbox.create_batch(order)
    sandbox.files.delete(file_id)
    return _shown(sandbox, created)


def _for_the_engine(number: int, line: bytes, model: str) -> bytes:
    try:
        body = {**msgspec.json.decode(line)["request"], "model": model.rpartition("/")[2]}
    except (msgspec.DecodeError, LookupError, TypeError):
        return line
    address = {"method": "POST", "url": GENERATE_CONTENT}
    return _encode({"custom_id": str(number), **address, "body": body}) + b"\n"


def list_jobs(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    batches, more = sandbox.batch_page(
        after=request.query_params.get("pageToken"),
        limit=integer_query(request, "pageSize", default=10, low=1, high=100),
        wire=WIRE,
    )
    jobs = [_shown(sandbox, batch) for batch in batches]
    name, _, value = request.query_params.get("filter", "").partition("=")
    page: dict[str, Any] = {
        "batchPredictionJobs": [job for job in jobs if not name or job[name] == value.strip('"')]
    }
    if more:
        page["nextPageToken"] = batches[-1]["id"]
    return JSONResponse(page)


def retrieve_job(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(_shown(sandbox, sandbox.batch(_known(sandbox, request))))


def cancel_job(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    try:
        sandbox.cancel(_known(sandbox, request))
    except ApiError as error:
        if error.status_code != 409:
            raise
        raise ApiError(400, error.message, code="FAILED_PRECONDITION") from error
    return JSONResponse({})


def delete_job(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.batches.forget(_known(sandbox, request))
    return JSONResponse({"name": "operations/1", "done": True})


def _known(sandbox: Sandbox, request: Request) -> str:
    batch_id: str = request.path_params["batch_id"]
    if sandbox.batches.get(batch_id).wire != WIRE:
        raise ApiError(404, f"The BatchPredictionJob {batch_id} does not exist.")
    return batch_id


def _object(sandbox: Sandbox, url: str) -> Path:
    bucket, _, name = url.removeprefix("gs://").partition("/")
    return object_path(sandbox, bucket, name)


def _shown(sandbox: Sandbox, batch: dict[str, Any]) -> dict[str, Any]:
    told, state = batch["metadata"], STATES.get(batch["status"], batch["status"])
    counts = batch["request_counts"]
    job: dict[str, Any] = {
        "name": f"{told['parent']}/batchPredictionJobs/{batch['id']}",
        "displayName": told["displayName"],
        "model": told["model"],
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [told["source"]]}},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": told["prefix"]},
        },
        "state": state,
        "createTime": moment(batch["created_at"]),
        "completionStats": {
            "successfulCount": str(counts["completed"]),
            "failedCount": str(counts["failed"]),
        },
    }
    if batch["errors"]:
        said = "; ".join(error["message"] for error in batch["errors"]["data"])
        job["error"] = status_of("INVALID_ARGUMENT", said)
    if (folder := _predictions(sandbox, batch)) is not None:
        job["outputInfo"] = {"gcsOutputDirectory": folder}
    return job


def _predictions(sandbox: Sandbox, batch: dict[str, Any]) -> str | None:
    """The folder of the output, which is made when it is first looked for."""
    sources = [batch[name] for name in FILE_IDS if batch[name]]
    if not sources:
        return None
    folder = f"{batch['metadata']['prefix']}/prediction-model-{batch['id'][-8:]}"
    with _MAKING:
        paths = [sandbox.files.content_path(source) for source in sources]
        if all(path.exists() for path in paths):
            _write(sandbox, batch, folder, paths)
            for source in sources:
                sandbox.files.delete(source)
    return folder


def _write(sandbox: Sandbox, batch: dict[str, Any], folder: str, paths: list[Path]) -> None:
    asked = _object(sandbox, batch["metadata"]["source"]).read_bytes().split(b"\n")
    with _object(sandbox, f"{folder}/predictions.jsonl").open("wb") as sink:
        for path in paths:
            for line in path.read_bytes().splitlines(keepends=True):
                sink.write(_as_answered(line, asked))


def _as_answered(line: bytes, asked: list[bytes]) -> bytes:
    """A line of the output; nothing for a request that the job did not get to."""
    try:
        found = msgspec.json.decode(line)
        response, error = found["response"], found["error"]
        request = msgspec.json.decode(asked[int(found["custom_id"])])["request"]
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        return line
    if error is not None or response is None:
        return b""
    status, body = "", response["body"]
    if response["status_code"] not in (200, 0):
        name = name_of(response["status_code"])
        told = {
            "code": response["status_code"],
            "message": body["error"]["message"],
            "status": name,
        }
        status, body = f"Bad Request: {_encode({'error': told}).decode()}", {}
    answered = {"status": status, "processed_time": moment(0), "request": request, "response": body}
    return _encode(answered) + b"\n"
