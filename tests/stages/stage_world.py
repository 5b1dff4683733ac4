"""A partition on its way, and what stands in it: a script for the sandbox, a border before it."""

import http.client
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from starlette.responses import JSONResponse, Response

from batch_assets.domain.batch import Batch, RequestSet
from batch_assets.domain.budget import Budget
from batch_assets.domain.capacity import Capacity
from batch_assets.domain.shard import Limits
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest
from batch_assets.ledger import Ledger
from batch_assets.resources.openai import OpenAIProvider
from batch_assets.sandbox import Answer, ManualClock, RunningSandbox, ScriptedFaults
from batch_assets.sandbox.item_faults import ItemFault
from batch_assets.stages.advance import Pending, advance
from batch_assets.stages.collect import collect
from batch_assets.stages.lease import LEASE
from batch_assets.stages.plan import layout_of
from batch_assets.stages.poll import PollReport, poll
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.recover import LISTED_AFTER
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.submit import Submission, submit

LATENCY = 100.0
SETTINGS = {
    "latency": LATENCY,
    "cancel_delay": 10.0,
    "enqueued_token_limit": None,
    "max_requests": 50_000,
    "max_file_bytes": 200_000_000,
    "live_latency": 0.0,
    "live_requests_per_minute": None,
}
LIMITS = Limits(requests=50_000, bytes=200_000_000)

Answered = Callable[[str, str], dict[str, Any] | None]


class Script(ScriptedFaults):
    """What the sandbox does in place of behaving; a test fills it in."""

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self) -> None:
        self.clear()
        #: Replies to the next calls of a route; None lets a call pass.
        self.replies: dict[str, list[Response | None]] = {}
        #: A result line in place of an answer, by batch id and custom_id.
        self.line: Answered = lambda batch_id, custom_id: None
        #: What the model says to a request's body; None: what the sandbox makes up.
        self.answer: Callable[[dict[str, Any]], Answer | None] = lambda body: None

    def on_route(self, route: str) -> Response | None:
        waiting = self.replies.get(route)
        return waiting.pop(0) if waiting else None

    def on_item(self, batch_id: str, custom_id: str) -> dict[str, Any] | None:
        return self.line(batch_id, custom_id)

    def on_request(self, custom_id: str, body: dict[str, Any]) -> ItemFault | None:
        return self.answer(body) or super().on_request(custom_id, body)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the sandbox answered to one call."""

    status: int
    body: bytes

    def sent(self, *, cut_at: int | None = None) -> bytes:
        """The reply as bytes on the wire; cut, it announces what it does not send."""
        head = (
            f"HTTP/1.1 {self.status} Forwarded\r\ncontent-type: application/json\r\n"
            f"content-length: {len(self.body)}\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + self.body[:cut_at]


Change = Callable[[Reply], bytes]


class Border:
    """Passes every call on to the sandbox; a reply may be changed, or cut, on its way back."""

    def __init__(self, base_url: str) -> None:
        self._upstream = urlsplit(base_url).netloc
        self._changes: list[tuple[re.Pattern[str], list[Change]]] = []
        self.calls: list[str] = []
        #: What happens to the body of a call, which keeps its length.
        self.edit_call: Callable[[bytes], bytes] = bytes
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def change(self, route: str, *changes: Change) -> None:
        """Apply each change to one reply of the route, the last one to all that follow."""
        self._changes.insert(0, (re.compile(route), list(changes)))

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> bytes:
        connection = http.client.HTTPConnection(self._upstream)
        try:
            connection.request(method, path, self.edit_call(body), dict(headers))
            upstream = connection.getresponse()
            reply = Reply(status=upstream.status, body=upstream.read())
        finally:
            connection.close()
        call = f"{method} {path}"
        self.calls.append(call)
        for route, changes in self._changes:
            if route.search(call):
                change = changes.pop(0) if len(changes) > 1 else changes[0]
                return change(reply)
        return reply.sent()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        border = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                self.close_connection = True
                self.raw_requestline = self.rfile.readline(65_537)
                if self.raw_requestline and self.parse_request():
                    body = self.rfile.read(int(self.headers.get("content-length", 0)))
                    self.wfile.write(border.answer(self.command, self.path, self.headers, body))

        return Handler


def lost(reply: Reply) -> bytes:
    """The connection ends before the first byte of the reply."""
    return b""


def cut(reply: Reply) -> bytes:
    """Half of the reply arrives."""
    return reply.sent(cut_at=len(reply.body) // 2)


def whole(reply: Reply) -> bytes:
    return reply.sent()


def edited(edit: Callable[[bytes], bytes]) -> Change:
    """The reply with another body."""
    return lambda reply: replace(reply, body=edit(reply.body)).sent()


def refusal(status: int, code: str | None = None, message: str = "No.") -> JSONResponse:
    """An error in OpenAI's shape."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return JSONResponse({"error": error}, status_code=status)


@dataclass(kw_only=True)
class World:
    """One partition on its way, and what it passes."""

    deployment: Deployment
    recipe: Recipe
    clock: ManualClock
    sandbox: RunningSandbox
    partition_key: str = "p"
    limits: Limits = LIMITS
    #: Every request set that was prepared.
    manifests: list[Manifest] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        return self.deployment.ledger

    @property
    def files(self) -> Files:
        return self.deployment.files

    @property
    def manifest(self) -> Manifest:
        return self.manifests[-1]

    @property
    def request_set(self) -> RequestSet:
        found = self.ledger.request_sets.current(self.recipe.inference, self.partition_key)
        assert found is not None
        return found

    @property
    def layout(self) -> RequestSetLayout:
        return layout_of(self.request_set)

    @property
    def batches(self) -> list[Batch]:
        """Every batch of the ledger, oldest first."""
        return list(self.ledger.batches())

    @property
    def batch(self) -> Batch:
        [batch] = self.ledger.batches()
        return batch

    @property
    def states(self) -> list[str]:
        return [batch.state.value for batch in self.ledger.batches()]

    @property
    def executions(self) -> dict[str, int]:
        """The provider's own count of what was bought."""
        return self.sandbox.state.executions()

    def prepare(self) -> Manifest:
        made = prepare(self.recipe, self.partition_key, files=self.files, limits=self.limits)
        self.manifests.append(made)
        return made

    def submit(self) -> Submission:
        return submit(self.deployment, self.recipe, self.prepare())

    def poll(self, after: float = 0.0) -> PollReport:
        """What the provider says `after` so many seconds."""
        self.clock.advance(after)
        return poll(self.deployment)

    def collect(self) -> int:
        return collect(self.deployment, self.recipe.inference, self.partition_key)

    def advance(self) -> Resolution | Pending:
        return advance(self.deployment, self.recipe, self.request_set)

    def finish(self, after: float = LATENCY) -> Resolution:
        """Wave after wave to the results."""
        for _ in range(20):
            self.poll(after)
            state = self.advance()
            if isinstance(state, Resolution):
                return state
        raise AssertionError(f"still {state.progress}")

    def carry(self) -> Resolution:
        """The whole way of the partition."""
        self.submit()
        return self.finish()

    @property
    def capacity(self) -> Capacity:
        """What is believed of the account's room."""
        return self.ledger.accounts.capacity(self.deployment.provider.account)

    def results(self) -> list[dict[str, Any]]:
        return self.table().to_pylist()

    def table(self) -> pa.Table:
        with self.files.open(self.layout.results) as source:
            return pq.read_table(source)

    def column(self, name: str) -> list[Any]:
        return self.table().column(name).to_pylist()

    def lease_over(self) -> None:
        """Long enough for a silent process to be taken for dead, and its batch for listed."""
        self.clock.advance(max(LEASE, LISTED_AFTER).total_seconds() + 1)


def a_ledger(folder: Path, clock: ManualClock) -> Ledger:
    url = f"sqlite:///{folder / 'ledger.sqlite3'}"
    return Ledger.open(url, lambda: datetime.fromtimestamp(clock.now(), UTC))


def a_provider(base_url: str, **over: Any) -> OpenAIProvider:
    """OpenAI's adapter without the SDK's second tries, which would sleep; close it."""
    fields: dict[str, Any] = {
        "api_key": "sk-test-0123456789",
        "limits": LIMITS,
        "budget": Budget(),
        "timeout_seconds": 10.0,
        "max_retries": 0,
        "account": "openai",
    }
    return OpenAIProvider(base_url=base_url, **(fields | over))
