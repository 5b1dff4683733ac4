"""A person at the Dagster UI: Chromium on the pages of a `dagster dev` over a sandbox."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster_ui import SOON, DagsterUi
from playwright.sync_api import Browser, sync_playwright

from batch_assets.sandbox import ManualClock, RunningSandbox, running_sandbox

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PROJECT = Path(__file__).parents[2]
LOCATION = Path(__file__).with_name("browser_location.py")

#: Seconds that a batch takes on the sandbox's clock, which moves when a test lets it.
LATENCY = 5.0
START_TIMEOUT = 120.0
STOP_TIMEOUT = 20.0

ITEMS = 4
#: Partitions of each inference.
INFERENCES = {"animals": 6, "plants": 60}


@dataclass(kw_only=True)
class Project:
    """A user's project: a folder with corpora, `dagster dev` over it, and the provider."""

    folder: Path
    url: str
    clock: ManualClock
    sandbox: RunningSandbox

    def write(self, inference: str, partition: str, more: str = "") -> None:
        """The corpus file of a partition: its items, and what else is to be in it."""
        write_partition(self.folder, inference, partition, more)

    def finish(self) -> None:
        """Let the provider be done with all that it has now."""
        self.clock.advance(LATENCY)

    def sent(self) -> int:
        """Requests that the provider executed."""
        return int(self.sandbox.state.executions()["requests_executed"])

    def batches(self) -> int:
        """Batches that the provider was asked to make."""
        return int(self.sandbox.state.executions()["batches_created"])


def write_partition(folder: Path, inference: str, partition: str, more: str = "") -> None:
    rows = [
        {"id": f"{partition}-{row}", "word": f"oak {row} of {partition} in {inference}"}
        for row in range(ITEMS)
    ]
    path = folder / "corpora" / inference / f"{partition}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + more)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        complaint = "there is no chromium on the PATH: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(complaint)
        pytest.skip(complaint)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Of a short name, since it is on screenshots."""
    with tempfile.TemporaryDirectory(prefix="words-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def project(browser: Browser, folder: Path) -> Iterator[Project]:
    """The browser is asked for first, so that nothing starts where there is none."""
    for inference, count in INFERENCES.items():
        for number in range(count):
            write_partition(folder, inference, f"part-{number:02}")
    # As a user has it: the repository's own settings of Dagster.
    shutil.copy(PROJECT / "dagster.yaml", folder)
    clock = ManualClock(time.time())
    with (
        running_sandbox(folder / "provider", clock=clock, latency=LATENCY) as sandbox,
        dagster_dev(folder, sandbox.base_url) as url,
    ):
        yield Project(folder=folder, url=url, clock=clock, sandbox=sandbox)


@contextmanager
def dagster_dev(folder: Path, provider_url: str) -> Iterator[str]:
    """Webserver, daemon and code server, until the block ends; the webserver's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(folder),
        "BROWSER_CORPORA": str(folder / "corpora"),
        "BATCH_ASSETS_DEPLOYMENT": "sandbox",
        "BATCH_ASSETS_SANDBOX_URL": provider_url,
        "BATCH_ASSETS_HOME": str(folder / "state"),
    }
    command = [sys.executable, "-m", "dagster", "dev", "-f", str(LOCATION), "-p", str(port)]
    url, log = f"http://127.0.0.1:{port}", folder / "dagster.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "-h", "127.0.0.1"],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until_up(f"{url}/server_info", process, log)
            yield url
        finally:
            stop(process)


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"dagster dev did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.2)


def stop(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(timeout=STOP_TIMEOUT)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@pytest.fixture
def ui(
    project: Project, browser: Browser, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[DagsterUi]:
    """Screenshots go to the folder that BROWSER_SCREENSHOTS names."""
    folder = Path(os.environ.get("BROWSER_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(SOON)
    person = DagsterUi(page=page, url=project.url, location=LOCATION.name, screenshots=folder)
    yield person
    # The last thing seen, for whoever wonders why a test failed.
    person.shot(f"last-of-{request.node.name}")
    page.close()
