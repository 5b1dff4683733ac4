"""The offline provider."""

from pathlib import Path

import click


@click.group()
def sandbox() -> None:
    """The offline provider: answers as the real ones do, without a key or a bill."""


@sandbox.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8750, show_default=True, help="Port to listen on.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".sandbox"),
    show_default=True,
    help="Folder that keeps files and batches over a restart.",
)
@click.option(
    "--latency",
    default=30.0,
    show_default=True,
    help="Seconds from a batch's creation to its completion.",
)
def serve(host: str, port: int, state_dir: Path, latency: float) -> None:
    """Serve the sandbox until it is told to stop.

    Example: batch-assets sandbox serve --latency 20
    """
    from batch_assets.sandbox import serve as serve_sandbox

    serve_sandbox(host, port, state_dir, latency=latency)
