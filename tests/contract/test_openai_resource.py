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
from batch_assets.domain.errors import DeclarationError, RequestRefused
from batch_assets.domain.provider import KEY_METADATA, Provider
from batch_assets.domain.shard import Limits
from batch_assets.resources.openai import OpenAIResource

KEY = "sk-proj-0123456789abcdefghijklmnop"
URL = "https://api.openai.com/v1"
ENDPOINT = "/v1/chat/completions"

UNTIL_THE_FIRST_CALL = """
import json, sys
from batch_assets.resources.openai import OpenAIResource
provider = OpenAIResource(api_key="sk-1234567890").create_resource(None)
provider.account, provider.limits, provider.budget
with provider.within(20):
    provider.close()
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

    assert provider.limits == Limits(requests=50_000, bytes=200_000_000, inputs=50_000)
    assert provider.budget == Budget(requests=None, tokens=None, batches=None)


def test_limits_and_budget_can_be_declared(provider_at):
    provider = provider_at(
        URL,
        max_requests_per_batch=10,
        max_bytes_per_batch=1_000,
        max_batch_enqueued_tokens=500,
        token_limit=90_000,
        max_enqueued_requests=100,
        max_enqueued_inputs=1_000_000,
        max_open_batches=3,
    )

    assert provider.limits == Limits(requests=10, bytes=1_000, tokens=500, inputs=50_000)
    assert provider.budget == Budget(requests=100, tokens=90_000, inputs=1_000_000, batches=3)


@pytest.mark.parametrize(
    ("part", "used"),
    [
        ({}, 90_000),
        ({"target_ratio": 0.8}, 72_000),
        ({"headroom": 10_000}, 80_000),
        # batchor's rule: whichever leaves less.
        ({"target_ratio": 0.8, "headroom": 10_000}, 72_000),
        ({"target_ratio": 0.9, "headroom": 10_000}, 80_000),
    ],
)
def test_of_the_token_limit_a_part_is_used(provider_at, part, used):
    provider = provider_at(URL, token_limit=90_000, **part)

    assert (provider.budget.tokens, provider.limits.tokens) == (used, used)


def test_a_shard_is_never_larger_than_the_queue(provider_at):
    """A batch of more than the account may queue would wait for ever."""
    provider = provider_at(
        URL,
        max_batch_enqueued_tokens=500_000,
        token_limit=90_000,
        headroom=1,
        max_enqueued_requests=20,
    )

    assert (provider.limits.tokens, provider.limits.requests) == (89_999, 20)


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
    ("fields", "said"),
    [
        ({"max_requests_per_batch": 0}, "max_requests_per_batch is 0, .* give it 1 or more"),
        ({"max_bytes_per_batch": -1}, "max_bytes_per_batch is -1, .* give it 1 or more"),
        ({"max_batch_enqueued_tokens": 0}, "max_batch_enqueued_tokens is 0, .* leave it out"),
        ({"token_limit": 0}, "token_limit is 0, .* leave it out"),
        ({"max_enqueued_requests": 0}, "max_enqueued_requests is 0, .* leave it out"),
        ({"max_enqueued_inputs": 0}, "max_enqueued_inputs is 0, .* leave it out"),
        ({"max_open_batches": 0}, "max_open_batches is 0, .* leave it out"),
        ({"timeout_seconds": 0}, "timeout_seconds is 0.*give every call some seconds"),
        ({"max_retries": -1}, "max_retries is -1; give it 0"),
        ({"token_limit": 9, "target_ratio": 0}, "target_ratio is 0.*a share above 0"),
        ({"token_limit": 9, "target_ratio": 1.01}, "target_ratio is 1.01.*1 at most"),
        ({"token_limit": 9, "headroom": -1}, "headroom is -1; it is 0 or more"),
        ({"token_limit": 9, "headroom": 9}, "token_limit: .* headroom 9 .*lower the headroom"),
        ({"token_limit": 9, "target_ratio": 0.1}, "token_limit: .* 0.1 .*raise the ratio"),
        ({"headroom": 5}, "headroom are parts of token_limit, which is not set: set it"),
        ({"target_ratio": 0.5}, "target_ratio and headroom .* or leave them out"),
        ({"input_expires_after_seconds": 3_599}, "input_expires_after_seconds is 3599; .*3600"),
        ({"output_expires_after_seconds": 2_592_001}, "output_expires_after_seconds .*2592000"),
        ({"completion_window": "soon"}, "completion_window is 'soon'; write hours .* as 24h"),
        ({"metadata": {KEY_METADATA: "x"}}, f"metadata has {KEY_METADATA}.*another name"),
        ({"metadata": {f"n{i}": "x" for i in range(16)}}, "metadata has 16 pairs; .* 15 beside"),
        ({"metadata": {"n" * 65: "x"}}, "metadata 'n+': .* shorten it"),
        ({"metadata": {"note": "x" * 513}}, "metadata 'note': .* values of 512 .* shorten it"),
        ({"metadata": {"": "x"}}, "metadata '': the API takes names of 1 to 64"),
    ],
)
def test_a_value_that_cannot_be_is_refused_where_it_is_declared(fields, said):
    with pytest.raises(DeclarationError, match=said):
        OpenAIResource(api_key=dg.EnvVar("NOT_SET"), **fields)


def test_a_value_of_the_environment_that_cannot_be_is_refused_by_the_run(monkeypatch):
    @dg.asset
    def batches(llm: dg.ResourceParam[Provider]) -> None:
        raise AssertionError("it began")

    resource = OpenAIResource(api_key=KEY, token_limit=dg.EnvVar.int("THE_LIMIT"))
    monkeypatch.setenv("THE_LIMIT", "-5")

    with pytest.raises(dg.DagsterResourceFunctionError) as failed:
        dg.materialize([batches], resources={"llm": resource})

    assert isinstance(failed.value.__cause__, DeclarationError)
    assert "token_limit is -5" in failed.value.__cause__.message


def test_the_smallest_and_the_largest_values_can_be_declared(provider_at):
    provider_at(URL, token_limit=1, max_requests_per_batch=1, input_expires_after_seconds=3_600)
    provider_at(URL, completion_window="7d", output_expires_after_seconds=2_592_000)


def test_an_uploaded_shard_expires_when_the_resource_says_so(sandbox, clock, a_shard, provider_at):
    provider = provider_at(sandbox.base_url, input_expires_after_seconds=7_200)

    batch = provider.submit(a_shard(), endpoint=ENDPOINT, key="k-1")

    with OpenAI(api_key="k", base_url=sandbox.base_url) as client:
        assert client.files.retrieve(batch.input_file_id).expires_at == clock.now() + 7_200


def test_the_answers_expire_when_the_resource_says_so(sandbox, clock, a_shard, provider_at):
    """Row 30: the operator could not set the expiry."""
    provider = provider_at(sandbox.base_url, output_expires_after_seconds=7_200)
    batch = provider.submit(a_shard(), endpoint=ENDPOINT, key="k-1")
    clock.advance(100)

    with OpenAI(api_key="k", base_url=sandbox.base_url) as client:
        output = client.files.retrieve(client.batches.retrieve(batch.id).output_file_id)

    assert output.expires_at - output.created_at == 7_200


def test_a_batch_carries_the_metadata_of_the_resource_beside_its_key(sandbox, a_shard, provider_at):
    """Row 30: the operator could not set metadata."""
    metadata = {f"n{i}": "x" * 512 for i in range(15)}
    provider = provider_at(sandbox.base_url, metadata=metadata)

    batch = provider.submit(a_shard(), endpoint=ENDPOINT, key="k-1")

    with OpenAI(api_key="k", base_url=sandbox.base_url) as client:
        assert client.batches.retrieve(batch.id).metadata == {**metadata, KEY_METADATA: "k-1"}


def test_a_server_may_be_given_another_window(server, provider_at, a_shard):
    server.on("POST /v1/batches", server.refusal(400))

    with pytest.raises(RequestRefused):
        provider_at(server.base_url, completion_window="7d").submit(
            a_shard(), endpoint=ENDPOINT, key="k-1"
        )

    [create] = [call for call in server.calls if call.route == "POST /v1/batches"]
    assert json.loads(create.body)["completion_window"] == "7d"


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
    provider.submit(a_shard(), endpoint=ENDPOINT, key="k-1")

    upload, create = (call.headers for call in border.calls)
    assert upload["openai-project"] == create["openai-project"] == "proj_1"
    assert "openai-organization" not in {*upload, *create}


def test_every_field_is_described():
    fields = OpenAIResource.model_fields

    assert [name for name, field in fields.items() if not field.description] == []
