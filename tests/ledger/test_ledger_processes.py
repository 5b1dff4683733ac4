"""Several processes at one ledger: what they do to one batch, the database decides."""

import pytest
import sqlalchemy as sa
from factories import a_shard
from ledger_processes import (
    SPAWN,
    add_sketches,
    die_in_a_transaction,
    look,
    open_request_sets,
    plan_shards,
    reserve_and_release,
    reserve_what_there_is,
)
from ledger_world import ACCOUNT, planned, reserved

from batch_assets.domain.batch import BatchState
from batch_assets.domain.budget import Budget, Reservation
from batch_assets.ledger import Ledger, schema


def test_processes_that_open_an_empty_ledger_at_once_all_find_it_ready(crew, url):
    crew.all_do(look, url)

    ledger = Ledger.open(url)
    assert planned(ledger)
    ledger.close()


def test_processes_that_reserve_at_once_never_exceed_the_budget(crew, ledger, url):
    """Row 51: the cap holds at the reservation, before anything is sent."""
    planned(ledger, shards=40)

    crew.all_do(reserve_what_there_is, url, Budget(requests=75))

    assert ledger.held(ACCOUNT) == Reservation(requests=70, tokens=700, batches=7)
    taken = ledger.batches(states={BatchState.RESERVED})
    assert [len(ledger.events(batch.id)) for batch in taken] == [2] * 7


def test_the_budget_holds_at_every_moment_while_processes_take_and_give_back(crew, ledger, url):
    planned(ledger, shards=15)

    crew.all_do(reserve_and_release, url, Budget(batches=2))

    assert ledger.held(ACCOUNT) == Reservation()


def test_processes_that_plan_the_same_shards_plan_each_once(crew, ledger, url):
    """Whichever account comes first has the shard: no shard is with two providers."""
    crew.all_do(plan_shards, url, [a_shard(number) for number in range(5)])

    assert sorted(batch.shard for batch in ledger.batches()) == [0, 1, 2, 3, 4]


def test_processes_that_sketch_the_same_request_sets_at_once_sketch_each_once(
    crew, ledger, url, database
):
    opened = [ledger.request_sets.open("words", f"p-{turn}", "d") for turn in range(30)]

    crew.all_do(add_sketches, url, opened)

    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.sketch)) == 30 * 64


@pytest.mark.parametrize("digests", [1, 3])
def test_processes_that_open_request_sets_at_once_agree_on_a_current_one(
    crew, ledger, url, database, digests
):
    crew.all_do(open_request_sets, url, digests)

    current = sa.select(schema.request_set.c.partition_key).where(schema.request_set.c.is_current)
    with database.connect() as connection:
        partitions = connection.scalars(current).all()
    assert sorted(partitions) == [f"p-{turn}" for turn in range(5)]


def test_a_process_killed_in_a_transaction_leaves_the_ledger_as_it_was(ledger, url):
    """Row 26: state is outside the process, and never half of it."""
    batch = reserved(ledger)
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=die_in_a_transaction, args=(url, there))
    process.start()
    assert here.recv() == "written"

    process.kill()
    process.join()

    assert ledger.batch(batch.id) == batch
    ledger.note(batch, "whole")
    assert ledger.batch(batch.id).reason == "whole"
