"""A second provider as the page has it, over HTTP: an own resource key, account and limits."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from component_files import WARNING
from dagster.components.testing.utils import component_defs

import batch_assets as ba
from batch_assets.sandbox import RunningSandbox, running_sandbox

pytestmark = pytest.mark.filterwarnings(WARNING)

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "own-provider.md").read_text()
[CODE] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[DECLARED] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
SERVER = "https://llm.example.com/v1"


@pytest.fixture
def server(world) -> Iterator[RunningSandbox]:
    """The second provider; the first is the world's own."""
    with running_sandbox(world.folder / "inhouse", clock=world.clock, latency=100) as running:
        yield running


@dataclass(frozen=True)
class Both:
    """An inference at each of two providers."""

    world: Any
    server: RunningSandbox

    def asked(self) -> tuple[int, int]:
        """Batches that the first and the second provider were asked to make."""
        return self.world.sent(), int(self.server.state.executions()["batches_created"])


@pytest.fixture
def both(world, server, monkeypatch) -> Both:
    monkeypatch.setenv("INHOUSE_API_KEY", "sk-inhouse")
    world.declare(world.inference(world.corpus(a=2)))
    world.load(world.defs_without_sensor(), declared(world), at(server))
    return Both(world=world, server=server)


def at(server: RunningSandbox) -> dg.Definitions:
    """The definitions of the page's code, with the address of a server that is there."""
    assert SERVER in CODE
    names: dict[str, Any] = {}
    exec(compile(CODE.replace(SERVER, server.base_url), "own-provider.md", "exec"), names)
    made: dg.Definitions = names["providers"]()
    return made


def declared(world) -> dg.Definitions:
    """The page's YAML, over a file of tickets."""
    data = world.folder / "data"
    data.mkdir()
    (data / "tickets.csv").write_text("id,text\nt-1,a parcel\nt-2,an invoice\n")
    attributes = yaml.safe_load(DECLARED)["attributes"]
    attributes["corpus"]["path"] = str(data / "tickets.csv")
    return component_defs(
        component=ba.BatchInferenceComponent.resolve_from_yaml(yaml.safe_dump(attributes))
    )


def test_each_inference_is_sent_to_its_own_provider_and_collected(both):
    both.world.run("requests", "batches", partition="a")
    sent_by_the_first = both.asked()
    both.world.run("requests", "batches", partition="tickets", inference="triage")

    assert all(result.success for result in both.world.collect())

    assert sent_by_the_first == (1, 0)
    assert both.asked() == (1, 1)
    [triage] = both.world.materializations("results", "tickets", "triage")
    assert triage.metadata["coverage"].value == 1.0
    assert both.world.materialized("results") == {"a"}


def test_its_account_is_the_one_that_is_named(both):
    both.world.run("requests", "batches", partition="tickets", inference="triage")

    [batch] = both.world.ledger.batches(partition=("triage", "tickets"))
    assert batch.account == "inhouse"


def test_its_batches_are_no_larger_than_it_takes(both):
    with dg.build_resources({"inhouse": both.world.defs.resources["inhouse"]}) as resources:
        assert resources.inhouse.limits.requests == 10_000
        assert resources.inhouse.limits.bytes == 100_000_000
        assert resources.inhouse.budget.batches == 4


def test_its_cost_is_what_the_inference_declares(both):
    both.world.run("requests", "batches", partition="tickets", inference="triage")
    both.world.collect()

    newest, *_ = both.world.materializations("results", "tickets", "triage")
    assert newest.metadata["cost_usd"].value > 0
    assert newest.metadata["price_provenance"].value == "declared"


def test_where_it_lacks_its_key_the_other_goes_on(both, monkeypatch):
    monkeypatch.delenv("INHOUSE_API_KEY")
    both.world.run("requests", "batches", partition="a")

    assert all(result.success for result in both.world.collect())

    assert both.world.materialized("results") == {"a"}
    assert "set the environment variable INHOUSE_API_KEY" in both.world.tick().skip_message


def test_every_setting_of_the_page_is_one_of_the_resource():
    section = PAGE.split("## What to set")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert named - {"prices"} <= set(ba.OpenAIResource.model_fields)


def test_the_limits_it_names_as_defaults_are_the_defaults():
    fields = ba.OpenAIResource.model_fields

    assert fields["max_requests_per_batch"].default == 50_000
    assert fields["max_bytes_per_batch"].default == 200_000_000
    assert "50,000 and 200 MB" in PAGE
