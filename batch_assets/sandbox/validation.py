"""The validation phase: which input files become a `failed` batch, and why.

Codes and texts are what OpenAI's API was seen to answer: the comments "Expecting -" in
llama-stack's tests/integration/batches/test_batches_errors.py were taken from the API. For
`empty_file` and `too_many_tasks` only the codes are on record (stdapi-ai#240), not the texts;
`invalid_method`, `invalid_custom_id` and
`too_many_inputs` are ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from batch_assets.sandbox.endpoints import ENDPOINTS, Endpoint
from batch_assets.sandbox.errors import JSON_TYPE_NAMES
from batch_assets.sandbox.settings import Settings

MAX_ERRORS = 100
"""Ours, so that a file of 50,000 bad lines does not make a huge batch object."""
LINE_PARAMETERS = ("custom_id", "method", "url", "body")

BatchError = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Validation:
    errors: list[BatchError]
    total: int = 0
    refused: int = 0
    """Requests that will get a 400 when they are executed."""
    model: str | None = None
    input_tokens: int = 0


def batch_error(
    code: str, message: str, *, line: int | None = None, param: str | None = None
) -> BatchError:
    return {"code": code, "line": line, "message": message, "param": param}


def unreadable_file(file_id: str) -> Validation:
    """Creation accepts an unknown file; the batch fails afterwards, without a line."""
    message = f"Cannot find file {file_id}, or organization org-sandbox does not have access to it."
    return Validation(errors=[batch_error("invalid_request", message, param="file_id")])


def enqueued_token_message(model: str, limit: int) -> str:
    return (
        f"Enqueued token limit reached for {model} in organization org-sandbox. "
        f"Limit: {limit:,} enqueued tokens. "
        "Please try again once some in_progress batches have been completed."
    )


def enqueued_token_error(model: str, limit: int) -> BatchError:
    return batch_error("token_limit_exceeded", enqueued_token_message(model, limit))


def validate_input(path: Path, url: str, settings: Settings) -> Validation:
    check = _InputCheck(url)
    for number, line in _lines(path):
        if number > settings.max_requests:
            message = (
                f"The batch input file contains more than {settings.max_requests} requests, "
                "the maximum for one batch."
            )
            return Validation(errors=[batch_error("too_many_tasks", message)])
        check.read(number, line)
    most = check.max_inputs
    if most is not None and check.inputs > most:
        message = (
            f"The batch input file contains {check.inputs} inputs, more than the maximum of {most} "
            "for one batch."
        )
        return Validation(errors=[batch_error("too_many_inputs", message)])
    if check.total == 0:
        return Validation(errors=[batch_error("empty_file", "The batch input file is empty.")])
    return Validation(
        errors=check.errors[:MAX_ERRORS],
        total=check.total,
        refused=check.refused,
        model=check.model,
        input_tokens=check.input_tokens,
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered from 1; an empty last line is the end of the file and not a line."""
    with path.open("rb") as file:
        pending: list[tuple[int, bytes]] = []
        for number, line in enumerate(file, start=1):
            if not line.strip():
                pending.append((number, line))
                continue
            yield from pending
            pending.clear()
            yield number, line


class _Invalid(Exception):
    """One line breaks a rule; the arguments are those of `batch_error`."""

    def __init__(self, code: str, message: str, param: str | None) -> None:
        super().__init__(code, message, param)
        self.code, self.message, self.param = code, message, param


class _InputCheck:
    """Reads one line after another and keeps what concerns the file as a whole."""

    def __init__(self, url: str) -> None:
        self.errors: list[BatchError] = []
        self.total = 0
        self.refused = 0
        self.input_tokens = 0
        self.inputs = 0
        self.model: str | None = None
        self._url = url
        self._endpoint: Endpoint = ENDPOINTS[url]
        self.max_inputs = self._endpoint.max_inputs
        self._custom_ids: set[str] = set()

    def read(self, number: int, line: bytes) -> None:
        self.total += 1
        try:
            body = self._body(line)
            self._check_body(body)
        except _Invalid as invalid:
            if len(self.errors) < MAX_ERRORS:
                self.errors.append(
                    batch_error(invalid.code, invalid.message, line=number, param=invalid.param)
                )
            return
        self.input_tokens += self._endpoint.input_tokens(body)
        self.inputs += self._endpoint.inputs(body)
        self.refused += self._endpoint.refusal(body) is not None

    def _body(self, line: bytes) -> dict[str, Any]:
        request = _decoded(line)
        for parameter in LINE_PARAMETERS:
            if parameter not in request:
                raise _missing(parameter)
        self._check_custom_id(request["custom_id"])
        if request["method"] != "POST":
            raise _Invalid("invalid_method", "The method must be 'POST'.", "method")
        if request["url"] != self._url:
            raise _Invalid(
                "invalid_url",
                "The URL provided for this request does not match the batch endpoint.",
                "url",
            )
        body: dict[str, Any] = _expect(request["body"], dict, "an object", "body")
        return body

    def _check_custom_id(self, custom_id: Any) -> None:
        _expect(custom_id, str, "a string", "custom_id")
        if not custom_id:
            raise _Invalid("invalid_custom_id", "The custom_id must not be empty.", "custom_id")
        if custom_id in self._custom_ids:
            raise _Invalid(
                "duplicate_custom_id",
                f"The custom_id '{custom_id}' for this request is a duplicate of another request. "
                "The custom_id parameter must be unique for each request in a batch.",
                "custom_id",
            )
        self._custom_ids.add(custom_id)

    def _check_body(self, body: dict[str, Any]) -> None:
        for parameter in self._endpoint.required:
            if body.get(parameter) is None:
                message = f"{parameter.capitalize()} parameter is required."
                raise _Invalid("invalid_request", message, f"body.{parameter}")
        if body.get("stream"):
            message = f"{self._endpoint.name}: Streaming is not supported in the Batch API."
            raise _Invalid("streaming_unsupported", message, "body.stream")
        model = _expect(
            body.get("model", self._endpoint.default_model), str, "a string", "body.model"
        )
        if self.model is None:
            self.model = model
        if model != self.model:
            raise _Invalid(
                "mismatched_model",
                f"The model '{model}' for this request does not match the rest of the batch. "
                "Each batch must contain requests for a single model.",
                "body.model",
            )


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise _Invalid("invalid_json_line", "This line is not parseable as valid JSON.", None)
    return request


def _missing(param: str) -> _Invalid:
    message = f"Missing required parameter: '{param}'."
    return _Invalid("missing_required_parameter", message, param)


def _expect(value: Any, kind: type, expected: str, param: str) -> Any:
    if isinstance(value, kind):
        return value
    got = JSON_TYPE_NAMES[type(value)]
    message = f"Invalid type for '{param}': expected {expected}, but got {got} instead."
    raise _Invalid("invalid_type", message, param)
