"""The operator's commands: parse, one call, render."""

import os
from contextlib import closing
from pathlib import Path

import click


@click.group()
@click.version_option(package_name="batch-assets")
def main() -> None:
    """Provider batch APIs on Dagster."""


@main.group()
def sandbox() -> None:
    """The offline provider: OpenAI's Files and Batches routes, without a key or a bill."""


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


@main.group()
def webhooks() -> None:
    """Notices that a provider sends of its batches; the sensor asks at its next tick then."""


@webhooks.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8760, show_default=True, help="Port to listen on.")
@click.option(
    "--ledger-url",
    help="SQLAlchemy URL of the ledger. Left out, the one of the deployment that the environment "
    "chooses.",
)
def serve_webhooks(host: str, port: int, ledger_url: str | None) -> None:
    """Receive OpenAI's notices of batches at /webhooks/openai until it is told to stop.

    OPENAI_WEBHOOK_SECRET holds the secret that OpenAI showed when the webhook was made.

    Example: batch-assets webhooks serve --port 8760
    """
    import uvicorn

    from batch_assets.domain.errors import BatchAssetsError
    from batch_assets.ledger import Ledger
    from batch_assets.resources.environment import chosen_environment
    from batch_assets.resources.openai.webhooks import SECRET_VARIABLE, receiver

    try:
        url = ledger_url or chosen_environment().required_ledger_url()
        with closing(Ledger.open(url)) as ledger:
            app = receiver(ledger, secret=os.environ.get(SECRET_VARIABLE, ""))
            uvicorn.run(app, host=host, port=port, log_level="info")
    except BatchAssetsError as error:
        raise click.ClickException(error.message) from error
