"""A process of its own that carries a lane's partition out, to be killed in the middle.

`lane_run.py FOLDER BASE_URL NOW CONCURRENCY ITEMS`: the ledger and the store are in the folder, NOW
is the time on the ledger's clock.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from factories import a_corpus, a_recipe
from lane_world import a_lane

from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.stages.advance import advance
from batch_assets.stages.recipe import Deployment


def main() -> None:
    folder, base_url, now = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    concurrency, items = int(sys.argv[4]), int(sys.argv[5])
    ledger = Ledger.open(
        f"sqlite:///{folder / 'ledger.sqlite3'}", lambda: datetime.fromtimestamp(now, UTC)
    )
    deployment = Deployment(
        ledger=ledger,
        files=Files(str(folder / "store")),
        provider=a_lane(base_url, concurrency=concurrency),
        owner="process",
    )
    request_set = ledger.request_sets.current("words", "p")
    assert request_set is not None
    advance(deployment, a_recipe(a_corpus(folder / "corpus", items)), request_set)


if __name__ == "__main__":
    main()
