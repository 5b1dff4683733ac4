"""MistralResource: what Dagster configures, and what it must not show."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import httpx2
import pytest
from mistralai.client import errors as mistral_errors

import batch_assets
from batch_assets.domain.errors import AccountRefused, DeclarationError, ProviderUnreachable
from batch_assets.domain.provider import KEY_METADATA
from batch_assets.domain.shard import Limits
from batch_assets.resources.mistral import MistralResource
from batch_assets.resources.mistral.errors import ERRORS

KEY = "0123456789abcdefghijklmnopqrstuv"

UNTIL_THE_FIRST_CALL = """
import json, sys
from batch_assets.resources.mistral import MistralResource
provider = MistralResource(api_key="0123456789").create_resource(None)
provider.account, provider.limits, provider.budget, provider.lacks
with provider.within(20):
    provider.close()
print(json.dumps([name for name in ("mistralai.client", "httpx2") if name in sys.modules]))
"""


def provider(**fields: object):
    return MistralResource(**{"api_key": KEY, **fields}).create_resource(
        dg.build_init_resource_context()
    )


def test_the_sdk_is_not_imported_before_the_first_call():
    done = subprocess.run(
        [sys.executable, "-c", UNTIL_THE_FIRST_CALL],
        cwd=Path(batch_assets.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == []


def test_limits_are_mistrals_unless_declared():
    assert provider().limits == Limits(requests=100_000, bytes=512_000_000)
    assert provider(max_requests_per_batch=5).limits.requests == 5


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"timeout_hours": 0}, "timeout_hours is 0; give 1 to 168"),
        ({"timeout_hours": 169}, "timeout_hours is 169; give 1 to 168"),
        ({"metadata": {KEY_METADATA: "x"}}, f"metadata has {KEY_METADATA}.*another name"),
        ({"base_url": "api.mistral.ai"}, "base_url must be an http or https address"),
        ({"max_open_batches": 0}, "max_open_batches is 0"),
    ],
)
def test_a_value_that_cannot_be_is_refused_where_it_is_declared(fields, said):
    with pytest.raises(DeclarationError, match=said):
        MistralResource(api_key=dg.EnvVar("NOT_SET"), **fields)


@pytest.mark.parametrize(
    ("fields", "account", "prices"),
    [
        ({}, "mistral", "mistral"),
        ({"base_url": "http://localhost:1/mistral"}, "mistral/localhost", None),
        (
            {"base_url": "http://localhost:1", "price_list": "mistral"},
            "mistral/localhost",
            "mistral",
        ),
        ({"account": "team"}, "team", "mistral"),
    ],
)
def test_account_and_prices_are_those_of_the_address(fields, account, prices):
    found = provider(**fields)

    assert (found.account, found.price_list and found.price_list.provider) == (account, prices)


def test_a_missing_key_is_named_by_its_variable(monkeypatch):
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    found = provider(api_key=dg.EnvVar("MISTRAL_API_KEY"))

    assert "MISTRAL_API_KEY" in (found.lacks or "")
    with pytest.raises(ProviderUnreachable, match="MISTRAL_API_KEY"):
        found.cancel("batch")


def test_a_key_that_no_header_can_carry_is_refused():
    with pytest.raises(AccountRefused, match="characters that no key has"):
        provider(api_key="schlüssel-0123456789").cancel("batch")


def test_the_key_is_never_shown():
    resource = MistralResource(api_key=KEY)

    assert KEY not in f"{resource!r} {resource} {provider()!r}"


def test_every_error_of_the_sdk_is_translated():
    raised = [
        getattr(mistral_errors, name)
        for name in mistral_errors.__all__
        if isinstance(getattr(mistral_errors, name), type)
        and issubclass(getattr(mistral_errors, name), Exception)
    ]

    assert raised
    assert [kind for kind in raised if not issubclass(kind, ERRORS.foreign)] == []
    http = (httpx2.ConnectError, httpx2.ReadTimeout, httpx2.RemoteProtocolError)
    assert all(issubclass(kind, ERRORS.foreign) for kind in http)


def test_every_field_is_described():
    fields = MistralResource.model_fields

    assert [name for name, field in fields.items() if not field.description] == []
