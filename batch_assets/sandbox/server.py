"""The sandbox as a server of its own."""

from pathlib import Path
from typing import Unpack

import uvicorn

from batch_assets.sandbox.app import create_app
from batch_assets.sandbox.connection import KEEP_ALIVE, SandboxProtocol
from batch_assets.sandbox.settings import SettingValues


def serve(host: str, port: int, state_dir: Path, **settings: Unpack[SettingValues]) -> None:
    """Serves until the process is told to stop; port 0 takes a free one and logs it."""
    app = create_app(state_dir, **settings)
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=SandboxProtocol,
        timeout_keep_alive=KEEP_ALIVE,
        access_log=False,
    )
