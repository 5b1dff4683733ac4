"""OpenAIResource: what Dagster configures, and what it must not show."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from openai import OpenAI

import batch_assets
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.provider import Provider
from batch_assets.domain.shard import Limits
from batch_assets.resources.openai import OpenAIResource

KEY = "sk-proj-0123456789abcdefghijklmnop"
URL = "https://api.openai.com/v1"

UNTIL_THE_FIRST_CALL = """
import json, sys
from batch_assets.resources.openai import OpenAIResource
provider = OpenAIResource(api_key="sk-1234567890").create_resource(None)
provider.account, provider.limits, provider.budget
print(json.dumps([name for name in ("openai", "httpx2") if name in sys.modules]))
"""


def test_the_sdk_is_not_imported_before_the_first_call():
    done = subprocess.run(
        [sys.executable, "-c", UNTIL_THE_FIRST_CALL],
        cwd=Path(batch_assets.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == []


def test_an_asset_receives_the_provider(monkeypatch, server):
    monkeypatch.setenv("THE_KEY", KEY)
    monkeypatch.setenv("THE_LIMIT", "7")
    found = []

    @dg.asset
    def batches(llm: dg.ResourceParam[Provider]) -> None:
        found.append((llm.account, llm.limits.requests))

    resource = OpenAIResource(
        api_key=dg.EnvVar("THE_KEY"),
        base_url=server.base_url,
        max_requests_per_batch=dg.EnvVar.int("THE_LIMIT"),
    )
    dg.materialize([batches], resources={"llm": resource})

    assert found == [("openai/127.0.0.1", 7)]


def test_limits_and_budget_are_openais_unless_declared(provider_at):
    provider = provider_at(URL)

    assert provider.limits == Limits(requests=50_000, bytes=200_000_000, tokens=None)
    assert provider.budget == Budget(requests=None, tokens=None, batches=None)


def test_limits_and_budget_can_be_declared(provider_at):
    provider = provider_at(
        URL,
        max_requests_per_batch=10,
        max_bytes_per_batch=1_000,
        max_tokens_per_batch=500,
        max_enqueued_tokens=90_000,
        max_open_batches=3,
    )

    assert provider.limits == Limits(requests=10, bytes=1_000, tokens=500)
    assert provider.budget == Budget(tokens=90_000, batches=3)


def test_a_shard_is_never_larger_than_the_queue(provider_at):
    """A batch of more tokens than the account may queue would wait for ever."""
    provider = provider_at(URL, max_tokens_per_batch=500_000, max_enqueued_tokens=90_000)

    assert provider.limits.tokens == 90_000


@pytest.mark.parametrize(
    ("fields", "account"),
    [
        ({}, "openai"),
        ({"base_url": URL}, "openai"),
        ({"project": "proj_1"}, "openai/proj_1"),
        ({"organization": "org_1", "project": "proj_1"}, "openai/org_1/proj_1"),
        ({"base_url": "https://eu.api.openai.com/v1"}, "openai/eu.api.openai.com"),
        ({"base_url": "http://localhost:8000/v1?key=x", "project": "p"}, "openai/localhost/p"),
        ({"account": "tier-1", "project": "proj_1"}, "tier-1"),
    ],
)
def test_the_account_is_named_without_secrets(fields, account):
    resource = OpenAIResource(api_key=KEY, **fields)

    assert resource.create_resource(dg.build_init_resource_context()).account == account


@pytest.mark.parametrize(
    "base_url",
    ["localhost:8000", "ftp://host/v1", "https://", "http://host:port/v1", "https://me:pw@host/v1"],
)
def test_an_address_that_cannot_be_called_is_refused_without_being_shown(provider_at, base_url):
    with pytest.raises(DeclarationError, match="base_url") as refused:
        provider_at(base_url)

    assert "pw" not in refused.value.message


@pytest.mark.parametrize(
    "fields",
    [
        {"input_expires_after_seconds": 3_599},
        {"input_expires_after_seconds": 2_592_001},
        {"timeout_seconds": 0},
        {"max_retries": -1},
    ],
)
def test_a_number_out_of_range_is_refused_by_name(provider_at, fields):
    with pytest.raises(DeclarationError, match=next(iter(fields))):
        provider_at(URL, **fields)


def test_an_uploaded_shard_expires_when_the_resource_says_so(sandbox, clock, a_shard, provider_at):
    provider = provider_at(sandbox.base_url, input_expires_after_seconds=7_200)

    batch = provider.submit(a_shard(), endpoint="/v1/chat/completions", key="k-1")

    with OpenAI(api_key="k", base_url=sandbox.base_url) as client:
        assert client.files.retrieve(batch.input_file_id).expires_at == clock.now() + 7_200


def test_the_key_is_never_shown():
    resource = OpenAIResource(api_key=KEY)
    provider = resource.create_resource(dg.build_init_resource_context())

    assert KEY not in f"{resource!r} {resource} {provider!r} {provider}"


def test_the_environment_does_not_decide_which_account_pays(
    monkeypatch, border, provider_at, a_shard
):
    monkeypatch.setenv("OPENAI_ORG_ID", "org_other")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj_other")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://other.test/v1")

    provider = provider_at(border.base_url, project="proj_1")
    provider.submit(a_shard(), endpoint="/v1/chat/completions", key="k-1")

    upload, create = (call.headers for call in border.calls)
    assert upload["openai-project"] == create["openai-project"] == "proj_1"
    assert "openai-organization" not in {*upload, *create}


def test_every_field_is_described():
    fields = OpenAIResource.model_fields

    assert [name for name, field in fields.items() if not field.description] == []
