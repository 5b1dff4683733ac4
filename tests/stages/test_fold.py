"""Provider output of any shape folds into one verdict per request.

The raw outputs are the sandbox's, then rewritten in the store as a provider might have sent them.
"""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from factories import Kind, a_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from stage_world import World

from batch_assets.domain.outcome import Outcome
from batch_assets.domain.shard import Limits
from batch_assets.stages.resolve import LineCounts, Resolution

THREE_ROWS = Limits(requests=3, bytes=10**6)
BLOCK = 256 * 1024

Lines = list[bytes]


@pytest.fixture
def collected(a_world) -> World:
    """Six items in two shards whose answers are in the store; nothing is asked again."""
    world = a_world(6, limits=THREE_ROWS, max_waves=1)
    world.submit()
    world.poll(after=100)
    world.collect()
    return world


def lines_of(world: World, batch: int = 0) -> Lines:
    return world.files.read(world.layout.raw_output(world.batches[batch])).splitlines(keepends=True)


def rewrite(world: World, edit: Callable[[Lines], Lines], batch: int = 0) -> None:
    path = world.layout.raw_output(world.batches[batch])
    world.files.write(path, b"".join(edit(lines_of(world, batch))))


def fold(world: World) -> Resolution:
    resolution = world.advance()
    assert isinstance(resolution, Resolution)
    return resolution


def ordinal_of(line: bytes) -> int:
    return int(json.loads(line)["custom_id"].rpartition("-")[2])


def without(ordinal: int) -> Callable[[Lines], Lines]:
    return lambda lines: [line for line in lines if ordinal_of(line) != ordinal]


def renamed(line: bytes, custom_id: object) -> bytes:
    return json.dumps(json.loads(line) | {"custom_id": custom_id}).encode() + b"\n"


# Lines as they come


@pytest.mark.parametrize("order", [sorted, lambda lines: sorted(lines, reverse=True)])
def test_the_order_of_the_lines_does_not_matter(collected, order):
    expected = fold(collected).results

    rewrite(collected, order)

    assert fold(collected).results == expected


def test_a_request_without_a_line_is_missing(collected):
    """Row 16: fewer lines than requests, in a batch that says it is completed."""
    rewrite(collected, without(1))

    fold(collected)

    assert collected.column("outcome") == ["ok", "missing", "ok", "ok", "ok", "ok"]
    assert collected.column("item_id") == [f"i-{row}" for row in range(6)]


def test_a_batch_without_a_line_leaves_its_items_missing(collected):
    rewrite(collected, lambda lines: [])

    fold(collected)

    assert collected.column("outcome") == ["missing"] * 3 + ["ok"] * 3


def test_of_two_lines_for_one_request_the_first_counts(collected):
    """Row 16: more lines than requests."""
    [line] = [line for line in lines_of(collected) if ordinal_of(line) == 1]
    other = line.replace(b'\\"score\\":', b'\\"score\\":9')
    rewrite(collected, lambda lines: [*lines, other, line])
    score = json.loads(json.loads(line)["response"]["body"]["choices"][0]["message"]["content"])

    resolution = fold(collected)

    assert collected.results()[1]["output"] == score
    assert resolution.lines == LineCounts(foreign=0, duplicate=2)


@pytest.mark.parametrize(
    "custom_id",
    [
        "",
        "request-1",
        "{prefix}6",
        "{prefix}3",
        "{prefix}-1",
        "{prefix}01",
        "{prefix}+1",
        "{prefix}1 ",
        "{prefix}1.0",
        "{prefix}１",
        "{prefix}" + "9" * 30,
        "{prefix}" + "9" * 5000,
        "{prefix}",
        "0123456789abcdef-1",
    ],
    ids=lambda custom_id: custom_id[:12] or "empty",
)
def test_a_line_that_answers_nobody_is_counted_and_not_trusted(collected, custom_id):
    """Row 16: the second shard's ids, too, are foreign in the first one's output."""
    prefix = json.loads(lines_of(collected)[0])["custom_id"].rpartition("-")[0] + "-"
    rewrite(
        collected,
        lambda lines: [renamed(lines[0], custom_id.replace("{prefix}", prefix)), *lines],
    )

    resolution = fold(collected)

    assert resolution.lines == LineCounts(foreign=1, duplicate=0)
    assert collected.column("outcome") == ["ok"] * 6
    assert [row["output"]["words"] for row in collected.results()] == [
        [f"Word: word {row}"] for row in range(6)
    ]


@pytest.mark.parametrize(
    "garbage",
    [b"\n", b"\r\n", b"null\n", b"[]\n", b"{\n", b"\xff\xfe\n", b"<html>502</html>\n", b"\x00\n"],
)
def test_a_line_that_cannot_be_read_spoils_no_other(collected, garbage):
    rewrite(collected, lambda lines: [garbage, *lines[:1], garbage, *lines[1:], garbage])

    fold(collected)

    assert collected.column("outcome") == ["ok"] * 6


def test_lines_may_end_as_on_windows_and_the_last_one_not_at_all(collected):
    rewrite(collected, lambda lines: [b"\r\n".join(line.strip() for line in lines)])

    fold(collected)

    assert collected.column("outcome") == ["ok"] * 6


def test_an_answer_for_which_the_rest_is_damaged_is_invalid(collected):
    [line] = [line for line in lines_of(collected) if ordinal_of(line) == 1]
    broken = json.dumps(json.loads(line) | {"response": 7}).encode() + b"\n"
    rewrite(collected, lambda lines: [broken, *without(1)(lines)])

    fold(collected)

    row = collected.results()[1]
    assert (row["outcome"], row["error_code"]) == ("invalid", "unreadable_line")


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_line_may_be_longer_than_what_is_read_at_once(collected, size):
    def padded(lines: Lines) -> Lines:
        return [line.rstrip().ljust(size - 1) + b"\n" for line in lines]

    rewrite(collected, padded)

    fold(collected)

    assert collected.column("outcome") == ["ok"] * 6


def test_answers_in_any_script_arrive_whole(a_world):
    words = ["Ёлка", "木\u2028の\u0085日", "🌲" * 50, "עֵץ", '"\\']
    world = a_world(a_table(5, word=words), user="{{ word }}", system=None)

    world.carry()

    assert [row["output"]["words"] for row in world.results()] == [
        [" ".join(word.split())] for word in words
    ]


# Lines of further waves


def failing(ordinals: set[int]) -> Callable[[str, str], dict[str, Any] | None]:
    """The first question about each of these requests ends in an error of the server."""
    failed: set[str] = set()

    def line(batch_id: str, custom_id: str) -> dict[str, Any] | None:
        if int(custom_id.rpartition("-")[2]) not in ordinals or custom_id in failed:
            return None
        failed.add(custom_id)
        return {"custom_id": custom_id, "response": {"status_code": 500, "body": {}}}

    return line


@pytest.fixture
def two_waves(a_world, script) -> World:
    """Nine items in three shards; 1, 3, 5 and 7, 8 are answered in two shards of wave 1."""
    script.line = failing({1, 3, 5, 7, 8})
    world = a_world(9, limits=THREE_ROWS, max_waves=2)
    world.carry()
    return world


def test_a_wave_is_folded_with_those_before_it(two_waves):
    assert two_waves.column("outcome") == ["ok"] * 9
    assert two_waves.column("wave") == [0, 1, 0, 1, 0, 1, 0, 1, 1]
    batches = [two_waves.batches[index].provider_id for index in (0, 3, 0, 3, 1, 3, 2, 4, 4)]
    assert two_waves.column("batch_id") == batches


def test_an_answer_nobody_asked_for_again_is_not_taken(two_waves):
    """Request 4 was answered in wave 0, request 8 was asked of the other shard of wave 1."""
    answers = {ordinal_of(line): line for batch in (3, 4) for line in lines_of(two_waves, batch)}
    prefix = json.loads(answers[1])["custom_id"].rpartition("-")[0]
    intruders = [renamed(answers[1], f"{prefix}-{ordinal}") for ordinal in (4, 8, 9)]
    expected = two_waves.results()

    rewrite(two_waves, lambda lines: [*intruders, *lines], batch=3)
    resolution = fold(two_waves)

    assert two_waves.results() == expected
    assert resolution.lines == LineCounts(foreign=3, duplicate=0)


def test_what_stays_unanswered_in_a_wave_says_so(two_waves):
    rewrite(two_waves, without(7), batch=4)

    fold(two_waves)

    assert two_waves.column("outcome") == ["ok"] * 7 + ["missing", "ok"]
    assert two_waves.column("wave")[7] == 1


def test_a_duplicate_in_a_wave_is_counted_once(two_waves):
    rewrite(two_waves, lambda lines: [*lines, *lines], batch=3)

    assert fold(two_waves).lines == LineCounts(foreign=0, duplicate=3)


# Any damage


def _cut_bytes(lines: Lines, random: Random) -> Lines:
    index = random.randrange(len(lines))
    line = lines[index]
    lines[index] = line[: random.randrange(len(line))] + line[random.randrange(len(line)) :]
    return lines


def _change_byte(lines: Lines, random: Random) -> Lines:
    index = random.randrange(len(lines))
    line = bytearray(lines[index] or b" ")
    line[random.randrange(len(line))] = random.randrange(256)
    lines[index] = bytes(line)
    return lines


def _insert_noise(lines: Lines, random: Random) -> Lines:
    noise = random.choice([b"\n", b"{}\n", b"null\n", b'{"custom_id": 7}\n', random.randbytes(20)])
    lines.insert(random.randrange(len(lines) + 1), noise)
    return lines


def _swap_ids(lines: Lines, random: Random) -> Lines:
    """Another request's id on this answer, or an id of nobody's."""
    try:
        one, other = (json.loads(random.choice(lines)) for _ in range(2))
        lines.append(renamed(json.dumps(one).encode(), other["custom_id"] + random.choice("0 x")))
    except (ValueError, TypeError, KeyError):
        pass
    return lines


def _repeat(lines: Lines, random: Random) -> Lines:
    return [*lines, random.choice(lines)]


def _drop(lines: Lines, random: Random) -> Lines:
    lines.pop(random.randrange(len(lines)))
    return lines


def _shuffle(lines: Lines, random: Random) -> Lines:
    return random.sample(lines, len(lines))


EDITS: dict[str, Callable[[Lines, Random], Lines]] = {
    "cut": _cut_bytes,
    "change": _change_byte,
    "noise": _insert_noise,
    "swap": _swap_ids,
    "repeat": _repeat,
    "drop": _drop,
    "shuffle": _shuffle,
}


def damaged(lines: Lines, edits: list[tuple[str, int]]) -> Lines:
    """The lines after some edits, each made with a seed."""
    for name, seed in edits:
        lines = EDITS[name](list(lines), Random(seed)) if lines else lines
    return lines


def answers_in(content: bytes) -> Iterator[tuple[str, str]]:
    """Each custom_id with the answer of a line that can be read in full: an oracle of its own."""
    for line in content.split(b"\n"):
        try:
            found = json.loads(line.decode(errors="replace"))
            body = found["response"]["body"]
            yield found["custom_id"], body["choices"][0]["message"]["content"]
        except (ValueError, TypeError, LookupError):
            continue


def is_valid(answer: str) -> bool:
    try:
        Kind.model_validate_json(answer)
    except ValidationError:
        return False
    return True


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(edits=st.lists(st.tuples(st.sampled_from(sorted(EDITS)), st.integers(0, 2**16)), max_size=6))
def test_whatever_comes_back_every_item_has_one_outcome(collected, originals, edits):
    lines = damaged(originals, edits)
    path = collected.layout.raw_output(collected.batches[0])
    collected.files.write(path, b"".join(lines))

    fold(collected)

    rows = collected.results()
    assert [row["item_id"] for row in rows] == [f"i-{row}" for row in range(6)]
    assert {row["outcome"] for row in rows} <= {outcome.value for outcome in Outcome}
    assert [row["outcome"] for row in rows[3:]] == ["ok"] * 3
    there = set(answers_in(b"".join(lines)))
    for ordinal, row in enumerate(rows[:3]):
        if row["outcome"] == "ok":
            assert is_valid(row["answer"])
            assert (f"{collected.manifest.digest[:16]}-{ordinal}", row["answer"]) in there
        else:
            assert row["output"] is None


@pytest.fixture
def originals(collected: World) -> Lines:
    """The lines of the first batch as the sandbox wrote them."""
    return lines_of(collected)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_an_answer_that_came_whole_is_never_lost(collected, originals, data):
    """Whatever stands beside it: other lines are damaged, its own is somewhere among them."""
    kept = data.draw(st.sampled_from(range(3)))
    noise = st.sampled_from(
        [b"\n", b"{}\n", b"\xff\n", b'{"custom_id": "x"}\n', b"[" * 5000 + b"\n"]
    )
    whole = [line for line in originals if ordinal_of(line) == kept]
    lines = data.draw(st.permutations([*whole, *data.draw(st.lists(noise, max_size=5))]))
    path = collected.layout.raw_output(collected.batches[0])
    collected.files.write(path, b"".join(lines))

    fold(collected)

    expected = ["missing"] * 3 + ["ok"] * 3
    expected[kept] = "ok"
    assert collected.column("outcome") == expected
