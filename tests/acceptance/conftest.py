"""A terminal on a sandbox that a module's tests share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typed_lines import LATENCY, Terminal

from batch_assets.sandbox import RunningSandbox, ScriptedFaults, running_sandbox


@pytest.fixture(scope="module")
def served_lines() -> Iterator[tuple[RunningSandbox, ScriptedFaults]]:
    """The module's sandbox on the real clock, with whatever an earlier test left in it."""
    faults = ScriptedFaults()
    with running_sandbox(faults=faults, latency=LATENCY) as running:
        yield running, faults


@pytest.fixture
def terminal(
    served_lines: tuple[RunningSandbox, ScriptedFaults],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Terminal:
    """An empty deployment on it, which the environment chooses; the test is in its folder."""
    running, faults = served_lines
    running.state.reset()
    running.state.change_settings({"latency": LATENCY, "cancel_delay": LATENCY})
    faults.clear()
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", running.base_url)
    monkeypatch.setenv("BATCH_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    # A class in that folder is found by it.
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Terminal(sandbox=running, faults=faults, folder=tmp_path)
