"""A partition's whole way at each server that differs from OpenAI, a lost reply on the way."""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from batch_assets.domain.batch import BatchState
from batch_assets.domain.provider import Provider
from batch_assets.domain.shard import Limits
from batch_assets.resources.compatible import CompatibleResource
from batch_assets.resources.mistral import MistralResource
from batch_assets.sandbox import LostReply
from batch_assets.stages.recover import recover

FOUR_ROWS = Limits(requests=4, bytes=10**6)

#: The servers whose way differs most, by their profiles, and where the sandbox speaks as they do.
SERVERS = {
    "azure-2024-10-21": "/azure/openai",
    "groq": "/groq/openai/v1",
    "together": "/together/v1",
    "xerotier": "/xerotier/proj_1/v1",
    "novita": "/novita/openai/v1",
}
ALL = [*SERVERS, "mistral"]


@pytest.fixture
def provider_of(sandbox, clock) -> Iterator[Callable[[str], Provider]]:
    made: list[Provider] = []

    def make(name: str) -> Provider:
        fields: dict[str, Any] = {"api_key": "sk-somebody", "max_retries": 0}
        if name == "mistral":
            resource = MistralResource(base_url=f"{sandbox.origin}/mistral", **fields)
            made.append(resource.provider())
        else:
            base_url = sandbox.origin + SERVERS[name]
            compatible = CompatibleResource(profile=name, base_url=base_url, **fields)
            made.append(compatible.provider(wait=clock.advance))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def world_at(a_world, provider_of) -> Callable[..., Any]:
    def make(name: str, rows: int) -> Any:
        endpoint = {"endpoint": "mistral_chat"} if name == "mistral" else {}
        return a_world(rows, via=provider_of(name), limits=FOUR_ROWS, **endpoint)

    return make


@pytest.mark.parametrize("name", ALL)
def test_every_item_gets_its_answer(world_at, name):
    world = world_at(name, 10)

    resolution = world.carry()

    assert resolution.summary.outcomes == {"ok": 10}
    assert [row["output"]["words"] for row in world.results()] == [
        [f"Word: word {row}"] for row in range(10)
    ]
    assert world.executions["max_executions_of_one_body"] == 1


@pytest.mark.parametrize("name", ALL)
def test_a_batch_whose_reply_was_lost_is_adopted_and_not_bought_again(world_at, faults, name):
    faults.calls("batches.create", LostReply())
    world = world_at(name, 3)
    world.submit()
    assert world.batch.state is BatchState.RESERVED

    world.lease_over()
    assert recover(world.deployment) == 1

    assert world.finish().summary.coverage == 1.0
    assert world.executions["batches_created"] == 1


@pytest.mark.parametrize("name", ALL)
def test_the_results_have_the_same_columns_as_openais(world_at, a_world, name):
    world, openais = world_at(name, 2), a_world(2, inference="others")
    world.carry()
    openais.carry()

    assert types(world.table()) == types(openais.table())


def types(table: pa.Table) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in table.schema]
