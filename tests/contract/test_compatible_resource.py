"""CompatibleResource: what is refused where it is declared, and what the profile fills in."""

import re
from pathlib import Path

import dagster as dg
import pytest

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.price import PriceList
from batch_assets.domain.shard import Limits
from batch_assets.resources.compatible import PROFILES, CompatibleResource

KEY = "sk-somebody-0123456789"


def provider(profile: str, **fields: object):
    fields = {"api_key": KEY, **fields}
    return CompatibleResource(profile=profile, **fields).create_resource(
        dg.build_init_resource_context()
    )


@pytest.mark.parametrize(
    ("profile", "fields", "said"),
    [
        ("grok", {}, "profile 'grok' is unknown: give one of openai, azure"),
        ("groq", {"completion_window": "8d"}, "completion_window is 8d; groq takes 24h to 168h"),
        ("groq", {"completion_window": "1h"}, "completion_window is 1h; groq takes 24h to 168h"),
        ("together", {"completion_window": "48h"}, "is 48h; together takes 24h"),
        ("doubleword", {"completion_window": "2h"}, "is 2h; doubleword takes 1h or 24h"),
        ("together", {"metadata": {"a": "b"}}, "batches of together carry none: leave it out"),
        ("groq", {"metadata": {"a": "b" * 513}}, "metadata 'a': .* values of 512 .* shorten it"),
        ("groq", {"metadata": {f"n{i}": "x" for i in range(16)}}, "has 16 pairs; the API takes 15"),
        ("groq", {"input_expires_after_seconds": 7_200}, "groq is not known to take a time"),
        ("deepinfra", {"output_expires_after_seconds": 60}, "takes 3600 to 2592000, 1h to 30 days"),
        ("groq", {"max_requests_per_batch": -1}, "max_requests_per_batch is -1"),
        ("groq", {"base_url": "api.groq.com"}, "base_url must be an http or https address"),
        ("azure", {}, "slug is not given, .* give the name of the Azure OpenAI resource"),
        ("xerotier", {}, "slug is not given, .* give the project's id"),
        ("groq", {"overrides": {"max_request": 1}}, "overrides has 'max_request', which is none"),
        ("groq", {"overrides": {"name": "x"}}, "overrides has 'name', which is none"),
        ("groq", {"overrides": {"listing": "odd"}}, "overrides of the profile groq: .*listing"),
        ("groq", {"overrides": {"max_bytes": "many"}}, "overrides of the profile groq: .*max_byte"),
    ],
)
def test_what_a_server_does_not_take_is_refused_where_it_is_declared(profile, fields, said):
    with pytest.raises(DeclarationError, match=said):
        CompatibleResource(profile=profile, api_key=dg.EnvVar("NOT_SET"), **fields)


def test_metadata_is_measured_with_our_key_where_only_its_size_counts():
    slug = {"slug": "proj_1"}
    provider("xerotier", metadata={"note": "x" * (16_384 - 4 - 16 - 32)}, **slug)

    with pytest.raises(DeclarationError, match=r"has 16,385 bytes .* takes 16,384 in all"):
        provider("xerotier", metadata={"note": "x" * (16_385 - 4 - 16 - 32)}, **slug)


@pytest.mark.parametrize(
    ("profile", "fields", "limits"),
    [
        ("groq", {}, Limits(requests=50_000, bytes=100_000_000, inputs=50_000)),
        (
            "groq",
            {"max_requests_per_batch": 7, "max_bytes_per_batch": 900},
            Limits(requests=7, bytes=900, inputs=50_000),
        ),
        (
            "groq",
            {"overrides": {"max_requests": 9, "max_inputs": None}},
            Limits(requests=9, bytes=100_000_000),
        ),
    ],
)
def test_limits_are_the_profiles_unless_declared(profile, fields, limits):
    assert provider(profile, **fields).limits == limits


def test_a_profile_and_its_limits_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("THE_PROFILE", "groq")
    found = []

    @dg.asset(required_resource_keys={"llm"})
    def batches(context: dg.AssetExecutionContext) -> None:
        found.append((context.resources.llm.account, context.resources.llm.limits.bytes))

    resource = CompatibleResource(profile=dg.EnvVar("THE_PROFILE"), api_key=KEY)
    dg.materialize([batches], resources={"llm": resource})

    assert found == [("groq", 100_000_000)]


@pytest.mark.parametrize(
    ("profile", "fields", "account"),
    [
        ("groq", {}, "groq"),
        ("groq", {"base_url": "http://localhost:1/v1"}, "groq/localhost"),
        ("azure", {"slug": "mine"}, "azure/mine"),
        (
            "azure",
            {"base_url": "https://mine.openai.azure.com"},
            "azure/mine.openai.azure.com",
        ),
        ("xerotier", {"slug": "proj_1"}, "xerotier/proj_1"),
        ("groq", {"account": "tier-1"}, "tier-1"),
    ],
)
def test_accounts_are_told_apart_by_the_users_part_of_the_address(profile, fields, account):
    assert provider(profile, **fields).account == account


def test_an_address_without_a_path_gets_the_servers_own(a_shard, server):
    server.on("POST /openai/v1/files", server.refusal(400, message="Here."))
    found = provider("azure", base_url=server.base_url.removesuffix("/v1"), max_retries=0)

    with pytest.raises(Exception, match="Here"):
        found.submit(a_shard(), endpoint="/v1/chat/completions", key="k-1")


@pytest.mark.parametrize(
    ("profile", "fields", "listed"),
    [
        ("groq", {}, "groq"),
        ("azure", {"slug": "mine"}, "azure"),
        ("azure", {"base_url": "https://mine.openai.azure.com/openai/v1"}, "azure"),
        ("xerotier", {"slug": "proj_1"}, None),
        ("groq", {"base_url": "http://localhost:1/v1"}, None),
        ("groq", {"base_url": "http://localhost:1/v1", "price_list": "groq"}, "groq"),
    ],
)
def test_the_servers_prices_hold_at_its_own_address(profile, fields, listed):
    found = provider(profile, **fields).price_list

    assert (found and found.provider) == listed


def test_what_is_to_be_known_of_a_servers_prices_is_said():
    found = provider("together").price_list

    assert found == PriceList(
        provider="together", note="Together's discount for batches differs from model to model"
    )


@pytest.mark.parametrize("name", PROFILES)
def test_the_missing_key_is_named_by_the_servers_own_variable(monkeypatch, name):
    variable = PROFILES[name].key_variable
    monkeypatch.delenv(variable, raising=False)
    slug = "mine" if PROFILES[name].slug_is else None

    found = provider(name, api_key=dg.EnvVar(variable), slug=slug)

    assert variable in (found.lacks or "")


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_says_where_its_facts_are_from(name):
    assert len(PROFILES[name].source) > 20


def test_every_field_is_described():
    fields = CompatibleResource.model_fields

    assert [name for name, field in fields.items() if not field.description] == []


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "openai"])
def test_the_page_has_every_profile_with_its_limits(name):
    page = Path(__file__).parents[2] / "docs" / "howto" / "compatible.md"
    [row] = [line for line in page.read_text().splitlines() if re.match(rf"\|[^|]*`{name}`", line)]
    profile = PROFILES[name]

    assert f"{profile.max_requests:,}; {profile.max_bytes // 1_000_000} MB" in row
    assert name == "azure-2024-10-21" or profile.key_variable in row
