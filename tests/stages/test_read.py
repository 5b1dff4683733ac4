"""Final results are read page by page, while their partition is still open."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from factories import a_corpus

from batch_assets.domain.budget import Budget
from batch_assets.domain.control import Scope
from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.shard import Limits
from batch_assets.stages.ask_again import ask_again
from batch_assets.stages.control import cancel
from batch_assets.stages.read import append_results, read_results

THREE_ROWS = Limits(requests=3, bytes=10**6)


@pytest.fixture
def half_done(a_world, sandbox, provider_at):
    """Six items in two shards; the first is collected, the second at the provider."""
    via = provider_at(sandbox.base_url, budget=Budget(batches=1))
    world = a_world(6, limits=THREE_ROWS, via=via)
    world.submit()
    world.poll(after=100)
    world.advance()
    assert world.states == ["collected", "submitted"]
    return world


def read(world, **over):
    page = read_results(world.deployment, world.recipe, **over)
    return list(
        zip(page.column("sequence").to_pylist(), page.column("item_id").to_pylist(), strict=True)
    )


def fails(script, *ordinals, status=500):
    script.line = lambda batch_id, custom_id: (
        {"custom_id": custom_id, "response": {"status_code": status, "body": {}}}
        if custom_id.rsplit("-", 1)[-1] in ordinals
        else None
    )


def test_what_is_collected_is_read_while_the_rest_is_at_the_provider(half_done):
    assert read(half_done) == [(1, "i-0"), (2, "i-1"), (3, "i-2")]


def test_whoever_goes_on_behind_the_last_sequence_reads_each_result_once(half_done):
    first = read(half_done)
    half_done.finish()

    rest = read(half_done, after_sequence=first[-1][0])

    assert rest == [(4, "i-3"), (5, "i-4"), (6, "i-5")]
    assert read(half_done, after_sequence=6) == []


def test_a_page_has_no_more_rows_than_asked_for(half_done):
    half_done.finish()
    pages, after = [], 0
    while page := read(half_done, after_sequence=after, limit=4):
        pages.append([item for _, item in page])
        after = page[-1][0]

    assert pages == [["i-0", "i-1", "i-2", "i-3"], ["i-4", "i-5"]]


def test_pages_have_the_columns_of_the_results(half_done):
    page = read_results(half_done.deployment, half_done.recipe)
    half_done.finish()

    assert page.column_names == ["sequence", *half_done.table().column_names]
    assert page.select(page.column_names[1:]).to_pylist() == half_done.results()[:3]


def test_numbers_do_not_change_when_read_again(half_done):
    once = read(half_done)
    half_done.finish()

    assert read(half_done)[:3] == once


def test_an_item_that_is_asked_again_is_not_final(a_world, script):
    fails(script, "0")
    world = a_world()
    world.submit()
    world.poll(after=100)
    world.advance()

    assert read(world) == [(1, "i-1"), (2, "i-2")]
    script.forget()
    world.finish()
    assert read(world, after_sequence=2) == [(3, "i-0")]


def test_an_item_whose_failure_is_final_is_read_at_once(a_world, script, sandbox, provider_at):
    fails(script, "0", status=400)
    via = provider_at(sandbox.base_url, budget=Budget(batches=1))
    world = a_world(6, limits=THREE_ROWS, via=via)
    world.submit()
    world.poll(after=100)
    world.advance()

    page = read_results(world.deployment, world.recipe)

    assert page.column("outcome").to_pylist() == ["errored", "ok", "ok"]


def test_a_result_that_a_person_has_asked_again_comes_a_second_time(a_world, script):
    fails(script, "0", status=400)
    world = a_world()
    world.carry()
    assert read(world) == [(1, "i-0"), (2, "i-1"), (3, "i-2")]
    script.forget()

    assert ask_again(world.deployment, world.recipe, world.request_set, {Outcome.ERRORED}) == 1
    world.advance()
    world.finish()

    assert read(world, after_sequence=3) == [(4, "i-0")]


def test_a_cancelled_partition_is_read_to_its_end(half_done):
    read(half_done)
    scope = Scope(inference="words", partition_key="p")
    cancel(half_done.deployment, scope, owner="Ann", reason="enough", at_provider=False)
    half_done.finish()

    assert [item for _, item in read(half_done, after_sequence=3)] == ["i-3", "i-4", "i-5"]


def test_partitions_share_one_row_of_numbers_and_can_be_read_alone(half_done, tmp_path):
    a_corpus(tmp_path / "corpus", 2, key="q")
    other = replace(half_done, partition_key="q", manifests=[])
    half_done.finish()
    read(half_done)
    other.carry()

    assert read(other, partition_keys=["q"]) == [(7, "i-0"), (8, "i-1")]
    assert [number for number, _ in read(other)] == list(range(1, 9))


def test_the_results_of_a_newer_request_set_come_behind_the_older_ones(a_world, tmp_path):
    world = a_world()
    world.carry()
    assert len(read(world)) == 3
    a_corpus(tmp_path / "corpus", 2)
    world.carry()

    assert read(world, after_sequence=3) == [(4, "i-0"), (5, "i-1")]


def test_nothing_is_there_before_anything_was_submitted(a_world):
    assert read(a_world()) == []


@pytest.mark.parametrize("page", [{"limit": 0}, {"after_sequence": -1}])
def test_a_page_that_cannot_be_is_refused(a_world, page):
    with pytest.raises(ValueError, match="a page has 1 row at least"):
        read(a_world(), **page)


# Export


def lines_of(path: Path) -> list[tuple[int, str]]:
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
    return [(row["sequence"], row["item_id"]) for row in rows]


def appended(world, path: Path) -> int:
    return append_results(world.deployment, world.recipe, path)


def test_an_export_takes_up_what_became_final_since_the_last_time(half_done, tmp_path):
    path = tmp_path / "results.jsonl"
    assert appended(half_done, path) == 3
    half_done.finish()

    assert appended(half_done, path) == 3
    assert appended(half_done, path) == 0
    assert lines_of(path) == [(number, f"i-{number - 1}") for number in range(1, 7)]


@pytest.mark.parametrize("cut", [1, 40, 10_000])
def test_an_export_that_was_killed_goes_on_where_it_stopped(half_done, tmp_path, cut):
    path = tmp_path / "results.jsonl"
    half_done.finish()
    appended(half_done, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])

    appended(half_done, path)

    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"id,outcome\n1,ok\n", b'{"item_id": "i-0"}\n', b"half a"])
def test_a_file_of_something_else_is_left_as_it_is(half_done, tmp_path, content):
    path = tmp_path / "mine.csv"
    path.write_bytes(content)

    with pytest.raises(ArtifactError, match=r"mine.csv is no export of results"):
        appended(half_done, path)

    assert path.read_bytes() == content
