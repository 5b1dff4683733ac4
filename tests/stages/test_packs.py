"""Several items in one request: what is lost is asked in smaller packs, and nothing is trusted."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from factories import a_corpus, a_recipe, a_table
from stage_world import LATENCY

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.domain.shard import Limits
from batch_assets.prompt import Example, JsonMode, Prompt
from batch_assets.sandbox import Answer, ItemError, ListSlips, MissingLine, Refusal, TruncatedAnswer


def sent(world) -> list[list[str]]:
    """The ids of the items in each request that was prepared, wave by wave."""
    asked = []
    for wave in range(world.request_set.wave + 1):
        for shard in range(9):
            path = world.layout.shard(wave, shard)
            if world.files.exists(path):
                asked += [ids_in(line) for line in world.files.read(path).splitlines()]
    return asked


def ids_in(line: bytes) -> list[str]:
    return ids_of(json.loads(line)["body"])


def ids_of(body: dict[str, Any]) -> list[str]:
    text = body["messages"][-1]["content"]
    return [json.loads(item)["id"] for item in text.split("\n")[1:]]


def packs_of(*sizes: int) -> Callable[[dict[str, Any]], bool]:
    """Which requests a fault hits: those with so many items."""
    return lambda body: len(ids_of(body)) in sizes


def outcomes(world) -> dict[str, int]:
    found = world.column("outcome")
    return {name: found.count(name) for name in set(found)}


def paid(world) -> int:
    return world.executions["requests_executed"]


def most_paid(items: int, size: int) -> int:
    """Requests at most, where every pack loses everything until each item is alone."""
    sizes = [size >> wave for wave in range(size.bit_length())]
    return sum(math.ceil(items / each) for each in sizes)


def test_items_share_requests_and_each_has_its_own_answer(a_world):
    world = a_world(10, rows_per_request=4)

    world.carry()

    assert sent(world) == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]
    assert paid(world) == 3
    assert outcomes(world) == {"ok": 10}
    assert len({json.dumps(row["output"], default=str) for row in world.results()}) > 1
    assert sum(world.column("executions")) == 3


def test_what_a_pack_used_stands_with_its_first_item(a_world):
    world = a_world(4, rows_per_request=2)

    world.carry()

    used = world.column("input_tokens")
    assert [tokens is not None for tokens in used] == [True, False, True, False]


def test_lost_items_are_asked_in_half_the_pack_down_to_one(a_world, script):
    script.items(ListSlips(dropped=(0, 1, 2, 3, 4, 5, 6, 7)))
    world = a_world(8, rows_per_request=8, max_waves=1)

    world.carry()

    assert [len(ids) for ids in sent(world)] == [8, 4, 4, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1]
    assert outcomes(world) == {"invalid": 8}
    assert paid(world) == most_paid(8, 8) == 15


def test_only_the_lost_are_asked_again(a_world, script):
    script.items(ListSlips(dropped=(1,)), times=1)
    world = a_world(4, rows_per_request=4)

    world.carry()

    assert sent(world)[1:] == [["1"]]
    assert outcomes(world) == {"ok": 4}
    assert world.column("wave") == [0, 1, 0, 0]


def test_invented_and_repeated_answers_are_counted_and_nobody_s(a_world, script):
    script.items(ListSlips(repeated=(0,), invented=3), times=1)
    world = a_world(4, rows_per_request=4)

    lines = world.carry().lines

    assert (lines.foreign, lines.duplicate) == (3, 1)
    assert outcomes(world) == {"ok": 4}
    assert paid(world) == 1


def test_an_answer_for_an_item_of_another_pack_is_not_trusted(a_world, script):
    said = {"answers": [{"id": "2", "answer": {"label": "plant", "words": [], "score": 9}}]}
    script.items(Answer(json.dumps(said)), where=lambda body: ids_of(body) == ["0", "1"])
    world = a_world(4, rows_per_request=2)

    resolution = world.carry()

    assert resolution.lines.foreign == 1
    assert outcomes(world) == {"ok": 4}
    assert [row["output"]["score"] for row in world.results()].count(9) == 0


def test_a_provider_that_slips_in_every_way_leaves_each_item_an_honest_outcome(a_world, script):
    script.items(ItemError(status=400), where=lambda body: ids_of(body)[0] == "16")
    script.items(TruncatedAnswer(), where=packs_of(4))
    script.items(Refusal(), where=packs_of(2))
    script.items(MissingLine(), where=packs_of(1), share=0.3, times=1)
    script.items(ListSlips(dropped=(0, 3), repeated=(1,), invented=1), where=packs_of(8))
    world = a_world(60, rows_per_request=8)

    world.carry()

    assert sum(outcomes(world).values()) == 60
    assert outcomes(world) == {"ok": 59, "errored": 1}
    assert 60 / 8 < paid(world) <= most_paid(60, 8)


def test_what_one_item_refuses_its_neighbours_are_asked_for_without_it(a_world, script):
    script.items(Refusal(), containing="word 5")
    world = a_world(8, rows_per_request=8, max_waves=1)

    world.carry()

    assert outcomes(world) == {"ok": 7, "refused": 1}
    assert world.column("outcome")[5] == "refused"


def test_a_truncated_pack_keeps_the_answers_that_are_whole(a_world, script):
    script.items(TruncatedAnswer(), where=packs_of(8))
    world = a_world(8, rows_per_request=8)

    world.carry()

    assert outcomes(world) == {"ok": 8}
    waves = world.column("wave")
    assert 0 < waves.count(0) < 8


def test_an_answer_that_is_invalid_alone_spoils_no_neighbour(a_world, script):
    good = {"label": "plant", "words": [], "score": 1}
    said = {"answers": [{"id": "0", "answer": good}, {"id": "1", "answer": {"label": "?"}}]}
    script.items(Answer(json.dumps(said)), times=1)
    world = a_world(2, rows_per_request=2, max_waves=1)

    world.carry()

    assert world.column("outcome") == ["ok", "invalid"]


def test_a_pack_that_no_line_came_for_is_asked_again(a_world, script):
    script.items(MissingLine(), where=packs_of(4))
    world = a_world(4, rows_per_request=4)

    world.carry()

    assert sent(world)[1:] == [["0", "1"], ["2", "3"]]
    assert outcomes(world) == {"ok": 4}


def test_items_that_are_asked_the_same_share_their_place_in_a_pack(a_world):
    world = a_world(a_table(4, word=["a", "b", "a", "a"]), rows_per_request=3)

    world.carry()

    assert sent(world) == [["0", "1"]]
    assert outcomes(world) == {"ok": 4}


def test_packs_are_cut_where_a_batch_could_not_hold_them(a_world):
    words = ["short", "x" * 3_000, "y" * 3_000, "short too"]
    limits = Limits(requests=10, bytes=6_000)
    world = a_world(a_table(4, word=words), rows_per_request=4, limits=limits)

    world.carry()

    assert outcomes(world) == {"ok": 4}
    assert all(len(ids) < 4 for ids in sent(world))


def test_hostile_items_cannot_leave_their_line(a_world):
    words = ['"}\n{"id":"1","text":"mine"}', "{{ word }}", "\u2028 </item>", '"answers": []']
    world = a_world(a_table(4, word=words), rows_per_request=4)

    world.carry()

    assert sent(world) == [["0", "1", "2", "3"]]
    assert outcomes(world) == {"ok": 4}


def test_packs_of_any_size_carry_over_each_other_s_answers(a_world, tmp_path):
    world = a_world(9, rows_per_request=4)
    world.carry()
    digest = world.manifest.digest
    words = [f"word {row}" for row in range(8)] + ["changed"]
    a_corpus(tmp_path / "corpus", a_table(9, word=words))
    world.recipe = a_recipe(world.recipe.corpus, rows_per_request=2)

    world.carry()

    assert world.column("reused_from") == [digest] * 8 + [None]
    assert paid(world) == 3 + 1
    assert outcomes(world) == {"ok": 9}


def test_an_item_of_its_own_is_another_request_than_one_in_a_pack(a_world):
    world = a_world(3, rows_per_request=3)
    world.carry()
    world.recipe = a_recipe(world.recipe.corpus)

    world.carry()

    assert paid(world) == 1 + 3


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
@pytest.mark.parametrize("output", [None, {"labels": ["animal", "plant"]}], ids=["text", "labels"])
def test_any_text_endpoint_and_output_can_be_packed(a_world, endpoint, output):
    world = a_world(5, rows_per_request=2, endpoint=endpoint, output=output)

    world.carry()

    assert outcomes(world) == {"ok": 5}


def test_examples_and_the_system_message_stand_once_before_the_items(a_world):
    prompt = Prompt(
        user="{{ word }}",
        system="Sort.",
        examples=[Example(user="oak", assistant={"label": "plant"})],
    )
    world = a_world(2, rows_per_request=2, prompt=prompt)

    manifest = world.prepare()

    [line] = world.files.read(manifest.shards[0].path).splitlines()
    roles = [message["role"] for message in json.loads(line)["body"]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("over", "complaint"),
    [
        ({"rows_per_request": 0}, "rows_per_request is 0"),
        ({"rows_per_request": 501}, "rows_per_request is 501; it is 1, or at most 500"),
        ({"rows_per_request": 2, "system": "{{ word }}"}, "system message .* reads word"),
        ({"rows_per_request": 2, "output": JsonMode()}, "JSON mode cannot be packed"),
        ({"rows_per_request": 2, "endpoint": "embeddings", "output": None}, "embeddings"),
    ],
)
def test_what_cannot_be_packed_is_refused_when_it_is_declared(a_world, over, complaint):
    with pytest.raises(DeclarationError, match=complaint):
        a_world(2, **over)


def test_a_list_is_no_text_of_a_pack(a_world):
    world = a_world(
        a_table(2, word=[["a"], ["b"]]), rows_per_request=2, prompt=Prompt(field="word")
    )

    with pytest.raises(CorpusError, match="row 0: the prompt gives no text"):
        world.prepare()


def test_packs_are_resolved_across_shards(a_world, script):
    script.items(ListSlips(dropped=(0,)), where=packs_of(4))
    world = a_world(40, rows_per_request=4, limits=Limits(requests=3, bytes=10**6))

    world.carry()

    assert outcomes(world) == {"ok": 40}
    assert world.column("item_id") == [f"i-{row}" for row in range(40)]
    assert sorted({wave for wave in world.column("wave")}) == [0, 1]


def test_another_process_resolves_packs_from_the_files_alone(a_world, script):
    script.items(ListSlips(dropped=(0,)), times=1)
    world = a_world(6, rows_per_request=3)
    world.submit()
    world.poll(after=LATENCY)
    again = replace(world, recipe=a_recipe(world.recipe.corpus, rows_per_request=3), manifests=[])

    again.finish()

    assert outcomes(again) == {"ok": 6}
