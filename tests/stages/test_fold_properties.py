"""Whatever a provider writes, every item has one outcome, and an answer only if it is its own.

A batch's files are written anew in the store: lines of every kind for every request, some of them
twice and contradictory, lines of nobody, noise, damage, in any order and split over both files.
What is expected is read off the bytes by another parser than ours.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from factories import Kind
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from stage_answers import Flaky, answered, completion
from stage_world import World

from batch_assets.domain.outcome import Outcome
from batch_assets.domain.shard import Limits
from batch_assets.domain.wave import RetryPolicy
from batch_assets.sandbox import CancelledOutside, Expires, ItemError
from batch_assets.stages.resolve import Resolution, resolve

THREE_ROWS = Limits(requests=3, bytes=10**6)
ONCE = RetryPolicy(ask_again=[])

BAD = answered(400, {"error": {"message": "No.", "code": "invalid_value"}})

#: What a batch without a line for a request says of it.
OF_NO_LINE = {"completed": "missing", "expired": "expired", "cancelled": "cancelled"}


# Lines of every kind


def valid(ordinal: int, version: int) -> str:
    """An answer that says whose it is; versions of it contradict each other."""
    return json.dumps({"label": "plant", "words": [f"of {ordinal}\u2028"], "score": version})


def as_text(line: dict[str, Any]) -> dict[str, Any]:
    """The line with a body that is a string."""
    response = line["response"]
    return line | {"response": response | {"body": json.dumps(response["body"])}}


def lines_for(ordinal: int, custom_id: str) -> dict[str, Any]:
    """A line of each kind for a request; the first three are valid answers."""
    made = {
        name: answered(200, completion(text))(custom_id)
        for name, text in {
            "valid": valid(ordinal, 1),
            "other": valid(ordinal, 2),
            "chat": f"I would say {ordinal}.",
            "off schema": '{"label": "stone"}',
        }.items()
    }
    refusal = {"content": None, "refusal": "I cannot."}
    return {
        "valid": made["valid"],
        "other": made["other"],
        "text": as_text(made["valid"]),
        "chat": made["chat"],
        "off schema": made["off schema"],
        "no content": answered(200, completion(None))(custom_id),
        "cut": answered(200, completion('{"lab', finish_reason="length"))(custom_id),
        "refused": answered(200, completion(None, message=refusal))(custom_id),
        "no choices": answered(200, {"choices": []})(custom_id),
        "valid beside an error": made["valid"] | {"error": {"code": "server_error"}},
        "down": answered(500, {"error": {"code": "server_error"}})(custom_id),
        "bad": BAD(custom_id),
        "zero": answered(0, {})(custom_id),
        "page": answered(502, "<html>")(custom_id),
        "nothing": {"custom_id": custom_id, "response": None, "error": None},
        "expired": {"custom_id": custom_id, "error": {"code": "batch_expired"}},
        "odd": {"custom_id": custom_id, "response": [7]},
    }


VALID = ("valid", "other", "text")
#: Lines that show that the model answered, which is paid for.
PAID = (*VALID, "chat", "off schema", "no content", "cut", "refused", "valid beside an error")
KINDS = tuple(lines_for(0, "r"))
NOISE = (b"", b" ", b"{}", b"null", b"[]", b"\xff\xfe", b'{"custom_id": 7}', b"[" * 3000, b"\x00")


@dataclass(frozen=True)
class Line:
    """One line of a batch's files as it is written."""

    content: bytes
    #: The request it answers for certain; None where it is damaged, or nobody's.
    ordinal: int | None = None
    kind: str = "noise"
    in_error_file: bool = False


@st.composite
def batch_lines(draw: st.DrawFn, prefix: str, ordinals: tuple[int, ...]) -> list[Line]:
    """The lines of a batch that asked these requests."""
    lines: list[Line] = []
    for ordinal in ordinals:
        for kind in draw(st.lists(st.sampled_from(KINDS), max_size=3)):
            made = lines_for(ordinal, f"{prefix}{ordinal}")[kind]
            content = json.dumps(made, ensure_ascii=draw(st.booleans())).encode()
            lines.append(Line(content, ordinal, kind))
    for ordinal in draw(st.lists(st.integers(-1, 12), max_size=3)):
        # Another request set's, another shard's, or almost one of this one's.
        start = draw(st.sampled_from([prefix, "0123456789abcdef-", prefix[:-1], f"{prefix}0"]))
        if start != prefix or ordinal not in ordinals:
            kind = draw(st.sampled_from(VALID))
            made = lines_for(ordinal, f"{start}{ordinal}")[kind]
            lines.append(Line(json.dumps(made).encode()))
    lines += [Line(noise) for noise in draw(st.lists(st.sampled_from(NOISE), max_size=3))]
    lines = [draw(damaged(line)) for line in lines]
    lines = [replace(line, in_error_file=draw(st.booleans())) for line in lines]
    return draw(st.permutations(lines))


@st.composite
def damaged(draw: st.DrawFn, line: Line) -> Line:
    """The line, mostly as it is."""
    content = bytearray(line.content)
    match draw(st.sampled_from(["whole"] * 6 + ["cut", "hole", "change"])):
        case "cut":
            content = content[: draw(st.integers(0, len(content)))]
        case "hole":
            begin = draw(st.integers(0, len(content)))
            del content[begin : begin + draw(st.integers(1, 20))]
        case "change" if content:
            content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
        case _:
            return line
    # A newline makes two lines of one; that case is the noise's.
    return Line(bytes(content).replace(b"\n", b" "))


# What the bytes say, by another parser


def written(world: World, batch_index: int, lines: list[Line]) -> list[bytes]:
    """Write a batch's two files; their lines, without the empty ones."""
    batch = world.batches[batch_index]
    found: list[bytes] = []
    for path, in_error_file in (
        (world.layout.raw_output(batch), False),
        (world.layout.raw_errors(batch), True),
    ):
        content = b"\n".join(line.content for line in lines if line.in_error_file is in_error_file)
        world.files.write(path, content)
        found += [line for line in content.split(b"\n") if line.strip()]
    return found


def answers_in(lines: list[bytes], custom_id: str) -> Iterator[str | None]:
    """The text of each line that shows that the model answered the request; None without one."""
    for line in lines:
        try:
            found = json.loads(line.decode(errors="replace"))
            body = found["response"]["body"]
            body = json.loads(body) if isinstance(body, str) else body
            if found["custom_id"] == custom_id and (body.get("choices") or body.get("usage")):
                yield text_of(body)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            continue


def text_of(body: dict[str, Any]) -> str | None:
    try:
        text: str | None = body["choices"][0]["message"]["content"]
    except (TypeError, LookupError):
        return None
    return text


def is_valid(answer: str) -> bool:
    try:
        Kind.model_validate_json(answer)
    except ValidationError:
        return False
    return True


def fold(world: World) -> Resolution:
    """The results, whatever the lines say: nothing is asked again."""
    recipe = replace(world.recipe, retries=ONCE)
    resolution = resolve(world.deployment, recipe, world.request_set)
    assert resolution is not None
    return resolution


def check_rows(rows: list[dict[str, Any]], prefix: str, bytes_of: dict[str, list[bytes]]) -> None:
    """Each row against the lines of the batches that were asked for it."""
    for ordinal, row in enumerate(rows):
        custom_id = f"{prefix}{ordinal}"
        texts = {batch: list(answers_in(lines, custom_id)) for batch, lines in bytes_of.items()}
        assert row["outcome"] in {outcome.value for outcome in Outcome}
        assert (row["output"] is not None) is (row["outcome"] == "ok")
        assert row["executions"] <= sum(len(found) for found in texts.values())
        assert row["executions"] <= row["attempts"]
        if row["outcome"] == "ok":
            assert row["answer"] in texts[row["batch_id"]]
            assert is_valid(row["answer"])


SETTINGS = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


# One batch


@pytest.fixture(params=["completed", "expired", "cancelled"])
def one_wave(a_world, script, sandbox, request) -> World:
    """Six items in two shards; the first shard's batch has both files and ended as it says."""
    world = a_world(6, limits=THREE_ROWS, max_waves=1)
    script.items(ItemError(status=400), containing="word 1")
    if request.param != "completed":
        script.batches(Expires(at=0.67) if request.param == "expired" else CancelledOutside(at=0.7))
    world.submit()
    world.poll(after=100)
    world.collect()
    assert world.batches[0].provider_status == request.param
    assert None not in (world.batches[0].output_file_id, world.batches[0].error_file_id)
    return world


@SETTINGS
@given(data=st.data())
def test_whatever_comes_back_every_item_has_one_outcome(one_wave, data):
    prefix = f"{one_wave.manifest.digest[:16]}-"
    lines = data.draw(batch_lines(prefix, (0, 1, 2)))
    found = written(one_wave, 0, lines)
    batch = one_wave.batches[0]

    resolution = fold(one_wave)

    rows = one_wave.results()
    assert [row["item_id"] for row in rows] == [f"i-{row}" for row in range(6)]
    assert [row["outcome"] for row in rows[3:]] == ["ok"] * 3
    check_rows(rows[:3], prefix, {batch.provider_id: found})
    for ordinal, row in enumerate(rows[:3]):
        mine = [line for line in lines if line.ordinal == ordinal]
        if any(line.kind in VALID for line in mine):
            assert row["outcome"] == "ok", "a valid answer that was paid for is lost"
        if any(line.kind in PAID for line in mine):
            assert row["executions"] == 1
    # Every line is a request's first, or counted as something else.
    counts = resolution.lines
    others = counts.foreign + counts.duplicate + counts.unreadable
    unanswered = [row for row in rows[:3] if of_no_line(row, batch.provider_status)]
    assert len(found) - others == 3 - len(unanswered)
    assert counts.contradictory <= counts.duplicate


def of_no_line(row: dict[str, Any], status: str) -> bool:
    """Whether the row says that its batch returned no line for it."""
    messages = {
        "completed": "the provider returned no line for this request",
        "expired": "the batch expired before this request ran",
        "cancelled": "the batch was cancelled before this request ran",
    }
    assert row["outcome"] != OF_NO_LINE[status] or row["executions"] == 0
    return row["error_message"] == messages[status]


# Two waves


@pytest.fixture
def two_waves(a_world, script) -> World:
    """Nine items in three shards; 1, 3, 7 and 8 are asked again in two shards of wave 1.

    The first two batches and the first of wave 1 have both files: 0, 5 and 7 are refused for good.
    """
    down = answered(500, {"error": {"code": "server_error"}})
    script.line = Flaky({0: [BAD], 1: [down], 3: [down], 5: [BAD], 7: [down, BAD], 8: [down]})
    world = a_world(9, limits=THREE_ROWS, max_waves=2)
    world.carry()
    for batch in (world.batches[index] for index in REWRITTEN):
        assert None not in (batch.output_file_id, batch.error_file_id)
    return world


#: The requests of each batch: three shards of wave 0, two of wave 1.
ASKED = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (1, 3, 7), (8,))
REWRITTEN = (0, 1, 3)


@SETTINGS
@given(data=st.data())
def test_an_items_verdict_is_of_the_last_wave_that_asked_it(two_waves, data):
    prefix = f"{two_waves.manifest.digest[:16]}-"
    lines = {index: data.draw(batch_lines(prefix, ASKED[index])) for index in REWRITTEN}
    batches = two_waves.batches
    found = {batches[index].provider_id: written(two_waves, index, lines[index]) for index in lines}
    for index in set(range(len(ASKED))) - lines.keys():
        found[batches[index].provider_id] = stored_lines(two_waves, index)

    resolution = fold(two_waves)

    rows = two_waves.results()
    assert [row["item_id"] for row in rows] == [f"i-{row}" for row in range(9)]
    check_rows(rows, prefix, found)
    for ordinal, row in enumerate(rows):
        asked_by = [index for index, asked in enumerate(ASKED) if ordinal in asked]
        assert row["attempts"] == len(asked_by)
        assert row["wave"] == (asked_by[-1] > 2)
        assert row["batch_id"] == batches[asked_by[-1]].provider_id
        kinds = [
            {line.kind for line in lines.get(index, []) if line.ordinal == ordinal}
            for index in asked_by
        ]
        assert row["executions"] >= sum(not each.isdisjoint(PAID) for each in kinds)
        if not kinds[-1].isdisjoint(VALID):
            assert row["outcome"] == "ok"
    assert sum(wave.requests for wave in resolution.summary.waves) == 9 + 4


def stored_lines(world: World, index: int) -> list[bytes]:
    batch = world.batches[index]
    paths = [world.layout.raw_output(batch), world.layout.raw_errors(batch)]
    content = b"".join(world.files.read(path) for path in paths if world.files.exists(path))
    return [line for line in content.split(b"\n") if line.strip()]
