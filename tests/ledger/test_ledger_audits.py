"""What an audit reads of the ledger: every account's batches, by ids alone."""

from datetime import timedelta

from factories import NOON
from ledger_world import ACCOUNT, Clock, ended, planned, submitted

from batch_assets.domain.batch import Account
from batch_assets.ledger import Ledger
from batch_assets.ledger.audits import AccountTally

OTHER = Account("anthropic")
HOUR = timedelta(hours=1)


def test_every_account_is_counted_with_its_oldest_open_batch(
    ledger: Ledger, ledger_clock: Clock
) -> None:
    planned(ledger, account=OTHER, partition="q")
    for batch in planned(ledger, shards=2):
        submitted(ledger, batch, id=f"batch-{batch.shard}")
        ledger_clock.advance(HOUR)

    assert ledger.audits.accounts() == [
        AccountTally(account=OTHER, batches=1, open=0, oldest_open=None),
        AccountTally(account=ACCOUNT, batches=2, open=2, oldest_open=NOON),
    ]


def test_open_batches_are_known_by_their_ids_with_when_they_were_offered(
    ledger: Ledger, ledger_clock: Clock
) -> None:
    first, second, third = planned(ledger, shards=3)
    ended(ledger, third, id="batch-3")
    submitted(ledger, first, id="batch-1")
    ledger_clock.advance(HOUR)
    submitted(ledger, second, id="batch-2")

    assert list(ledger.audits.open_ids(ACCOUNT).items()) == [
        ("batch-1", NOON),
        ("batch-2", NOON + HOUR),
    ]
    assert ledger.audits.open_ids(OTHER) == {}


def test_files_of_answers_are_known_once_they_are_collected(ledger: Ledger) -> None:
    first, second = planned(ledger, shards=2)
    ended(ledger, first, id="batch-1", output_file_id="file-0")
    kept = ended(ledger, second, id="batch-2", output_file_id="file-1", error_file_id="file-2")
    ledger.collect(kept, owner="sensor")

    assert ledger.audits.answer_files(ACCOUNT) == {"file-1": kept.id, "file-2": kept.id}
    assert ledger.audits.answer_files(OTHER) == {}


def test_batches_are_found_by_their_ids_within_an_account(ledger: Ledger) -> None:
    batch = submitted(ledger, id="batch-1")

    assert ledger.audits.by_provider_id(ACCOUNT, ["batch-1", "batch-9"]) == {"batch-1": batch}
    assert ledger.audits.by_provider_id(OTHER, ["batch-1"]) == {}
    assert ledger.audits.of_numbers([batch.id]) == {batch.id: batch}
