"""What only a server does to a ledger: its own defaults, and processes that vanish with a lock."""

import pytest
import sqlalchemy as sa
from ledger_world import planned

from batch_assets.ledger import Ledger, schema
from batch_assets.ledger.engine import open_engine
from batch_assets.ledger.turns import WANTED_EVERY


@pytest.fixture
def url(new_schema):
    with new_schema() as url:
        yield url


def with_option(url: str, option: str) -> str:
    """The URL with one more option of the server's."""
    parsed = sa.make_url(url)
    options = f"{parsed.query['options']} {option}"
    return parsed.update_query_dict({"options": options}).render_as_string(hide_password=False)


def test_a_transaction_sees_what_was_committed_while_it_waited_whatever_the_servers_default(url):
    """The count of a budget begins with a wait for the account's lock."""
    engine = open_engine(with_option(url, r"-cdefault_transaction_isolation=repeatable\ read"))

    with engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW transaction_isolation")) == "read committed"
    engine.dispose()


def test_saying_what_is_wanted_waits_for_nobody_who_has_a_batch_in_hand(ledger, url, ledger_clock):
    """Its row is skipped: who holds it sends it or drops it."""
    first, _ = planned(ledger, shards=2)
    impatient = Ledger.open(with_option(url, "-clock_timeout=1ms"), ledger_clock)
    then = ledger_clock.now
    ledger_clock.advance(WANTED_EVERY * 2)

    with ledger._writing.begin() as connection:
        of_first = schema.batch.update().where(schema.batch.c.id == first.id)
        connection.execute(of_first.values(reason="in hand"))
        impatient.request_sets.want(["words"])

    assert [batch.wanted_at for batch in ledger.batches()] == [then, ledger_clock.now]
    impatient.close()


def test_a_transaction_whose_process_is_silent_for_a_minute_is_ended_by_the_server(url):
    """The machine of a writer may be gone without a word, and its locks with it."""
    engine = open_engine(url)
    with engine.connect() as connection:
        rule = sa.text("SHOW idle_in_transaction_session_timeout")
        assert connection.scalar(rule) == "1min"
    engine.dispose()
