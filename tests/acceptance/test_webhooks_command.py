"""`batch-assets webhooks serve` as an operator runs it: a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from batch_assets.ledger import Ledger

COMMAND = [sys.executable, "-m", "batch_assets.cli", "webhooks", "serve"]


def environment(**over: str) -> dict[str, str]:
    ours = ("BATCH_ASSETS_", "OPENAI_")
    return {name: v for name, v in os.environ.items() if not name.startswith(ours)} | over


def status_of(url: str, process: "subprocess.Popen[bytes]") -> int:
    """The status of an unsigned call, once the process listens."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, json.dumps({}).encode(), timeout=5) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.05)  # it is starting
    raise AssertionError("it never listened")


def a_free_port() -> str:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])


def test_it_listens_over_the_ledger_it_is_told(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    Ledger.open(url).close()
    port = a_free_port()
    process = subprocess.Popen(
        [*COMMAND, "--port", port, "--db-path", url],
        env=environment(OPENAI_WEBHOOK_SECRET="whsec_c2VjcmV0"),
        stderr=subprocess.PIPE,
    )
    try:
        assert status_of(f"http://127.0.0.1:{port}/webhooks/openai", process) == 400
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)

    assert b"whsec" not in said


def test_without_a_secret_it_says_so_in_one_line(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.db"

    done = subprocess.run(
        [*COMMAND, "--db-path", url], env=environment(), capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "OPENAI_WEBHOOK_SECRET" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_a_ledger_in_production_it_says_which_variable_names_it():
    done = subprocess.run(
        COMMAND,
        env=environment(
            BATCH_ASSETS_DEPLOYMENT="production", OPENAI_WEBHOOK_SECRET="whsec_c2VjcmV0"
        ),
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "BATCH_ASSETS_LEDGER_URL" in done.stderr
