"""The routes of OpenAI's Batch API (API reference, Batch)."""

from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from batch_assets.sandbox.endpoints import OPENAI_ENDPOINTS
from batch_assets.sandbox.errors import ApiError, missing_parameter, unsupported_value, wrong_type
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.queries import cursor_page, integer_query, lifetime
from batch_assets.sandbox.stored_batches import BatchOrder

MAX_METADATA_PAIRS = 16
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 512


async def create_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    order = _order(await json_object(request))
    return JSONResponse(await run_in_threadpool(sandbox.create_batch, order))


def retrieve_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(sandbox.batch(request.path_params["batch_id"]))


def cancel_batch(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(sandbox.cancel(request.path_params["batch_id"]))


def list_batches(request: Request) -> JSONResponse:
    sandbox: Sandbox = request.app.state.sandbox
    limit = integer_query(request, "limit", default=20, low=1, high=100)
    batches, more = sandbox.batch_page(after=request.query_params.get("after"), limit=limit)
    return JSONResponse(cursor_page(batches, more))


async def json_object(request: Request) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        raise ApiError(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The JSON body of your request must be an object.")
    return body


def _order(body: dict[str, Any]) -> BatchOrder:
    check_texts(body, "input_file_id", "endpoint", "completion_window")
    if body["endpoint"] not in OPENAI_ENDPOINTS:
        raise unsupported_value("endpoint", body["endpoint"], sorted(OPENAI_ENDPOINTS))
    if body["completion_window"] != "24h":
        raise unsupported_value("completion_window", body["completion_window"], ["24h"])
    expiry = body.get("output_expires_after") or {}
    if not isinstance(expiry, dict):
        raise wrong_parameter("output_expires_after", "an object", expiry)
    return BatchOrder(
        endpoint=body["endpoint"],
        input_file_id=body["input_file_id"],
        metadata=checked_metadata(body.get("metadata")),
        output_lifetime=lifetime(
            "output_expires_after", expiry.get("anchor"), expiry.get("seconds")
        ),
    )


def check_texts(body: dict[str, Any], *parameters: str) -> None:
    """Raise for the first of the parameters that is no text."""
    for parameter in parameters:
        if parameter not in body:
            raise missing_parameter(parameter)
        if not isinstance(body[parameter], str):
            raise wrong_parameter(parameter, "a string", body[parameter])


def checked_metadata(metadata: Any) -> dict[str, str] | None:
    """16 pairs, keys of 64 and values of 512 characters (API reference, `metadata`)."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise wrong_parameter("metadata", "an object", metadata)
    if len(metadata) > MAX_METADATA_PAIRS:
        raise ApiError(
            400,
            "Invalid 'metadata': too many properties. Expected an object with at most "
            f"{MAX_METADATA_PAIRS} properties, but got an object with {len(metadata)} properties "
            "instead.",
            param="metadata",
            code="object_above_max_properties",
        )
    for key, value in metadata.items():
        _check_metadata_pair(key, value)
    return metadata


def _check_metadata_pair(key: str, value: Any) -> None:
    param = f"metadata.{key}"
    if len(key) > MAX_METADATA_KEY:
        raise ApiError(
            400,
            f"Invalid property name in 'metadata': '{key}' is too long. Expected a string with "
            f"maximum length {MAX_METADATA_KEY}, but got a string with length {len(key)} instead.",
            param=param,
            code="property_name_above_max_length",
        )
    if not isinstance(value, str):
        raise wrong_parameter(param, "a string", value)
    if len(value) > MAX_METADATA_VALUE:
        raise ApiError(
            400,
            f"Invalid '{param}': string too long. Expected a string with maximum length "
            f"{MAX_METADATA_VALUE}, but got a string with length {len(value)} instead.",
            param=param,
            code="string_above_max_length",
        )


def wrong_parameter(param: str, expected: str, value: object) -> ApiError:
    error = wrong_type(param, expected, value)["error"]
    return ApiError(400, error["message"], param=param, code=error["code"])
