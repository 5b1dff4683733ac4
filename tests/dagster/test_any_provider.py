"""The example corpus through every provider, by changing provider and model in its YAML alone."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from component_files import WARNING

import batch_assets as ba
from batch_assets.domain.kinds import BUILT_IN
from batch_assets.domain.provider import Provider
from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.resources.deployments import chosen_deployment
from batch_assets.stages.advance import Pending, advance
from batch_assets.stages.plan import layout_of
from batch_assets.stages.poll import poll
from batch_assets.stages.prepare import check_taken, prepare
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.results import results_schema
from batch_assets.stages.submit import submit

pytestmark = pytest.mark.filterwarnings(WARNING)

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "batch_assets" / "defs" / "glosses" / "defs.yaml"
PARTITION = "a-b"

#: A model of each provider that the sandbox speaks for.
MODELS = {
    "openai": "gpt-5-mini",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-2.5-flash",
    "mistral": "mistral-small-latest",
    "azure": "gpt-5-mini-batch",
    "groq": "openai/gpt-oss-20b",
    "together": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "deepinfra": "meta-llama/Llama-3.3-70B-Instruct",
    "doubleword": "Qwen/Qwen3-VL-235B-A22B-Instruct-FP8",
    "xerotier": "llama-3.3-70b",
    "openai_live": "gpt-5-mini",
    "anthropic_live": "claude-haiku-4-5",
}
SPOKEN = [name for name, kind in BUILT_IN.items() if kind.sandbox_prefix is not None]

Carry = Callable[..., Resolution]


@pytest.fixture
def resource_of(sandbox, monkeypatch) -> Callable[[str], Any]:
    """The resource of a provider, as the deployment `sandbox` has it."""
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", sandbox.base_url)
    return lambda name: chosen_deployment().resources[name]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "store"))


@pytest.fixture
def ledger(tmp_path: Path, clock) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger.open(url, lambda: datetime.fromtimestamp(clock.now(), UTC))
    yield ledger
    ledger.close()


def the_example(**over: Any) -> ba.Inference:
    """What the example's file declares, with these attributes in place of its own."""
    attributes = yaml.safe_load(EXAMPLE.read_text())["attributes"] | over
    declared = ba.BatchInferenceComponent.resolve_from_yaml(yaml.safe_dump(attributes))
    return declared.inference(PROJECT)


@pytest.fixture
def carry(resource_of, files, ledger, clock) -> Carry:
    """Takes a partition of the example the whole way; keywords change its YAML."""

    def provider_of(resource: Any) -> Provider:
        if isinstance(resource, ba.CompatibleResource):
            # Azure's file is read for a while before its batch can be created.
            return resource.provider(wait=clock.advance)
        return resource.create_resource(dg.build_init_resource_context())

    def make(**over: Any) -> Resolution:
        inference = the_example(**over)
        recipe = inference.recipe()
        resource = resource_of(inference.provider)
        with closing(provider_of(resource)) as provider:
            deployment = Deployment(ledger=ledger, files=files, provider=provider, owner="test")
            check_taken(provider, recipe)
            manifest = prepare(recipe, PARTITION, files=files, limits=provider.limits)
            submitted = submit(deployment, recipe, manifest)
            for _ in range(10):
                clock.advance(200.0)
                poll(deployment)
                state = advance(deployment, recipe, submitted.request_set)
                if isinstance(state, Resolution):
                    return state
            assert isinstance(state, Pending)
            raise AssertionError(f"still {state.progress}")

    return make


def results_of(files: Files, resolution: Resolution) -> pa.Table:
    with files.open(layout_of(resolution.request_set).results) as source:
        return pq.read_table(source)


def test_every_provider_of_the_sandbox_has_a_model_here():
    assert set(SPOKEN) == set(MODELS)


@pytest.mark.parametrize("provider", SPOKEN)
def test_the_example_moves_to_another_provider_by_its_name_and_a_model(provider, carry, files):
    resolution = carry(provider=provider, model_name=MODELS[provider])

    results = results_of(files, resolution)
    assert results.num_rows == pq.read_metadata(_corpus()).num_rows
    assert set(results.column("outcome").to_pylist()) == {"ok"}
    assert results.schema.equals(_expected_schema(), check_metadata=False)


def test_so_it_does_to_another_endpoint(carry, files):
    resolution = carry(endpoint="responses")

    results = results_of(files, resolution)
    assert set(results.column("outcome").to_pylist()) == {"ok"}
    assert results.schema.equals(_expected_schema(), check_metadata=False)


def test_an_endpoint_that_the_provider_does_not_have_is_refused_before_anything_is_sent(
    carry, sandbox
):
    with pytest.raises(ba.DeclarationError, match=r"takes no requests of /v1/chat/completions"):
        carry(provider="anthropic", model_name="claude-haiku-4-5", endpoint="chat")

    assert sandbox.state.executions()["batches_created"] == 0


def _corpus() -> Path:
    return PROJECT / "examples" / "glosses" / "corpus" / f"{PARTITION}.parquet"


def _expected_schema() -> pa.Schema:
    """Of the results, whoever answered: it is the output type's alone."""
    return results_schema(the_example().recipe().endpoint.arrow_type)
