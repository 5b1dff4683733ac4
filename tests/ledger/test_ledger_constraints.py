"""What the database itself refuses, whoever asks for it."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from factories import NOON
from ledger_world import ACCOUNT, ended, open_set, planned

from batch_assets.domain.errors import LedgerError
from batch_assets.ledger import Ledger, schema

Insert = Callable[..., None]


@pytest.fixture
def insert_batch(ledger: Ledger, database: sa.Engine) -> Insert:
    """Writes a second batch beside the planned one of shard 0, behind the ledger's back."""
    request_set = planned(ledger)[0].request_set

    def insert(**over: Any) -> None:
        row: dict[str, Any] = {
            "request_set_id": request_set.id,
            "wave": 0,
            "shard": 1,
            "attempt": 1,
            "account": ACCOUNT,
            "endpoint": "/v1/chat/completions",
            "state": "planned",
            "key": "a key",
            "requests": 1,
            "tokens": 1,
            "created_at": NOON,
            "refusals": 0,
            "inputs": 0,
            "problems": [],
        }
        with database.begin() as connection:
            connection.execute(schema.batch.insert().values(**row | over))

    return insert


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"shard": 0}, "shard has one live batch"),
        ({"state": "submitted"}, "submitted batch has provider id"),
        ({"state": "ended", "ended_at": NOON}, "submitted batch has provider id"),
        ({"state": "reserved"}, "reserved batch has lease"),
        ({"state": "reserved", "lease_owner": "run-1"}, "reserved batch has lease"),
        ({"state": "ended", "provider_id": "b"}, "ended batch has end"),
        ({"state": "lost"}, "state is known"),
        ({"attempt": 0}, "attempt counts from one"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_the_database_keeps_what_must_hold_of_a_batch(insert_batch, row, sentence):
    with pytest.raises(LedgerError, match=sentence):
        insert_batch(**row)


def test_a_batch_belongs_to_an_account_and_a_request_set_that_exist(insert_batch):
    with pytest.raises(LedgerError):
        insert_batch(account="nobody")
    with pytest.raises(LedgerError):
        insert_batch(request_set_id=4711)


def test_a_shard_may_have_any_number_of_abandoned_batches(insert_batch, ledger):
    for attempt in (2, 3):
        insert_batch(shard=0, state="abandoned", attempt=attempt, key=f"key {attempt}")

    assert len(ledger.batches()) == 3


def test_a_key_is_the_key_of_one_batch(insert_batch, ledger):
    with pytest.raises(LedgerError, match="batch key is unique"):
        insert_batch(key=ledger.batches()[0].key)


def test_two_accounts_may_have_batches_of_the_same_id(insert_batch, ledger, database):
    """Two providers name their batches without asking each other."""
    ended(ledger, ledger.batches()[0], id="batch-1")
    with database.begin() as connection:
        connection.execute(schema.account.insert().values(name="another", refusals=0))

    insert_batch(account="another", provider_id="batch-1", state="submitted")

    assert len({batch.account for batch in ledger.batches()}) == 2


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"digest": "d1", "is_current": False}, "request set is named by its digest"),
        ({"digest": "d2", "is_current": True}, "partition has one current request set"),
        ({"digest": "d2", "is_current": False, "wave": -1}, "wave counts from zero"),
        ({"digest": "d2", "is_current": False, "holder": "run-1"}, "holder has lease"),
        ({"digest": "d2", "is_current": False, "canary_state": "odd"}, "canary state is known"),
        ({"digest": "d2", "is_current": False, "rescue_wave": 1}, "rescue wave has its rescue"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_the_database_keeps_what_must_hold_of_a_request_set(ledger, database, row, sentence):
    open_set(ledger)
    named = {"inference": "words", "partition_key": "p", "created_at": NOON, "wave": 0}
    named |= {"origin": "", "cancels_batches": False, "needs_approval": False}

    with pytest.raises(LedgerError, match=sentence), database.begin() as connection:
        connection.execute(schema.request_set.insert().values(**named | row))


ANN = {"since": NOON, "owner": "ann", "reason": "r", "is_stop": False}
OF_ACCOUNT = {"account": "openai"}
OF_PARTITION = {"inference": "words", "partition_key": "p"}
OF_BACKFILL = {"origin": "backfill-1"}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({}, "pause covers one thing"),
        (OF_ACCOUNT | OF_PARTITION, "pause covers one thing"),
        (OF_ACCOUNT | OF_BACKFILL, "pause covers one thing"),
        (OF_ACCOUNT | {"partition_key": "p"}, "paused partition has an inference"),
        (OF_PARTITION | {"is_stop": True}, "only an account is stopped"),
        (OF_ACCOUNT | {"lifted_at": NOON}, "lifted pause says by whom"),
        (OF_ACCOUNT | {"lifted_by": "ann"}, "lifted pause says by whom"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_the_database_keeps_what_must_hold_of_a_pause(database, row, sentence):
    with pytest.raises(LedgerError, match=sentence), database.begin() as connection:
        connection.execute(schema.pause.insert().values(**ANN | row))


@pytest.mark.parametrize(
    "scope", [OF_ACCOUNT, OF_PARTITION, OF_BACKFILL], ids=["account", "partition", "backfill"]
)
def test_the_database_has_no_order_twice(database, scope):
    with database.begin() as connection:
        connection.execute(schema.pause.insert().values(**ANN | scope))

    with pytest.raises(LedgerError, match="scope is paused once"), database.begin() as connection:
        connection.execute(schema.pause.insert().values(**ANN | scope))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"first_sequence": 0}, "sequence counts from one"),
        ({"first_sequence": 2, "rows": 0}, "increment has rows"),
        ({}, "sequence is given once"),
    ],
    ids=["sequence 0", "no rows", "the same sequence"],
)
def test_the_database_keeps_what_must_hold_of_an_increment(ledger, database, row, sentence):
    first = {"request_set_id": open_set(ledger).id, "inference": "words", "first_sequence": 1}
    first |= {"rows": 1, "path": "a", "at": NOON}
    with database.begin() as connection:
        connection.execute(schema.increment.insert().values(**first))

    with pytest.raises(LedgerError, match=sentence), database.begin() as connection:
        connection.execute(schema.increment.insert().values(**first | row))
