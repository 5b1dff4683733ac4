"""An offline provider: OpenAI's Files and Batches routes, answered as the real API does.

It shares no code with the rest of the project, so that a misunderstanding on one side shows up as
a failing test and not as an agreement. Names are imported when they are used: starlette and
uvicorn are needed by those who run a sandbox only.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_assets.sandbox.app import create_app
    from batch_assets.sandbox.clock import Clock, ManualClock, SystemClock
    from batch_assets.sandbox.faults import Faults
    from batch_assets.sandbox.server import serve
    from batch_assets.sandbox.thread import RunningSandbox, running_sandbox

__all__ = [
    "Clock",
    "Faults",
    "ManualClock",
    "RunningSandbox",
    "SystemClock",
    "create_app",
    "running_sandbox",
    "serve",
]

_HOMES = {
    "Clock": "clock",
    "Faults": "faults",
    "ManualClock": "clock",
    "RunningSandbox": "thread",
    "SystemClock": "clock",
    "create_app": "app",
    "running_sandbox": "thread",
    "serve": "server",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
