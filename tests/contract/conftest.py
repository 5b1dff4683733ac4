"""The other side of the border: the sandbox, a server with a script, and providers for both."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
from openai import OpenAI

from batch_assets.resources.openai import OpenAIProvider, OpenAIResource
from batch_assets.sandbox import ManualClock, RunningSandbox, running_sandbox

#: Nobody's key, in the shape of OpenAI's.
API_KEY = "sk-proj-0123456789abcdefghijklmnop"

ProviderAt = Callable[..., OpenAIProvider]


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"


#: What happens to one call: a reply is sent as far as it goes (b"" hangs up), a function is asked
#: for one, and None is silence until the server stops.
Answer = bytes | Callable[[Call], bytes] | None


class ScriptedServer:
    """Answers each route by its script, the last answer again and again, and keeps the calls."""

    def __init__(self, otherwise: Answer) -> None:
        self.calls: list[Call] = []
        self.otherwise = otherwise
        self._scripts: dict[str, list[Answer]] = {}
        self._stopped = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def on(self, route: str, *answers: Answer) -> None:
        self._scripts[route] = list(answers)

    def count(self, route: str) -> int:
        return sum(call.route == route for call in self.calls)

    @staticmethod
    def answer(body: object = None, *, status: int = 200, **headers: str) -> bytes:
        """A whole HTTP reply. Bytes are sent as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {
            "content-type": "application/json",
            "content-length": str(len(content)),
            "connection": "close",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {v}" for name, v in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode() + content

    @staticmethod
    def refusal(
        status: int, *, code: str | None = None, message: str = "No.", **headers: str
    ) -> bytes:
        """An error in OpenAI's shape, with a header that has the SDK try again at once."""
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        headers = {"retry_after_ms": "1", **headers}
        return ScriptedServer.answer({"error": error}, status=status, **headers)

    def reply_to(self, call: Call) -> bytes:
        self.calls.append(call)
        script = self._scripts.get(call.route, [self.otherwise])
        scripted = script.pop(0) if len(script) > 1 else script[0]
        if scripted is None:
            self._stopped.wait()
            return b""
        return scripted if isinstance(scripted, bytes) else scripted(call)

    def stop(self) -> None:
        self._stopped.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _handler_of(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline or not self.parse_request():
                return
            path, _, query = self.path.partition("?")
            call = Call(
                method=self.command,
                path=path,
                query=query,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(int(self.headers.get("content-length", 0))),
            )
            self.wfile.write(server.reply_to(call))

    return Handler


def passing_on_to(base_url: str) -> Callable[[Call], bytes]:
    """The answer of another server."""

    def forward(call: Call) -> bytes:
        connection = http.client.HTTPConnection(urlsplit(base_url).netloc)
        try:
            target = f"{call.path}?{call.query}" if call.query else call.path
            connection.request(call.method, target, call.body, call.headers)
            reply = connection.getresponse()
            kind = reply.headers["content-type"]
            return ScriptedServer.answer(reply.read(), status=reply.status, content_type=kind)
        finally:
            connection.close()

    return forward


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox(clock: ManualClock) -> Iterator[RunningSandbox]:
    with running_sandbox(clock=clock, latency=100.0) as running:
        yield running


@pytest.fixture
def border(sandbox: RunningSandbox) -> Iterator[ScriptedServer]:
    """Passes calls on to the sandbox, except where a test has it do otherwise."""
    server = ScriptedServer(otherwise=passing_on_to(sandbox.base_url))
    yield server
    server.stop()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Takes every upload and knows nothing else until it gets a script."""
    scripted = ScriptedServer(otherwise=ScriptedServer.refusal(404, message="Not scripted."))
    scripted.on("POST /v1/files", scripted.answer({"id": "file-1", "object": "file"}))
    yield scripted
    scripted.stop()


@pytest.fixture
def provider_at() -> ProviderAt:
    """Makes the provider of an OpenAIResource; keywords are the resource's fields."""

    def make(base_url: str, **fields: object) -> OpenAIProvider:
        chosen = {"api_key": API_KEY, "timeout_seconds": 5.0, **fields, "base_url": base_url}
        return OpenAIResource(**chosen).create_resource(dg.build_init_resource_context())

    return make


def a_line(number: int, **over: object) -> str:
    """One line of a request file."""
    message = {"role": "user", "content": f"Question {number}"}
    body = {"model": "gpt-4.1-mini", "messages": [message]}
    line = {"custom_id": f"r-{number}", "method": "POST", "url": "/v1/chat/completions"}
    return json.dumps({**line, "body": body, **over})


@pytest.fixture
def a_shard(tmp_path: Path) -> Callable[..., Path]:
    def write(requests: int = 3, **over: object) -> Path:
        path = tmp_path / "shard.jsonl"
        path.write_text("".join(f"{a_line(number, **over)}\n" for number in range(requests)))
        return path

    return write


@pytest.fixture
def many_batches(sandbox: RunningSandbox) -> Callable[[int], list[str]]:
    """Creates batches of one line and without a key, as another user of the account does."""

    def create(count: int) -> list[str]:
        with OpenAI(api_key="another-user", base_url=sandbox.base_url) as client:
            line = a_line(0).encode()
            file = client.files.create(file=("one.jsonl", line), purpose="batch").id
            url = "/v1/chat/completions"
            return [
                client.batches.create(completion_window="24h", endpoint=url, input_file_id=file).id
                for _ in range(count)
            ]

    return create
