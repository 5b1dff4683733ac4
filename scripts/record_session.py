"""Records the session of docs/howto/command-line.md anew, and prints it: look at it before you
paste it there.

A real terminal of 100 columns (tmux), a sandbox that refuses one row, and nothing else: the folder
is a new one, and stands as /data in what is printed.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

COLUMNS, LINES = 100, 60
#: Seconds from a batch's creation to its completion.
LATENCY = 8

TICKETS = """\
id,text
t1,The invoice has the wrong address.
t2,Where is my parcel?
t3,I was charged twice.
t4,Do you sell gift cards?
"""
PROMPT = "Which team answers this? {{ text }}"
ASK = (
    "--input tickets.csv --id-field id --prompt-template @prompt.txt \\\n"
    "    --labels billing,shipping,other --model gpt-5-mini"
)
#: What is typed, and what of the first command's progress is waited for.
SESSION: tuple[tuple[tuple[str, ...], str | None], ...] = (
    ((f"batch-assets plan {ASK}",), None),
    ((f"batch-assets start {ASK} --wait", "echo $?"), "2 of 4 requests"),
    (("batch-assets explain tickets t3 | cut -c 1-100",), None),
    (("batch-assets retry tickets --outcome refused --by ada",), None),
    (("batch-assets wait tickets", "echo $?"), "0 of 1 requests"),
)
REFUSED = {"fault": {"kind": "refusal", "text": "I cannot say."}, "containing": "twice", "times": 1}


class Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "tmux"
        self._folder = folder
        size = ["-x", str(COLUMNS), "-y", str(LINES)]
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", *size, "-c", folder, "bash --rcfile prompt"
        )
        self._wait(lambda: self._lines()[-1:] == ["$"])

    def run(self, *commands: str, seen: str | None = None) -> Iterator[str]:
        """The screen while `seen` is in it, where that is named, and when all is over."""
        self._type("clear")
        self._wait(lambda: self._lines() == ["$"])
        for command in commands:
            self._type(command)
            typed = f"$ {command.splitlines()[0]}"
            self._wait(lambda typed=typed: typed in self._lines())
            if seen is not None and command == commands[0]:
                self._wait(lambda: any(seen in line for line in self._lines()))
                yield self._screen()
            self._wait(lambda: self._lines()[-1:] == ["$"])
        yield self._screen().removesuffix("\n$")

    def end(self) -> None:
        self._tmux("kill-server")

    def _type(self, command: str) -> None:
        for line in command.splitlines():
            self._tmux("send-keys", "-l", line)
            self._tmux("send-keys", "Enter")

    def _screen(self) -> str:
        return "\n".join(self._lines()).replace(str(self._folder), "/data")

    def _lines(self) -> list[str]:
        shown = self._tmux("capture-pane", "-p").rstrip().splitlines()
        return [line.rstrip() for line in shown]

    def _tmux(self, *given: object) -> str:
        command = ["tmux", "-S", self._socket, *given]
        return subprocess.run(
            list(map(str, command)), check=True, capture_output=True, text=True
        ).stdout

    def _wait(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not until():
            if time.monotonic() > deadline:
                raise TimeoutError("\n".join(self._lines()))
            time.sleep(0.1)


@contextmanager
def sandbox(folder: Path) -> Iterator[str]:
    """Its address; it refuses one row, once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve = ["sandbox", "serve", "--port", str(port), "--latency", str(LATENCY)]
    with subprocess.Popen(
        [sys.executable, "-m", "batch_assets.cli", *serve],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _post(f"http://127.0.0.1:{port}/sandbox/faults", {"items": [REFUSED]})
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def _post(address: str, body: object) -> None:
    request = urllib.request.Request(address, data=json.dumps(body).encode(), method="POST")
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from error
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def main() -> None:
    """Type, wait, print."""
    with tempfile.TemporaryDirectory() as name, sandbox(Path(name)) as address:
        folder = Path(name)
        (folder / "tickets.csv").write_text(TICKETS)
        (folder / "prompt.txt").write_text(PROMPT)
        (folder / "prompt").write_text("PS1='$ '\n")
        os.environ |= {
            "BATCH_ASSETS_DEPLOYMENT": "sandbox",
            "BATCH_ASSETS_SANDBOX_URL": address,
            "BATCH_ASSETS_HOME": str(folder / "home"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
        }
        terminal = Terminal(folder)
        try:
            for commands, seen in SESSION:
                for screen in terminal.run(*commands, seen=seen):
                    sys.stdout.write(f"{screen}\n\n")
        finally:
            terminal.end()


if __name__ == "__main__":
    main()
