"""docs/howto/corpora.md: its example of a source of your own works as it stands there."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from corpus_files import ids, numbers, positions

from batch_assets.domain.errors import CorpusError

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "corpora.md"


@pytest.fixture(scope="module")
def ticket_corpus() -> Any:
    """The example's class."""
    section = HOWTO.read_text().partition("## Your own source")[2]
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, str(HOWTO), "exec"), names)
    return names["TicketCorpus"]


class Tickets(BaseHTTPRequestHandler):
    """25 tickets of the queue `open`, ten to a page."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        first = int(parse_qs(asked.query)["first"][0])
        page = [{"id": f"i-{row}", "text": "t"} for row in range(first, min(first + 10, 25))]
        self.send_response(200 if asked.path == "/open" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(page).encode())

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Tickets)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_its_rows_come_page_by_page(ticket_corpus, url):
    found = ticket_corpus(url=url, queues=("open",))

    assert found.partition_keys() == list(found.partitioning.keys) == ["open"]
    assert ids(found.read("open", ["id"])) == numbers(range(25))
    assert positions(found.read("open", ["text", "id"])) == list(range(25))


def test_what_cannot_be_read_is_named(ticket_corpus, url):
    with pytest.raises(CorpusError, match="/closed, row 0: HTTP Error 404"):
        list(ticket_corpus(url=url, queues=("closed",)).read("closed", ["id"]))
