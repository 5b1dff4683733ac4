"""A gateway between an adapter and its provider's server: counts the calls, and spoils some."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

#: Headers of one connection, which do not belong to the message.
_OF_THE_CONNECTION = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding"}
)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole answer of the server."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call as it came from the adapter, and what the server answered, where it was asked."""

    method: str
    #: Path and query.
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    replies: list[Reply] = field(default_factory=list)

    @property
    def route(self) -> str:
        """Method and path: "GET /v1/batches"."""
        return f"{self.method} {self.target.partition('?')[0]}"


#: What becomes of one call; it sends, hangs up, or both.
Incident = Callable[["Exchange"], None]


class Gateway:
    """Passes calls on to the server, except where a test has it do otherwise."""

    def __init__(self, server: str) -> None:
        self.calls: list[Call] = []
        self._server = urlsplit(server).netloc
        self._incidents: list[tuple[str, Incident]] = []
        self._stopped = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        #: Where the adapter finds it.
        self.origin = f"http://127.0.0.1:{self._http.server_port}"

    def on(self, route: str, incident: Incident) -> None:
        """Every call of the route ends so; `*` in it is any text, and the last word counts."""
        self._incidents.insert(0, (route, incident))

    def behave(self) -> None:
        """Pass every call on from now on."""
        self._incidents.clear()

    def count(self, route: str = "*") -> int:
        """Calls of the route so far."""
        return sum(fnmatchcase(call.route, route) for call in self.calls)

    def replies(self, route: str) -> bytes:
        """Everything that the server answered to the route's calls."""
        calls = [call for call in self.calls if fnmatchcase(call.route, route)]
        return b"".join(reply.body for call in calls for reply in call.replies)

    def stop(self) -> None:
        """Close the port and end every silence."""
        self._stopped.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def meet(self, exchange: "Exchange") -> None:
        """Do with a call what is to be done with its route."""
        self.calls.append(exchange.call)
        for route, incident in self._incidents:
            if fnmatchcase(exchange.call.route, route):
                return incident(exchange)
        return exchange.send(exchange.forwarded())

    def forward(self, call: Call) -> Reply:
        """The server's own answer."""
        connection = http.client.HTTPConnection(self._server)
        try:
            headers = {name: value for name, value in call.headers if _belongs(name)}
            headers["Content-Length"] = str(len(call.body))
            connection.request(call.method, call.target, call.body, headers)
            answer = connection.getresponse()
            kept = tuple((name, value) for name, value in answer.getheaders() if _belongs(name))
            reply = Reply(status=answer.status, headers=kept, body=answer.read())
        finally:
            connection.close()
        call.replies.append(reply)
        return reply

    def wait(self) -> None:
        """Until the gateway stops."""
        self._stopped.wait()


class Exchange:
    """One call and the connection that it came on."""

    def __init__(self, gateway: Gateway, call: Call, connection: socket.socket) -> None:
        self.call = call
        self._gateway = gateway
        self._connection = connection

    def forwarded(self) -> Reply:
        """The server's own answer, after it has done what it was asked for."""
        return self._gateway.forward(self.call)

    def send(self, reply: Reply, *, announced: int | None = None) -> None:
        """Send a reply; its length is announced as it is, or falsely."""
        self.begin(reply, announced=len(reply.body) if announced is None else announced)
        if self.call.method != "HEAD":
            self.write(reply.body)

    def begin(self, reply: Reply, *, announced: int | None) -> None:
        """Send the head of a reply; without a length its end is that of the connection."""
        length = () if announced is None else (("content-length", str(announced)),)
        fields = (*reply.headers, *length, ("connection", "close"))
        lines = [f"HTTP/1.1 {reply.status} Said", *(f"{name}: {value}" for name, value in fields)]
        self.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def write(self, content: bytes) -> None:
        """Send bytes as they are."""
        self._connection.sendall(content)

    def reset(self) -> None:
        """Break the connection as a crash does: without a farewell."""
        linger = struct.pack("ii", 1, 0)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._connection.close()

    def wait(self) -> None:
        """Say nothing until the gateway stops."""
        self._gateway.wait()


def answering(status: int, body: bytes, content_type: str = "application/json") -> Incident:
    """The server is not asked, and this is the answer."""
    reply = Reply(status=status, headers=(("content-type", content_type),), body=body)
    return lambda exchange: exchange.send(reply)


def hanging_up(exchange: Exchange) -> None:
    """The server is not asked, and nothing is said."""


def losing_the_reply(exchange: Exchange) -> None:
    """The server does its work, and nothing of its answer arrives."""
    exchange.forwarded()


def resetting(exchange: Exchange) -> None:
    """The connection breaks."""
    exchange.reset()


def silent(exchange: Exchange) -> None:
    """Nobody answers, and the connection stands."""
    exchange.wait()


def cut_short(exchange: Exchange) -> None:
    """Half of the announced answer arrives."""
    reply = exchange.forwarded()
    half = Reply(status=reply.status, headers=reply.headers, body=reply.body[: _half(reply)])
    exchange.send(half, announced=len(reply.body))


def cut_in_chunks(exchange: Exchange) -> None:
    """Half of an answer arrives whose length nobody announced, and the end of it does not."""
    reply = exchange.forwarded()
    headers = (*reply.headers, ("transfer-encoding", "chunked"))
    exchange.begin(Reply(status=reply.status, headers=headers), announced=None)
    half = reply.body[: _half(reply)]
    exchange.write(b"%x\r\n%b\r\n" % (len(half), half))


def putting(old: bytes, new: bytes) -> Incident:
    """The server's answer with other words in it."""

    def put(exchange: Exchange) -> None:
        reply = exchange.forwarded()
        body = reply.body.replace(old, new)
        exchange.send(Reply(status=reply.status, headers=reply.headers, body=body))

    return put


def _half(reply: Reply) -> int:
    return len(reply.body) // 2


def _belongs(header: str) -> bool:
    return header.lower() not in _OF_THE_CONNECTION


def _handler_of(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline or not self.parse_request():
                return
            call = Call(
                method=self.command,
                target=self.path,
                headers=tuple(self.headers.items()),
                body=self._body(),
            )
            try:
                gateway.meet(Exchange(gateway, call, self.connection))
            except OSError:
                # The adapter, or the server, has hung up: nobody is left to tell.
                return

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("content-length", 0)))
            blocks = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                blocks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(blocks)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a test's output is its own."""

    return Handler


def json_body(value: object) -> bytes:
    """The value as the body of an answer."""
    return json.dumps(value).encode()
