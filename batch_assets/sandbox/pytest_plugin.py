"""Fixtures for tests of your own. pytest finds them by the package's entry point.

Every pytest on a machine with the package imports this module, so it imports next to nothing.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from batch_assets.sandbox.scripted import ScriptedSandbox


@pytest.fixture(scope="session")
def batch_sandbox_server() -> Iterator["ScriptedSandbox"]:
    """The server behind `batch_sandbox`; a session starts one."""
    from batch_assets.sandbox.scripted import scripted_sandbox

    with scripted_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def batch_sandbox(batch_sandbox_server: "ScriptedSandbox") -> "ScriptedSandbox":
    """An empty batch provider on this machine, with a clock to advance and faults to script."""
    batch_sandbox_server.reset()
    return batch_sandbox_server
