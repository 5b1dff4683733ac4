"""One request, one answer: what an endpoint says to a call of its own, beside all batches."""

import secrets
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec

from batch_assets.sandbox.clock import Clock
from batch_assets.sandbox.database import Database
from batch_assets.sandbox.endpoints import ENDPOINTS
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.executions import body_digest, count_executions
from batch_assets.sandbox.faults import Faults
from batch_assets.sandbox.item_faults import Written, as_answered

#: Seconds over which calls are counted against the limit.
WINDOW = 60.0

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True)
class LiveAnswer:
    """What goes back, byte for byte."""

    status_code: int
    body: bytes


class LiveCalls:
    """The calls of a minute, and their answers."""

    def __init__(self, clock: Clock, database: Database) -> None:
        self._clock = clock
        self._database = database
        self._lock = threading.Lock()
        self._taken: deque[float] = deque()

    def check_rate(self, limit: int | None) -> None:
        """Count the call. Raises ApiError 429, with the seconds until there is room, beyond it."""
        if limit is None:
            return
        now = self._clock.now()
        with self._lock:
            while self._taken and self._taken[0] <= now - WINDOW:
                self._taken.popleft()
            if len(self._taken) < limit:
                self._taken.append(now)
                return
            wait = self._taken[0] + WINDOW - now
        raise ApiError(
            429,
            f"Rate limit reached for requests per min (RPM): Limit {limit}, Used {limit}, "
            f"Requested 1. Please try again in {wait:.3f}s.",
            code="rate_limit_exceeded",
            type="requests",
            headers={"retry-after": f"{wait:.3f}", "retry-after-ms": f"{wait * 1000:.0f}"},
        )

    def forget(self) -> None:
        with self._lock:
            self._taken.clear()

    def answer(self, url: str, body: dict[str, Any], faults: Faults) -> LiveAnswer | None:
        """What the endpoint says; None where a fault leaves the request without an answer.

        An answer counts as an execution, as it does in a batch. Raises ApiError for an error, which
        each wire says in its own words.
        """
        reply = ENDPOINTS[url].reply(body, secrets.token_hex(14), int(self._clock.now()))
        if reply.status_code != 200:
            raise _refused(reply.status_code, reply.body)
        response = {"status_code": 200, "request_id": "", "body": reply.body}
        line = {"id": "", "custom_id": "", "response": response, "error": None}
        fault = faults.on_request("", body)
        written = as_answered(line) if fault is None else fault.written(line)
        if written.executed:
            with self._database.transaction() as connection:
                count_executions(connection, [body_digest(body)], [])
        return _said(written)


def _said(written: Written) -> LiveAnswer | None:
    """The first line that a batch would have had, as an answer of its own."""
    for line in (*written.output, *written.errors):
        try:
            response = msgspec.json.decode(line)["response"]
        except msgspec.DecodeError:
            return LiveAnswer(status_code=200, body=line)
        if response is None or not response["status_code"]:
            return None
        if response["status_code"] != 200:
            raise _refused(response["status_code"], response["body"])
        return LiveAnswer(status_code=200, body=_encode(response["body"]))
    return None


def _refused(status_code: int, body: dict[str, Any]) -> ApiError:
    told = body["error"]
    return ApiError(
        status_code,
        told["message"],
        param=told.get("param"),
        code=told.get("code"),
        type=told["type"],
    )
