"""Provider output of any shape folds into one verdict per request.

The raw outputs are the sandbox's, then rewritten in the store as a provider might have sent them.
"""

import json

import pytest
from factories import a_table
from output_lines import Lines, failing, fold, lines_of, ordinal_of, renamed, rewrite, without
from stage_world import World

from batch_assets.domain.shard import Limits
from batch_assets.sandbox import (
    DuplicateLine,
    ForeignLine,
    HalfLine,
    ItemError,
    LineError,
    LineSeparators,
    LyingCounts,
    MalformedLine,
    MissingLine,
    NotJson,
    NullResponse,
    OffSchema,
    Refusal,
    StringBody,
    TruncatedAnswer,
    ZeroStatus,
)
from batch_assets.sandbox.item_faults import ItemFault
from batch_assets.stages.counts import LineCounts

THREE_ROWS = Limits(requests=3, bytes=10**6)
BLOCK = 256 * 1024


@pytest.fixture
def collected(a_world) -> World:
    """Six items in two shards whose answers are in the store; nothing is asked again."""
    world = a_world(6, limits=THREE_ROWS, max_waves=1)
    world.submit()
    world.poll(after=100)
    world.collect()
    return world


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


def test_of_two_valid_answers_for_one_request_the_first_counts(collected):
    """Row 16: more lines than requests; one of them says something else."""
    [line] = [line for line in lines_of(collected) if ordinal_of(line) == 1]
    other = line.replace(b'\\"score\\":', b'\\"score\\":9')
    rewrite(collected, lambda lines: [*lines, other, line])
    score = json.loads(json.loads(line)["response"]["body"]["choices"][0]["message"]["content"])

    resolution = fold(collected)

    row = collected.results()[1]
    assert (row["output"], row["executions"]) == (score, 1)
    assert resolution.lines == LineCounts(duplicate=2, contradictory=1)


def failed(line: bytes, status: int = 500) -> bytes:
    """The line with an error in place of its answer."""
    response = {"status_code": status, "body": {"error": {"message": "No.", "code": "down"}}}
    return json.dumps(json.loads(line) | {"response": response}).encode() + b"\n"


def said(line: bytes, content: str) -> bytes:
    """The line with another text of the model's."""
    found = json.loads(line)
    found["response"]["body"]["choices"][0]["message"]["content"] = content
    return json.dumps(found).encode() + b"\n"


@pytest.mark.parametrize("answer_first", [True, False])
def test_a_valid_answer_is_not_lost_to_another_line_for_its_request(collected, answer_first):
    """It was paid for, and asking again would be paying twice."""
    [line] = [line for line in lines_of(collected) if ordinal_of(line) == 1]
    beside = [failed(line), said(line, "a plant")]
    mine = [line, *beside] if answer_first else [*beside, line]
    rewrite(collected, lambda lines: [*without(1)(lines), *mine])

    resolution = fold(collected)

    assert collected.column("outcome") == ["ok"] * 6
    assert resolution.lines == LineCounts(
        duplicate=2, contradictory=2, count_mismatches=0 if answer_first else 1
    )


def test_an_answer_that_is_not_valid_comes_before_an_error_for_its_request(collected):
    [line] = [line for line in lines_of(collected) if ordinal_of(line) == 1]
    mine = [failed(line), said(line, "a plant"), failed(line, 400)]
    rewrite(collected, lambda lines: [*without(1)(lines), *mine])

    fold(collected)

    row = collected.results()[1]
    assert (row["outcome"], row["answer"], row["executions"]) == ("invalid", "a plant", 1)


def test_a_request_in_the_output_and_in_the_error_file_has_one_outcome(a_world, script):
    """The valid answer counts, and the line of the error file is a duplicate."""
    script.line = failing({1})
    world = a_world(3, max_waves=1)
    world.submit()
    world.poll(after=100)
    world.collect()
    [error] = world.files.read(world.layout.raw_errors(world.batch)).splitlines(keepends=True)
    answers = lines_of(world)
    answer = renamed(answers[0], json.loads(error)["custom_id"])
    rewrite(world, lambda lines: [*lines, answer])

    resolution = fold(world)

    assert world.column("outcome") == ["ok"] * 3
    assert world.column("executions") == [1, 1, 1]
    assert (resolution.lines.duplicate, resolution.lines.contradictory) == (1, 1)


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

    resolution = fold(collected)

    assert collected.column("outcome") == ["ok"] * 6
    assert resolution.lines == LineCounts(unreadable=3 * bool(garbage.strip()))


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


def test_the_half_line_of_a_cut_file_is_no_answer(collected):
    rewrite(collected, lambda lines: [b"".join(sorted(lines, key=ordinal_of))[:-80]])

    resolution = fold(collected)

    assert collected.column("outcome") == ["ok", "ok", "missing", "ok", "ok", "ok"]
    assert collected.column("executions") == [1, 1, 0, 1, 1, 1]
    assert (resolution.lines.unreadable, resolution.lines.count_mismatches) == (1, 1)


def test_an_empty_file_is_a_batch_of_missing_answers(collected):
    rewrite(collected, lambda lines: [])

    resolution = fold(collected)

    assert collected.column("outcome") == ["missing"] * 3 + ["ok"] * 3
    assert resolution.lines == LineCounts(count_mismatches=3)


@pytest.mark.parametrize(
    ("fault", "outcome", "code", "executions"),
    [
        (ZeroStatus(), "errored", "0", 0),
        (NullResponse(), "invalid", None, 0),
        (LineError(code="request_timeout"), "errored", "request_timeout", 0),
        (LineError(code="batch_expired"), "expired", "batch_expired", 0),
        (LineError(code="batch_cancelled"), "cancelled", "batch_cancelled", 0),
        (StringBody(), "ok", None, 1),
        (LineSeparators(), "ok", None, 1),
        (MalformedLine(), "missing", None, 0),
        (MissingLine(), "missing", None, 0),
        (HalfLine(), "missing", None, 0),
        (ForeignLine(in_place=True), "missing", None, 0),
        (ForeignLine(), "ok", None, 1),
        (DuplicateLine(), "ok", None, 1),
        (DuplicateLine(other="a plant"), "ok", None, 1),
        (Refusal(), "refused", None, 1),
        (TruncatedAnswer(), "truncated", None, 1),
        (NotJson(), "invalid", None, 1),
        (OffSchema(), "invalid", None, 1),
        (ItemError(status=429), "errored", "rate_limit_exceeded", 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ItemFault) else None,
)
def test_whatever_comes_for_an_item_has_one_end(a_world, script, fault, outcome, code, executions):
    """Rows 12, 15, 16 and 46: the other items have their answers all the same."""
    script.items(fault, containing="word 1")
    world = a_world(3, max_waves=1)

    world.carry()

    row = world.results()[1]
    assert (row["outcome"], row["error_code"], row["executions"]) == (outcome, code, executions)
    assert (row["output"] is not None) is (outcome == "ok")
    assert world.column("outcome")[::2] == ["ok", "ok"]


# What the provider counted


@pytest.mark.parametrize(
    ("lie", "mismatches"),
    [
        ({}, 0),
        ({"completed": 6, "failed": 0}, 1),
        ({"completed": 2}, 3),
        ({"completed": 0, "failed": 6}, 5),
    ],
)
def test_how_far_the_providers_counts_are_from_its_lines_is_said(a_world, script, lie, mismatches):
    """Rows 15, 16 and 19: the lines are the truth."""
    script.batches(LyingCounts(**lie))
    script.items(ItemError(status=400), containing="word 1")
    world = a_world(6)

    resolution = world.carry()

    assert resolution.summary.outcomes == {"ok": 5, "errored": 1}
    assert resolution.lines.count_mismatches == mismatches


def test_answers_in_any_script_arrive_whole(a_world):
    words = ["Ёлка", "木\u2028の\u0085日", "🌲" * 50, "עֵץ", '"\\']
    world = a_world(a_table(5, word=words), user="{{ word }}", system=None)

    world.carry()

    assert [row["output"]["words"] for row in world.results()] == [
        [" ".join(word.split())] for word in words
    ]
