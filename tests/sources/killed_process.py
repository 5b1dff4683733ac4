"""A process on a partition's way whose store is a bucket; it is killed at a place of its choice.

Run as a script with one argument, JSON: `root`, `corpus`, `partition_key`, `ledger`, `base_url`,
`now`, `verbs` and `kill_at`. The bucket is reached by what fsspec finds in the environment.
"""

import json
import os
import signal
import sys
from datetime import UTC, datetime

from crash_points import PointedFiles
from factories import a_recipe
from stage_world import World, a_provider

from batch_assets.corpus import FileCorpus
from batch_assets.ledger import Ledger
from batch_assets.sandbox import ManualClock
from batch_assets.stages.recipe import Deployment


class KillAt:
    """Dies at the first place of a name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, name: str) -> None:
        if name == self._name:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    facts = json.loads(sys.argv[1])
    now = facts["now"]
    world = World(
        deployment=Deployment(
            ledger=Ledger.open(facts["ledger"], lambda: datetime.fromtimestamp(now, UTC)),
            files=PointedFiles(facts["root"], KillAt(facts["kill_at"])),
            provider=a_provider(facts["base_url"]),
            owner="killed",
        ),
        recipe=a_recipe(FileCorpus(path=facts["corpus"], item_id="id")),
        clock=ManualClock(now),
        sandbox=None,
        partition_key=facts["partition_key"],
    )
    for verb in facts["verbs"]:
        getattr(world, verb)()


if __name__ == "__main__":
    main()
