"""What an AnthropicResource may be told, and what it makes of it."""

import subprocess
import sys
from typing import Any

import dagster as dg
import pytest

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.import_path import imported
from batch_assets.domain.kinds import default_endpoint, kind_named
from batch_assets.domain.price import PriceList
from batch_assets.resources.anthropic import AnthropicProvider, AnthropicResource


def a_provider(**fields: Any) -> AnthropicProvider:
    resource = AnthropicResource(**{"api_key": "sk-ant-0123456789", **fields})
    return resource.create_resource(dg.build_init_resource_context())


def test_a_batch_holds_what_the_api_takes_less_what_stands_around_its_requests():
    limits = a_provider().limits

    assert limits.requests == 100_000
    assert limits.bytes == 256_000_000 - 15 - 17 * 100_000
    assert limits.inputs is None


def test_a_smaller_batch_gives_less_away():
    assert a_provider(max_requests_per_batch=10).limits.bytes == 256_000_000 - 15 - 170
    assert a_provider(max_bytes_per_batch=1_000).limits.bytes == 1_000 - 15 - 170


@pytest.mark.parametrize(
    ("fields", "account"),
    [
        ({}, "anthropic"),
        ({"workspace_id": "wrkspc_1"}, "anthropic/wrkspc_1"),
        ({"base_url": "http://gateway.test:8/anthropic"}, "anthropic/gateway.test"),
        ({"account": "the team's"}, "the team's"),
    ],
)
def test_accounts_are_told_apart_by_address_and_workspace(fields, account):
    assert a_provider(**fields).account == account


def test_its_own_prices_hold_at_its_own_address():
    named = a_provider(base_url="http://gateway.test", price_list="anthropic").price_list

    assert a_provider().price_list == PriceList(provider="anthropic")
    assert a_provider(base_url="http://gateway.test").price_list is None
    assert named is not None
    assert "gateway.test" in named.note


@pytest.mark.parametrize("beta", ["", "two, betas", "line\nbreak", "ключ"])
def test_a_beta_that_is_no_name_is_refused_where_it_is_declared(beta):
    with pytest.raises(DeclarationError, match="betas has"):
        AnthropicResource(api_key="sk-ant-0123456789", betas=["files-api-2025-04-14", beta])


@pytest.mark.parametrize("base_url", ["api.anthropic.com", "ftp://x.test", "http://me:pw@x.test"])
def test_an_address_that_cannot_be_used_is_refused(base_url):
    with pytest.raises(DeclarationError, match=r"https://api\.anthropic\.com"):
        a_provider(base_url=base_url)


def test_the_key_comes_from_the_variable_that_the_deployment_names(monkeypatch):
    monkeypatch.setenv("TEAM_KEY", "sk-ant-0123456789")

    assert a_provider(api_key=dg.EnvVar("TEAM_KEY")).lacks is None
    monkeypatch.delenv("TEAM_KEY")
    assert "TEAM_KEY" in str(a_provider(api_key=dg.EnvVar("TEAM_KEY")).lacks)


def test_the_kind_anthropic_leads_to_the_resource_and_the_endpoint():
    kind = kind_named("anthropic")

    assert kind is not None
    assert imported(kind.resource, "it") is AnthropicResource
    assert default_endpoint("anthropic") == "messages"


def test_the_sdk_is_imported_by_the_first_call_and_not_before():
    code = (
        "import sys, dagster as dg;"
        "from batch_assets.resources.anthropic import AnthropicResource as R;"
        "p = R(api_key='sk-ant-0123').create_resource(dg.build_init_resource_context());"
        "print(p.lacks, 'anthropic' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.split() == ["None", "False"]
