"""The live lane's resource: what is declared, and which account and prices come of it."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from batch_assets.domain.errors import DeclarationError, ProviderUnreachable
from batch_assets.domain.price import PriceList, Tier
from batch_assets.resources.live import LiveLane, LiveResource
from batch_assets.resources.live.retry_after import retry_after


def vended(**fields: object) -> LiveLane:
    resource = LiveResource(**{"api_key": "sk-x", **fields})
    return resource.create_resource(dg.build_init_resource_context())


@pytest.mark.parametrize(
    ("fields", "account"),
    [
        ({}, "openai-live"),
        ({"base_url": "http://127.0.0.1:8000/v1"}, "openai-live/127.0.0.1"),
        ({"organization": "org-1", "project": "p-1"}, "openai-live/org-1/p-1"),
        ({"account": "mine"}, "mine"),
    ],
)
def test_an_account_is_told_by_what_shares_a_quota(fields, account) -> None:
    assert vended(**fields).account == account


@pytest.mark.parametrize(
    ("wire", "endpoint", "is_taken"),
    [
        ("openai", "/v1/chat/completions", True),
        ("openai", "/v1/responses", True),
        ("openai", "/v2/of-a-server", True),
        ("openai", "/v1/messages", False),
        ("openai", "/v1beta/models/gemini-3:generateContent", False),
        ("anthropic", "/v1/messages", True),
        ("anthropic", "/v1/chat/completions", False),
    ],
)
def test_a_wire_takes_the_requests_that_are_written_for_it(wire, endpoint, is_taken) -> None:
    assert vended(wire=wire).takes(endpoint) is is_taken


def test_openai_itself_charges_its_standard_price() -> None:
    assert vended().price_list == PriceList(provider="openai", tier=Tier.STANDARD)


def test_a_server_of_ones_own_charges_nobody_knows_what() -> None:
    assert vended(base_url="http://127.0.0.1:8000/v1").price_list is None


def test_a_server_that_is_named_charges_what_its_list_says() -> None:
    prices = vended(base_url="https://api.groq.com/openai/v1", price_list="groq").price_list

    assert (prices.provider, prices.tier) == ("groq", Tier.STANDARD)
    assert "api.groq.com, which answers" in prices.note


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"concurrency": 0}, "concurrency is 0"),
        ({"requests_per_minute": 0}, "requests_per_minute is 0"),
        ({"tokens_per_minute": -5}, "tokens_per_minute is -5"),
        ({"max_retries": -1}, "max_retries is -1"),
        ({"timeout_seconds": 0}, "timeout_seconds is 0"),
        ({"base_url": "127.0.0.1:8000"}, "base_url must be an http or https address"),
    ],
)
def test_a_setting_that_cannot_be_is_a_wrong_declaration(fields, said) -> None:
    with pytest.raises(DeclarationError, match=said):
        LiveResource(**{"api_key": "sk-x", **fields})


def test_a_missing_key_is_said_before_anything_is_sent(monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    lane = vended(api_key=dg.EnvVar("OPENAI_API_KEY"))

    assert "set the environment variable OPENAI_API_KEY" in str(lane.lacks)
    with pytest.raises(ProviderUnreachable, match="no key"):
        lane.carry_out(None, endpoint="/v1/responses")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "0"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_in_every_form_that_servers_have(headers, seconds) -> None:
    assert retry_after(headers) == seconds


def test_a_wait_until_a_date_is_counted_from_now() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    assert retry_after({"retry-after": "Sun, 22 Nov 2026 12:01:00 GMT"}, now) == 60.0
