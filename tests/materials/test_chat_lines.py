"""Reading what a provider returns: a damaged line decides on no other."""

import pytest
from answer_lines import CHAT, a_choice, a_failed_line, a_line, an_unrun_line, encoded, verdict
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.outcome import Failure, Outcome
from batch_assets.prompt.answers import AnswerLine


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"", b"\n\n \n"])
def test_lines_may_end_in_several_ways(ending):
    block = b"\n".join(encoded(a_line(f"r-{n}")).strip() for n in range(3)) + ending

    assert [line.custom_id for line in CHAT.read_lines(block)] == ["r-0", "r-1", "r-2"]


def test_no_bytes_are_no_lines():
    assert CHAT.read_lines(b"") == []


@pytest.mark.parametrize(
    "rest",
    [
        '"response": []',
        '"response": {"status_code": "fine"}',
        '"response": {"status_code": ' + "9" * 5_000 + "}",
        '"response": {"status_code": 200, "body": [1]}',
        '"response": {"status_code": 200, "body": {"choices": {}}}',
        '"response": {"status_code": 200, "body": {"choices": [3]}}',
        '"response": {"body": {"choices": [{"message": {"content": [{"text": "a"}]}}]}}',
        '"response": {"body": {"model": 3}}',
        '"error": 3',
        '"error": {"message": {"detail": []}}',
    ],
    ids=lambda rest: rest[:60],
)
def test_a_line_whose_id_can_be_read_and_whose_rest_cannot_is_asked_again(rest):
    found = verdict(f'{{"custom_id": "r-0", {rest}}}'.encode())

    assert (found.outcome, found.error_code) == (Outcome.INVALID, "unreadable_line")
    assert found.failure is Failure.INVALID


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage",
        b"null",
        b"[]",
        b"3",
        b'"text"',
        b"{}",
        b'{"custom_id": 3}',
        b'{"custom_id": null}',
        b"\xff\xfe",
        b"\x00" * 100,
        b"{" * 100_000,
        b'{"custom_id": "r-9", "x": ' + b"[" * 100_000,
        encoded(a_line("r-9"))[:100],
        b"\xef\xbb\xbf" + encoded(a_line("r-9")).strip(),
    ],
    ids=lambda garbage: ascii(garbage[:12]),
)
def test_a_line_whose_id_cannot_be_read_spoils_no_other(garbage):
    """Row 46: one bad line among good ones."""
    block = encoded(a_line("r-0")) + garbage + b"\n" + encoded(a_line("r-1"))

    lines = CHAT.read_lines(block)

    found = [line for line in lines if line.custom_id]
    assert [line.custom_id for line in found] == ["r-0", "r-1"]
    assert {CHAT.judge(line).outcome for line in found} == {Outcome.OK}
    assert [line.is_unreadable for line in lines] in ([False, True, False], [False] * 3)


LINES = [
    a_line("r-0"),
    a_line("r-1", choices=[a_choice("plant")]),
    a_failed_line(500) | {"custom_id": "r-2"},
    a_line("r-3", choices=[a_choice('{"a": "\\ud83d'), a_choice()]),
    an_unrun_line("batch_expired") | {"custom_id": "r-4"},
]
READ = CHAT.read_lines(encoded(*LINES))


@st.composite
def damages(draw: st.DrawFn) -> tuple[int, bytes]:
    """One of the lines, cut somewhere and with some of its bytes changed, but still one line."""
    victim = draw(st.integers(0, len(LINES) - 1))
    line = bytearray(encoded(LINES[victim]).strip())
    for _ in range(draw(st.integers(0, 5))):
        line[draw(st.integers(0, len(line) - 1))] = draw(st.integers(0, 255))
    begin, end = draw(st.integers(0, 20)), draw(st.none() | st.integers(0, len(line)))
    return victim, bytes(line[begin:end]).replace(b"\n", b" ")


@given(damages())
def test_no_damage_of_one_line_changes_what_its_neighbours_say(damage):
    victim, damaged = damage
    whole = [encoded(line) for line in LINES]
    whole[victim] = damaged + b"\n"

    found = CHAT.read_lines(b"".join(whole))

    neighbours = [line for number, line in enumerate(READ) if number != victim]
    assert [line for line in found if line in neighbours] == neighbours


@given(st.binary(max_size=300))
def test_no_bytes_make_reading_fail(block):
    for line in CHAT.read_lines(block):
        assert isinstance(line, AnswerLine)
        assert CHAT.judge(line).outcome in Outcome


#: What a line is made of, so that random JSON comes close to it.
WIRE = ("custom_id", "response", "status_code", "body", "choices", "message", "content", "refusal")
MORE = ("finish_reason", "usage", "prompt_tokens", "error", "code", "type", "model")
keys = st.sampled_from([*WIRE, *MORE])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(scalars, lambda part: st.lists(part) | st.dictionaries(keys, part)))
def test_no_line_of_json_makes_judging_fail(line):
    for found in CHAT.read_lines(encoded(line)):
        assert CHAT.judge(found).outcome in Outcome
