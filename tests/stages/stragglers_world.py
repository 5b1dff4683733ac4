"""A partition whose stragglers are asked live, and what its tests ask of it."""

from collections import Counter

from stage_world import World

from batch_assets.domain.stragglers import Stragglers
from batch_assets.sandbox import Answer
from batch_assets.stages.advance import Pending
from batch_assets.stages.resolve import Resolution

HOUR = 3600.0
AFTER = Stragglers(provider="openai_live", after_hours=20)


def at_deadline(world: World) -> Resolution | Pending:
    """The run that finds that it is time."""
    world.poll(after=20 * HOUR)
    return world.advance()


def accounts(world: World) -> Counter[str]:
    """Items by the account that had the last word on them."""
    by_id = {batch.provider_id: batch.account for batch in world.batches}
    return Counter(str(by_id.get(batch_id)) for batch_id in world.column("batch_id"))


def asked_twice(world: World) -> bool:
    return bool(world.executions["max_executions_of_one_body"] > 1)


def not_json() -> Answer:
    return Answer(text="no JSON")
