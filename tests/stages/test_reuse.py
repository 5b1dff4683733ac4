"""Answers of earlier request sets are carried over: what was asked once is not asked again."""

from dataclasses import replace
from pathlib import Path

import factories
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import a_corpus, a_recipe, a_table
from pydantic import BaseModel, field_validator

from batch_assets.domain.budget import Budget
from batch_assets.domain.control import WaitKind
from batch_assets.domain.shard import Limits
from batch_assets.sandbox import ItemError
from batch_assets.stages.advance import Pending
from batch_assets.stages.reuse import reuse

THREE_ROWS = Limits(requests=3, bytes=10**6)


@pytest.fixture
def rewrite(tmp_path):
    """Writes a partition of so many rows, some of which have other words."""

    def write(rows: int, *, key: str = "p", **changed: str) -> None:
        words = [f"word {row}" for row in range(rows)]
        for row, word in changed.items():
            words[int(row.removeprefix("row_"))] = word
        a_corpus(tmp_path / "corpus", a_table(rows, word=words), key=key)

    return write


def a_kind_that_nothing_is() -> type[BaseModel]:
    """A model with the schema of the tests' own, and a validator that takes no answer."""

    class Kind(factories.Kind):
        __doc__ = factories.Kind.__doc__

        @field_validator("words")
        @classmethod
        def nothing_is_right(cls, words: list[str]) -> list[str]:
            raise ValueError("no words are right")

    return Kind


def executed(world) -> int:
    return world.executions["requests_executed"]


def test_of_changed_rows_exactly_the_changed_are_sent(a_world, rewrite):
    world = a_world(9, limits=THREE_ROWS)
    world.carry()
    rewrite(9, row_2="changed", row_7="changed too")

    resolution = world.carry()

    assert executed(world) == 9 + 2
    assert world.executions["max_executions_of_one_body"] == 1
    assert resolution.summary.outcomes == {"ok": 9}
    assert world.column("executions") == [0, 0, 1, 0, 0, 0, 0, 1, 0]


def test_what_is_carried_over_says_where_it_was_asked(a_world, rewrite):
    world = a_world(3)
    first = world.carry()
    before = world.results()
    rewrite(3, row_1="changed")

    world.carry()

    rows = world.results()
    digest = first.manifest.digest
    assert [row["reused_from"] for row in rows] == [digest, None, digest]
    assert [row["batch_id"] for row in rows[::2]] == [row["batch_id"] for row in before[::2]]
    assert [row["answer"] for row in rows[::2]] == [row["answer"] for row in before[::2]]
    assert [row["attempts"] for row in rows] == [0, 1, 0]
    assert rows[0]["input_tokens"] is None


def test_a_changed_prompt_asks_all_and_the_old_one_nothing(a_world):
    world = a_world(5)
    world.carry()
    old = world.recipe
    world.recipe = a_recipe(old.corpus, user="Another: {{ word }}")

    world.carry()
    assert executed(world) == 10

    world.recipe = old
    world.carry()
    assert executed(world) == 10


def test_rows_that_come_and_go_are_asked_once(a_world, rewrite):
    world = a_world(4)
    for rows in (4, 6, 3, 6, 4):
        rewrite(rows)
        assert world.carry().summary.outcomes == {"ok": rows}

    assert executed(world) == 6


def test_an_answer_is_carried_from_one_that_carried_it_itself(a_world, rewrite):
    world = a_world(3)
    digest = world.carry().manifest.digest
    rewrite(3, row_0="a")
    world.carry()
    rewrite(3, row_0="b")

    world.carry()

    assert executed(world) == 3 + 1 + 1
    assert world.column("reused_from") == [None, digest, digest]


def test_a_partition_of_which_nothing_is_to_be_sent_has_results_without_a_batch(a_world, rewrite):
    world = a_world(5)
    world.carry()
    rewrite(3)

    submission = world.submit()

    assert (submission.sent, submission.batches) == (0, [])
    assert world.advance().summary.outcomes == {"ok": 3}
    assert executed(world) == 5


@pytest.mark.parametrize("rows", [1, 5, 300])
def test_a_copied_or_renamed_file_is_a_partition_that_costs_nothing(a_world, rewrite, rows):
    world = a_world(rows)
    world.carry()
    rewrite(rows, key="copy")

    copy = replace(world, partition_key="copy", manifests=[])
    copy.carry()

    assert executed(world) == rows
    assert copy.column("outcome") == ["ok"] * rows
    assert copy.column("partition_key") == ["copy"] * rows


def test_a_file_that_was_touched_and_moved_sends_nothing(a_world, tmp_path):
    world = a_world(3)
    world.carry()
    (tmp_path / "corpus").rename(tmp_path / "moved")
    file = tmp_path / "moved" / "p.parquet"
    pq.write_table(pq.read_table(file), file, compression="zstd")
    corpus = replace(world.recipe.corpus, path=str(tmp_path / "moved"))
    world.recipe = replace(world.recipe, corpus=corpus)

    submission = world.submit()

    assert (submission.sent, executed(world)) == (0, 3)


def test_items_that_share_a_request_share_what_is_carried_over(a_world, tmp_path):
    world = a_world(a_table(3, word=["a", "b", "a"]))
    world.carry()
    a_corpus(tmp_path / "corpus", a_table(4, word=["a", "a", "c", "a"]))

    world.carry()

    assert executed(world) == 2 + 1
    assert world.column("outcome") == ["ok"] * 4
    assert sum(world.column("executions")) == 1


def test_what_was_never_sent_takes_over_what_was_answered_meanwhile(
    a_world, rewrite, sandbox, provider_at
):
    full = a_world(9, via=provider_at(sandbox.base_url, budget=Budget(batches=1)))
    rewrite(1, key="other", row_0="holds the only place")
    replace(full, partition_key="other", manifests=[]).submit()
    assert full.submit().sent == 0
    full.poll(after=100)
    rewrite(8)
    full.carry()
    rewrite(9)

    full.carry()

    assert executed(full) == 1 + 8 + 1
    assert full.column("outcome") == ["ok"] * 9


# What is not carried over


def test_only_valid_answers_are_carried_over(a_world, script, rewrite):
    script.items(ItemError(status=400), containing="word 1")
    world = a_world(3, max_waves=1)
    world.carry()
    script.clear()
    rewrite(3, row_0="changed")

    world.carry()

    assert world.column("outcome") == ["ok", "ok", "ok"]
    assert world.column("executions") == [1, 1, 0]


def test_an_answer_that_the_output_type_no_longer_takes_is_asked_again(a_world, rewrite):
    world = a_world(2, max_waves=1)
    world.carry()
    rewrite(3)
    narrower = a_recipe(world.recipe.corpus, output=a_kind_that_nothing_is(), max_waves=1)
    assert narrower.endpoint.shape_digest == world.recipe.endpoint.shape_digest
    world.recipe = narrower

    world.carry()

    assert executed(world) == 2 + 3


def test_where_reuse_is_off_everything_is_asked(a_world, rewrite):
    world = a_world(3, reuse=False)
    world.carry()
    rewrite(4)

    world.carry()

    assert executed(world) == 3 + 4


def test_an_answer_of_another_inference_is_not_carried_over(a_world):
    world = a_world(3)
    world.carry()
    other = replace(world, recipe=replace(world.recipe, inference="other"), manifests=[])

    other.carry()

    assert executed(world) == 6


# What is at the provider


def test_what_is_at_the_provider_already_is_waited_for(a_world, rewrite):
    world = a_world(3)
    world.submit()
    rewrite(4)

    submission = world.submit()

    assert (submission.sent, submission.waiting_for.kind) == (0, WaitKind.ANSWERS)
    assert "partition p has asked some of its requests already" in submission.waiting_for.reason
    assert world.executions["batches_created"] == 1

    world.finish()
    assert world.column("outcome") == ["ok"] * 4
    assert (executed(world), world.executions["batches_created"]) == (4, 2)


def test_what_another_partition_has_at_the_provider_is_waited_for(a_world, rewrite):
    world = a_world(30)
    world.submit()
    rewrite(30, key="copy")
    copy = replace(world, partition_key="copy", manifests=[])

    assert copy.submit().waiting_for.kind is WaitKind.ANSWERS
    copy.poll(after=100)
    assert isinstance(copy.advance(), Pending)
    world.collect()

    assert copy.advance().summary.outcomes == {"ok": 30}
    assert executed(world) == 30


def test_a_few_requests_that_another_partition_asks_at_this_moment_are_not_waited_for(
    a_world, tmp_path
):
    """Daily partitions with the same empty text would wait a day for each other."""
    world = a_world(30)
    world.submit()
    words = [f"word {row}" if row < 9 else f"other {row}" for row in range(30)]
    a_corpus(tmp_path / "corpus", a_table(30, word=words), key="next")

    assert replace(world, partition_key="next", manifests=[]).submit().sent == 1


def test_another_prompt_does_not_wait(a_world):
    world = a_world(3)
    world.submit()
    world.recipe = a_recipe(world.recipe.corpus, user="Another: {{ word }}")

    assert world.submit().sent == 1


def test_what_the_awaited_request_set_left_open_is_asked(a_world, script, rewrite):
    script.items(ItemError(status=400), containing="word 1")
    world = a_world(3, max_waves=1)
    world.submit()
    rewrite(4)
    world.submit()
    world.poll(after=100)
    script.clear()

    world.finish()

    assert world.column("outcome") == ["ok"] * 4
    assert world.column("executions") == [0, 1, 0, 1]


# Interruptions


def test_what_was_decided_before_a_crash_is_decided_once(a_world, rewrite, monkeypatch):
    world = a_world(6, limits=THREE_ROWS)
    world.carry()
    rewrite(6, row_0="changed")

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(world.ledger), "plan", crash)
        with pytest.raises(KeyboardInterrupt):
            world.submit()

    world.carry()

    assert executed(world) == 7
    assert world.column("outcome") == ["ok"] * 6


def test_a_look_without_consequence_writes_nothing(a_world, rewrite, files):
    world = a_world(3)
    world.carry()
    rewrite(4)
    manifest = world.prepare()

    found = reuse(world.deployment, world.recipe, manifest)

    assert found.carried.tolist() == [0, 1, 2]
    assert not any("carried" in str(path) for path in Path(files.root).rglob("*"))


# Made anew


def test_results_made_anew_by_another_reader_cost_nothing(a_world):
    world = a_world(3)
    world.carry()
    world.recipe = a_recipe(world.recipe.corpus, output=a_kind_that_nothing_is())

    again = world.advance()

    assert again.summary.outcomes == {"invalid": 3}
    assert again.changed == 3
    assert executed(world) == 3


def test_results_made_anew_by_the_same_reader_have_no_change(a_world):
    world = a_world(3)
    first = world.carry()

    assert first.changed is None
    assert world.advance().changed == 0


def test_carried_answers_are_in_the_results_of_a_large_partition_in_their_order(a_world, tmp_path):
    rows = 3_000
    world = a_world(rows, limits=Limits(requests=700, bytes=10**8))
    world.carry()
    words = [f"word {row}" if row % 7 else f"changed {row}" for row in range(rows)]
    table = a_table(rows, word=words)
    pq.write_table(pa.concat_tables([table.slice(10), table.slice(0, 10)]), _file(tmp_path))

    world.carry()

    changed = len([row for row in range(rows) if not row % 7])
    assert executed(world) == rows + changed
    assert world.column("item_id") == [f"i-{row}" for row in [*range(10, rows), *range(10)]]
    assert world.column("outcome") == ["ok"] * rows


def _file(folder: Path) -> Path:
    return folder / "corpus" / "p.parquet"
