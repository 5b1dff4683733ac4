"""Notices that OpenAI sends of its batches: signed as its SDK checks it, over real HTTP."""

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from batch_assets.domain.errors import DeclarationError
from batch_assets.resources.openai.webhooks import PATH, receiver
from batch_assets.sandbox.thread import served
from batch_assets.stages.poll import poll_due

SECRET = "whsec_" + base64.b64encode(b"a secret of OpenAI's").decode()
HOUR = timedelta(hours=1)
EVERY = timedelta(seconds=30)


@pytest.fixture
def address(ledger) -> Iterator[str]:
    with served(receiver(ledger, secret=SECRET)) as origin:
        yield f"{origin}{PATH}"


def signature(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """The headers by which OpenAI signs a body (openai-python, `lib/_webhooks.py`)."""
    moment = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"wh-1.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": "wh-1",
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def notice(batch_id: str, kind: str = "batch.completed") -> bytes:
    event = {"id": "evt_1", "object": "event", "type": kind, "created_at": 1, "data": {}}
    return json.dumps({**event, "data": {"id": batch_id}}).encode()


@pytest.fixture
def post(address: str) -> Callable[..., tuple[int, Any]]:
    """Status and body of the answer; signed rightly unless headers are given."""

    def call(body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        request = urllib.request.Request(address, body, headers or signature(body))
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    return call


@pytest.fixture
def far_off(a_world, sandbox):
    """A submitted batch that was just asked about, and will not be for a while."""
    sandbox.state.change_settings({"latency": 80_000.0})
    world = a_world()
    world.submit()
    world.clock.advance(HOUR.total_seconds())
    poll_due(world.deployment, EVERY)
    world.clock.advance(EVERY.total_seconds())
    return world


def asked(world) -> bool:
    """Whether a tick now asks the provider about the batch."""
    before = world.batch.polled_at
    poll_due(world.deployment, EVERY)
    return world.batch.polled_at != before


def test_a_batch_far_from_its_end_is_left_alone_for_a_while(far_off):
    assert not asked(far_off)


@pytest.mark.parametrize(
    "kind", ["batch.completed", "batch.failed", "batch.expired", "batch.cancelled"]
)
def test_a_notice_has_the_next_tick_ask_about_its_batch(far_off, post, kind):
    assert post(notice(far_off.batch.provider_id, kind)) == (200, {"woken": True})

    assert asked(far_off)


def test_a_batch_that_was_asked_about_since_waits_for_its_turn_again(far_off, post):
    post(notice(far_off.batch.provider_id))
    poll_due(far_off.deployment, EVERY)
    far_off.clock.advance(EVERY.total_seconds())

    assert not asked(far_off)


def test_a_notice_says_nothing_of_the_batch_but_that_it_is_worth_asking(far_off, post):
    post(notice(far_off.batch.provider_id, "batch.cancelled"))

    poll_due(far_off.deployment, EVERY)

    assert far_off.batch.state == "submitted"


@pytest.mark.parametrize(
    "body",
    [
        notice("batch_of_somebody_else"),
        notice("resp_1", "response.completed"),
        json.dumps({"type": "batch.completed", "data": None}).encode(),
        json.dumps({"type": "of tomorrow"}).encode(),
    ],
)
def test_a_notice_of_something_else_is_taken_and_wakes_nothing(far_off, post, body):
    assert post(body) == (200, {"woken": False})

    assert not asked(far_off)


def unsigned(body: bytes) -> dict[str, str]:
    return {"content-type": "application/json"}


def of_another(body: bytes) -> dict[str, str]:
    return signature(body, secret="whsec_" + base64.b64encode(b"another secret").decode())


def of_an_hour_ago(body: bytes) -> dict[str, str]:
    return signature(body, at=time.time() - 3600)


def of_another_body(body: bytes) -> dict[str, str]:
    return signature(body + b" ")


@pytest.mark.parametrize("headers", [unsigned, of_another, of_an_hour_ago, of_another_body])
def test_what_openai_did_not_sign_is_refused_and_wakes_nothing(far_off, post, headers):
    body = notice(far_off.batch.provider_id)

    status, said = post(body, headers(body))

    assert status == 400
    assert "signed" in said["error"]
    assert not asked(far_off)


@pytest.mark.parametrize("body", [b"", b"no JSON", b"\xff\xfe", b"[" * 10_000, b'{"type":'])
def test_a_signed_body_that_is_no_notice_is_refused(post, body):
    assert post(body)[0] == 400


def test_a_body_that_no_notice_has_is_not_read_to_its_end(post):
    assert post(b" " * 1_000_000)[0] == 413


def test_without_a_secret_nothing_is_received(ledger):
    with pytest.raises(DeclarationError, match="OPENAI_WEBHOOK_SECRET"):
        receiver(ledger, secret=" ")
