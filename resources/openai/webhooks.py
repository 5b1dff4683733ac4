"""Receives what OpenAI says of batches by itself, so that the sensor asks at its next tick.

Never the only way: a notice that is lost, late or refused costs nothing but the wait for the
sensor's own turn, and a notice is no proof of anything but that it is worth asking. Importing this
module imports neither the SDK nor a web server.
"""

from typing import TYPE_CHECKING

from batch_assets.domain.errors import DeclarationError
from batch_assets.ledger import Ledger

if TYPE_CHECKING:
    from openai.resources.webhooks.webhooks import Webhooks
    from starlette.applications import Starlette
    from starlette.requests import Request

#: The variable that holds the endpoint's secret, by the SDK's custom.
SECRET_VARIABLE = "OPENAI_WEBHOOK_SECRET"

#: Where the notices go, below the receiver's address.
PATH = "/webhooks/openai"

#: What a notice's body may have at most; those of batches have some hundred bytes.
MOST_BYTES = 64 * 1024


def receiver(ledger: Ledger, *, secret: str) -> "Starlette":
    """A web application that takes notices at PATH and wakes the batches they are about.

    Answers 200 for a notice that is OpenAI's, whether or not the ledger has its batch: OpenAI sends
    again what is answered otherwise. 400 where the signature, its time or the body is not right.

    Raises DeclarationError without a secret.
    """
    if not secret.strip():
        raise DeclarationError(
            f"no secret to check notices with: set {SECRET_VARIABLE} to the one that OpenAI showed "
            "when the webhook was made"
        )
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    webhooks = _webhooks(secret.strip())

    async def take(request: "Request") -> JSONResponse:
        body = b""
        async for block in request.stream():
            body += block
            if len(body) > MOST_BYTES:
                return JSONResponse({"error": "too large for a notice"}, status_code=413)
        batch_id, why_not = _batch_in(webhooks, body, request)
        if why_not is not None:
            return JSONResponse({"error": why_not}, status_code=400)
        woken = batch_id is not None and await run_in_threadpool(ledger.polls.wake, batch_id)
        return JSONResponse({"woken": woken})

    return Starlette(routes=[Route(PATH, take, methods=["POST"])])


def _webhooks(secret: str) -> "Webhooks":
    """The SDK's own check of signatures; it makes no call, so it needs no key."""
    from openai import OpenAI

    return OpenAI(api_key="none", webhook_secret=secret).webhooks


def _batch_in(
    webhooks: "Webhooks", body: bytes, request: "Request"
) -> tuple[str | None, str | None]:
    """The id of the batch that a notice is about, None for one of something else; or why it is
    none of OpenAI's.
    """
    from openai import InvalidWebhookSignatureError

    try:
        event = webhooks.unwrap(body, dict(request.headers))
    except (InvalidWebhookSignatureError, ValueError, RecursionError) as error:
        # A header that is missing and a body that is no JSON are values, too; neither is quoted.
        return None, f"not a signed notice ({type(error).__name__})"
    kind = getattr(event, "type", None)
    if not isinstance(kind, str) or not kind.startswith("batch."):
        return None, None
    batch_id = getattr(getattr(event, "data", None), "id", None)
    return (batch_id if isinstance(batch_id, str) else None), None
