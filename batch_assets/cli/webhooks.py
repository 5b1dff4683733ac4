"""Notices that a provider sends of its batches."""

import os

import click

from batch_assets.cli.place import Place, at_place


@click.group()
def webhooks() -> None:
    """Notices that a provider sends of its batches; the sensor asks at its next tick then."""


@webhooks.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8760, show_default=True, help="Port to listen on.")
@at_place
def serve(place: Place, host: str, port: int) -> None:
    """Receive OpenAI's notices of batches at /webhooks/openai until it is told to stop.

    OPENAI_WEBHOOK_SECRET holds the secret that OpenAI showed when the webhook was made.

    Example: batch-assets webhooks serve --port 8760
    """
    import uvicorn

    from batch_assets.resources.openai.webhooks import SECRET_VARIABLE, receiver

    with place.open_ledger() as ledger:
        app = receiver(ledger, secret=os.environ.get(SECRET_VARIABLE, ""))
        uvicorn.run(app, host=host, port=port, log_level="info")
