"""A sandbox in the hands of a test: time stands still and nothing fails unless the test says so."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Unpack

from batch_assets.sandbox.clock import ManualClock
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.scripted_faults import ScriptedFaults
from batch_assets.sandbox.settings import Settings, SettingValues
from batch_assets.sandbox.thread import running_sandbox


@dataclass(frozen=True, kw_only=True)
class ScriptedSandbox:
    """A running sandbox, its clock, its script and its judge."""

    origin: str
    """The address, to which each wire adds its own prefix."""
    base_url: str
    """For OpenAI's SDK: ends in /v1. Any key will do."""
    control_url: str
    """For other processes: ends in /sandbox."""
    clock: ManualClock
    faults: ScriptedFaults
    state: Sandbox

    def executions(self) -> dict[str, int]:
        """What was executed and would have been paid for: the fields of /sandbox/executions."""
        return self.state.executions()

    def executions_of(self, custom_id: str) -> int:
        """How often the request of this custom_id was executed, in all batches together."""
        return self.state.executions_of(custom_id)

    def executions_of_body(self, body: dict[str, Any]) -> int:
        """How often this body was executed, under whatever custom_id."""
        return self.state.executions_of_body(body)

    def change_settings(self, **settings: Unpack[SettingValues]) -> None:
        """For batches created from now on, such as `latency=60.0` in seconds."""
        self.state.change_settings(dict(settings))

    def reset(self) -> None:
        """Back to the beginning: no files, no batches, no faults, the usual settings, time now."""
        self.state.reset()
        self.state.settings = Settings()
        self.clock.restart(time.time())


@contextmanager
def scripted_sandbox() -> Iterator[ScriptedSandbox]:
    """Its clock begins at the time now, so that it agrees with the clocks of those who call it."""
    clock, faults = ManualClock(time.time()), ScriptedFaults()
    with running_sandbox(clock=clock, faults=faults) as running:
        yield ScriptedSandbox(
            origin=running.origin,
            base_url=running.base_url,
            control_url=running.control_url,
            clock=clock,
            faults=faults,
            state=running.state,
        )
