"""A process of its own that takes a partition with stragglers forward, to be killed in the middle.

`stragglers_run.py FOLDER BASE_URL NOW ITEMS`: the ledger and the store are in the folder, NOW is
the time on the ledger's clock. It holds the partition, as a run does.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from factories import a_corpus, a_recipe
from lane_world import a_lane
from stage_world import a_provider
from stragglers_world import AFTER

from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.stages.advance import advance
from batch_assets.stages.lease import held
from batch_assets.stages.poll import poll
from batch_assets.stages.recipe import Deployment


def main() -> None:
    folder, base_url, now = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    ledger = Ledger.open(
        f"sqlite:///{folder / 'ledger.sqlite3'}", lambda: datetime.fromtimestamp(now, UTC)
    )
    owner = f"process {os.getpid()}"
    deployment = Deployment(
        ledger=ledger,
        files=Files(str(folder / "store")),
        provider=a_provider(base_url),
        live=a_lane(base_url),
        owner=owner,
    )
    recipe = a_recipe(a_corpus(folder / "corpus", int(sys.argv[4])), stragglers=AFTER)
    with held(ledger, "words", ["p"], holder=owner):
        poll(deployment)
        request_set = ledger.request_sets.current("words", "p")
        assert request_set is not None
        advance(deployment, recipe, request_set)


if __name__ == "__main__":
    main()
