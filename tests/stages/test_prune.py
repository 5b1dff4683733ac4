"""What a bundle has anyway may go; results stay readable, and nothing that is needed is touched."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from stage_store import contents
from stage_world import LATENCY

from batch_assets.domain.shard import Limits
from batch_assets.stages.export import export
from batch_assets.stages.prune import Prunable, is_pruned, prunable, prune
from batch_assets.stages.read import read_results
from batch_assets.stages.reuse import reuse

THREE_ROWS = Limits(requests=3, bytes=10**6)


def look(world, **how) -> list[Prunable]:
    return list(prunable(world.ledger, world.files, "words", **how))


def prune_all(world, **how) -> int:
    return sum(
        prune(world.files, each, by="ada", now=world.ledger.clock()) for each in look(world, **how)
    )


def stored(world) -> set[str]:
    return set(contents(Path(world.files.root)))


def names(found: Prunable) -> list[str]:
    return [file.path.rsplit("/", 1)[-1] for file in found.files]


@pytest.fixture
def exported(a_world):
    """Results of seven items, and their bundle."""
    world = a_world(7, limits=THREE_ROWS)
    world.carry()
    export(world.deployment, world.request_set)
    return world


def once_down(script) -> None:
    """Request 4 is asked twice."""
    asked: list[str] = []

    def line(batch_id: str, custom_id: str):
        if not custom_id.endswith("-4") or custom_id in asked:
            return None
        asked.append(custom_id)
        return {"custom_id": custom_id, "response": {"status_code": 500, "body": {}}}

    script.line = line


def test_request_shards_of_exported_results_may_go(exported):
    [found] = look(exported)

    assert names(found) == [f"wave-0-shard-0000{number}.jsonl" for number in range(3)]
    assert found.bytes == sum(shard.bytes for shard in exported.manifest.shards)
    assert (found.has_raw_outputs, found.requests_lost) == (False, 0)


def test_looking_removes_nothing(exported):
    before = stored(exported)

    look(exported, include_raw_outputs=True)

    assert stored(exported) == before


def test_raw_outputs_go_only_where_that_is_said(exported):
    [found] = look(exported, include_raw_outputs=True)

    assert names(found)[3:] == [
        f"wave-0-shard-0000{number}-attempt-1.output.jsonl" for number in range(3)
    ]
    assert (found.has_raw_outputs, found.requests_lost) == (True, 7)


def test_what_goes_is_gone_and_the_rest_is_as_it_was(exported):
    before = contents(Path(exported.files.root))
    [found] = look(exported, include_raw_outputs=True)

    freed = prune(exported.files, found, by="ada", now=exported.ledger.clock())

    after = contents(Path(exported.files.root))
    gone = {file.path for file in found.files}
    assert freed == sum(len(before[path]) for path in gone)
    assert after.keys() - before.keys() == {exported.layout.pruned}
    assert {path: before[path] for path in before.keys() - gone} == {
        path: content for path, content in after.items() if path != exported.layout.pruned
    }


def test_results_are_read_and_numbered_after_all_that_may_go_is_gone(exported):
    prune_all(exported, include_raw_outputs=True)

    page = read_results(exported.deployment, exported.recipe)

    assert len(exported.results()) == page.num_rows == 7


def test_results_without_a_bundle_keep_everything(a_world):
    world = a_world(3)
    world.carry()

    [found] = look(world, include_raw_outputs=True)

    assert found.files == ()
    assert "export-artifacts" in found.kept_since


def test_a_bundle_of_earlier_results_is_no_bundle_of_these(exported):
    exported.files.delete(
        exported.layout.bundle(exported.files.checksum(exported.layout.results).sha256)
    )
    exported.files.write(f"{exported.layout.bundle('0' * 64)}/manifest.json", b"{}")

    [found] = look(exported, include_raw_outputs=True)

    assert found.files == ()


def test_a_damaged_bundle_keeps_everything(exported):
    folder, bundle = export(exported.deployment, exported.request_set)
    exported.files.write(f"{folder}/{bundle.files[-1].path}", b"damaged")

    [found] = look(exported, include_raw_outputs=True)

    assert found.files == ()
    assert "is not what was exported" in found.kept_since


def test_a_partition_on_its_way_keeps_everything(a_world):
    world = a_world(3)
    world.submit()

    [found] = look(world, include_raw_outputs=True)

    assert (found.files, found.kept_since) == ((), "it is on its way")


def test_what_is_younger_than_asked_for_stays(exported, clock):
    assert look(exported, older_than=timedelta(days=30))[0].kept_since == "it is younger than that"

    clock.advance(timedelta(days=30).total_seconds())

    assert look(exported, older_than=timedelta(days=30))[0].files


def test_only_the_partitions_that_are_named_are_looked_at(exported):
    assert look(exported, partition_keys=["q"]) == []
    assert [each.request_set.partition_key for each in look(exported, partition_keys=["p"])] == [
        "p"
    ]


def test_a_replaced_request_set_keeps_the_answers_that_no_bundle_has(a_world):
    a_world(3, limits=THREE_ROWS, reuse=False).carry()
    world = a_world(4, limits=THREE_ROWS, reuse=False)
    world.carry()
    export(world.deployment, world.request_set)

    replaced, _ = look(world, include_raw_outputs=True)

    assert names(replaced) == ["wave-0-shard-00000.jsonl"]
    assert not replaced.has_raw_outputs
    assert "no bundle has them" in replaced.kept_since


def test_a_replaced_request_set_that_was_exported_may_go_whole(exported, a_world):
    world = a_world(8, limits=THREE_ROWS, reuse=False)
    world.carry()

    replaced, current = look(world, include_raw_outputs=True)

    assert replaced.has_raw_outputs
    assert current.files == ()


def test_shards_that_say_what_an_answer_is_about_stay_with_the_answers(a_world, script):
    once_down(script)
    world = a_world(7, limits=THREE_ROWS)
    world.carry()
    export(world.deployment, world.request_set)

    prune_all(world)
    before = world.results()
    world.files.delete(world.layout.results)
    world.advance()

    assert world.results() == before


def test_packs_keep_their_shards_as_long_as_their_answers(a_world):
    world = a_world(7, rows_per_request=3)
    world.carry()
    export(world.deployment, world.request_set)

    assert look(world)[0].files == []
    assert look(world, include_raw_outputs=True)[0].has_raw_outputs


def test_answers_without_their_shards_are_still_carried_over(exported, a_world):
    prune_all(exported)
    world = a_world(8, limits=THREE_ROWS)

    found = reuse(world.deployment, world.recipe, world.prepare())

    assert len(found.carried) == 7


def test_what_was_pruned_is_asked_again_and_is_no_damage(exported, a_world):
    prune_all(exported, include_raw_outputs=True)
    world = a_world(8, limits=THREE_ROWS)

    world.carry()

    assert world.column("outcome") == ["ok"] * 8
    assert world.column("reused_from") == [None] * 8


def test_answers_that_were_carried_over_stay(exported, a_world):
    second = a_world(8, limits=THREE_ROWS)
    second.carry()
    export(second.deployment, second.request_set)
    prune_all(second, include_raw_outputs=True)
    third = a_world(9, limits=THREE_ROWS)

    found = reuse(third.deployment, third.recipe, third.prepare())

    assert len(found.carried) == 7


def test_what_was_pruned_is_put_back_from_the_bundle(exported):
    """As docs/howto/command-line.md says it."""
    before = exported.results()
    prune_all(exported, include_raw_outputs=True)
    folder, bundle = export(exported.deployment, exported.request_set)
    place = exported.layout.manifest.rpartition("/")[0]
    for file in bundle.files:
        if file.path.endswith(".zst"):
            packed = pa.BufferReader(exported.files.read(f"{folder}/{file.path}"))
            content = pa.CompressedInputStream(packed, "zstd").read()
            exported.files.write(f"{place}/{file.path.removesuffix('.zst')}", content)
    exported.files.delete(exported.layout.pruned)

    exported.files.delete(exported.layout.results)
    exported.advance()

    assert exported.results() == before
    assert not is_pruned(exported.files, exported.request_set)


def test_pruned_twice_it_has_nothing_left_to_remove(exported):
    prune_all(exported, include_raw_outputs=True)

    assert prune_all(exported, include_raw_outputs=True) == 0


def test_the_same_requests_are_not_bought_again(exported):
    prune_all(exported, include_raw_outputs=True)
    bought = exported.executions

    exported.submit()
    exported.clock.advance(LATENCY)

    assert exported.executions == bought
    assert exported.request_set.resolved_at is not None


class _Killed(BaseException):
    """Not an error: the process is gone."""


@pytest.mark.parametrize("deletions", range(6))
def test_stopped_after_any_file_it_goes_on_and_loses_nothing(
    exported, a_world, monkeypatch, deletions
):
    [found] = look(exported, include_raw_outputs=True)
    left = deletions
    delete = type(exported.files).delete

    def until_killed(self, path: str) -> None:
        nonlocal left
        if left == 0:
            raise _Killed
        left -= 1
        delete(self, path)

    with monkeypatch.context() as patched:
        patched.setattr(type(exported.files), "delete", until_killed)
        with pytest.raises(_Killed):
            prune(exported.files, found, by="ada", now=exported.ledger.clock())

    assert len(exported.results()) == 7
    assert is_pruned(exported.files, exported.request_set)
    assert [len(each.files) for each in look(exported, include_raw_outputs=True)] == [6 - deletions]
    world = a_world(8, limits=THREE_ROWS)
    world.carry()
    assert world.column("outcome") == ["ok"] * 8
