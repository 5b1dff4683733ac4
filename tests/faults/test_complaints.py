"""What users of other tools lost money by. Rows are those of the list of their complaints.

Most rows are named by the test of the part that answers them; those that concern the whole way are
here.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from batch_assets.domain.batch import BatchState
from batch_assets.domain.errors import CorpusError
from batch_assets.sandbox import ItemError, ServerError

TESTS = Path(__file__).parents[1]
ROWS = range(8, 33)


def rows_named_in(text: str) -> set[int]:
    """The rows after "Row" or "Rows": `Row 8`, `Rows 8 and 9`, `Rows 12, 15, 16 and 46`."""
    named = re.findall(r"\bRows? (\d+(?:(?:, | and |, and )\d+)*)", text)
    return {int(number) for numbers in named for number in re.findall(r"\d+", numbers)}


def docstrings_of_tests() -> Iterator[str]:
    """Those of tests, and of modules of tests."""
    for path in TESTS.rglob("test_*.py"):
        module = ast.parse(path.read_bytes())
        yield ast.get_docstring(module) or ""
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield ast.get_docstring(node) or ""


def test_each_complaint_about_lost_results_double_payment_and_limits_has_a_test_that_names_it():
    named = set().union(*map(rows_named_in, docstrings_of_tests()))

    assert sorted(set(ROWS) - named) == []


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("Row 8: the part.", {8}),
        ("Rows 8 and 9: by the files.", {8, 9}),
        ("Rows 12, 15, 16 and 46: the others.", {12, 15, 16, 46}),
        ("Rows come twice; row 3 is null.", set()),
    ],
)
def test_a_docstring_names_its_rows_by_number(text, rows):
    assert rows_named_in(text) == rows


def test_the_answers_schema_stands_where_the_endpoint_reads_it(a_world):
    """Row 21: a schema under another name was ignored, and prose came back.

    The sandbox answers by the schema that it finds in the request, and with prose without one.
    """
    world = a_world(4)

    world.carry()

    world.judged("ok", executed=4)
    assert {row["output"]["label"] for row in world.results()} <= {"animal", "plant", "place"}


def test_items_with_the_same_question_share_one_request_and_its_price(a_world):
    """Row 25: a custom_id that is there twice hangs a server; here none ever is."""
    words = ["oak", "elm", "oak", "oak"]
    world = a_world(pa.table({"id": ["a", "b", "c", "d"], "word": words}))

    world.carry()

    world.judged("ok", executed=2)
    assert world.column("is_duplicate") == [False, False, True, True]
    assert world.batch.reservation.requests == 2


def test_an_id_that_is_there_twice_is_refused_before_anything_is_sent(a_world, faults):
    """Rows 24 and 25: the second would overwrite the first."""
    world = a_world(pa.table({"id": ["a", "a"], "word": ["oak", "elm"]}))

    with pytest.raises(CorpusError, match="'a' is there 2 times"):
        world.submit()

    assert faults.called("*") == 0


def test_the_numbers_shown_are_those_of_the_rows(a_world, faults):
    """Row 19: progress said 100 succeeded, and 79 had."""
    faults.items(ItemError(400), share=0.2)
    world = a_world(40)

    summary = world.carry().summary

    outcomes = world.column("outcome")
    assert summary.outcomes == {name: outcomes.count(name) for name in set(outcomes)}
    assert summary.coverage == outcomes.count("ok") / 40 < 1
    world.judged(*outcomes, executed=outcomes.count("ok"))


def test_an_item_shows_how_often_it_was_asked_and_each_try_can_be_read(a_world, faults):
    """Row 20: failures vanish from the page once they are retried."""
    faults.items(ItemError(500), containing="word 1", times=2)
    world = a_world(4)

    waves = world.carry().summary.waves

    world.judged("ok", executed=4)
    assert world.attempts == [1, 3, 1, 1]
    assert [(wave.requests, dict(wave.outcomes)) for wave in waves] == [
        (4, {"ok": 3, "errored": 1}),
        (1, {"errored": 1}),
        (1, {"ok": 1}),
    ]


def test_a_batch_that_still_bills_is_in_sight_until_the_provider_ends_it(a_world, faults):
    """Row 28: the branch for errors left the batch running, and nobody knew of it."""
    world = a_world(4)
    world.send()
    faults.calls("*", ServerError(500), times=None)

    for _ in range(3):
        assert world.tick() is None
        [open_batch] = world.ledger.batches(states={BatchState.RESERVED, BatchState.SUBMITTED})
        assert open_batch.provider_id is not None
        assert world.ledger.held(open_batch.account).requests == 4

    faults.clear()
    world.bring_home()
    world.judged("ok", executed=4)
