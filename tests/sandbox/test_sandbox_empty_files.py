"""The content of an empty file: a client is done with it before the sandbox has opened it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from batch_assets.sandbox.app import create_app

SCOPE = {
    "type": "http",
    "method": "GET",
    "query_string": b"",
    "headers": [(b"authorization", b"Bearer sk-test")],
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Starlette]:
    """A sandbox with two files, `file-empty` and `file-full`."""
    made = create_app(tmp_path)
    for name, content in (("empty", b""), ("full", b"{}\n")):
        with made.state.sandbox.receiving(f"file-{name}") as sink:
            sink.write(content)
        made.state.sandbox.add_upload(f"file-{name}", "in.jsonl", 3_600.0)
    yield made
    made.state.sandbox.close()


def download(app: Starlette, file_id: str, *, reset_at_headers: bool = False) -> list[Any]:
    """The ASGI messages of a download; the client may empty the sandbox as soon as it can."""
    sent: list[Any] = []
    requests = iter([{"type": "http.request"}])

    async def receive() -> Any:
        for message in requests:
            return message
        return await asyncio.Future()  # the client stays

    async def send(message: Any) -> None:
        sent.append(message)
        if reset_at_headers and message["type"] == "http.response.start":
            app.state.sandbox.reset()

    path = f"/v1/files/{file_id}/content"
    asyncio.run(app(SCOPE | {"path": path, "raw_path": path.encode()}, receive, send))
    return sent


def test_an_empty_file_needs_no_file_once_its_headers_are_sent(app):
    start, *rest = download(app, "file-empty", reset_at_headers=True)

    assert dict(start["headers"])[b"content-length"] == b"0"
    assert [message["body"] for message in rest] == [b""]


def test_an_empty_file_has_the_headers_of_any_other(app):
    [empty, *_], [full, *_] = download(app, "file-empty"), download(app, "file-full")

    assert [name for name, _ in empty["headers"]] == [name for name, _ in full["headers"]]
    assert dict(empty["headers"])[b"content-disposition"] == b'attachment; filename="in.jsonl"'
