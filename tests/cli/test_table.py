"""Tables for people: aligned, and folded into a terminal's width."""

import os
import pty
import subprocess
import sys

from batch_assets.cli.table import table_lines


def lines(names, rows, *, right=None, width=None) -> list[str]:
    return list(table_lines(names, rows, right=right or [False] * len(names), width=width))


def test_columns_stand_at_their_left_end_and_numbers_at_their_right():
    found = lines(["partition", "n"], [["a", "7"], ["bb", "1,000"]], right=[False, True])

    assert found == [
        "partition      n",
        "a              7",
        "bb         1,000",
    ]


def test_letters_that_take_two_cells_count_as_two():
    found = lines(["k", "n"], [["語", "1"], ["ab", "2"]])

    assert found == ["k   n", "語  1", "ab  2"]


def test_the_widest_columns_are_folded_into_the_width():
    found = lines(["partition", "why"], [["a", "no credit is left there"]], width=20)

    assert found == [
        "partition  why",
        "a          no credit",
        "           is left",
        "           there",
    ]
    assert max(map(len, found)) <= 20


def test_a_word_that_is_too_long_is_cut_and_nothing_is_lost():
    found = lines(["digest"], [["0123456789abcdef"]], width=8)

    assert found == ["digest", "01234567", "89abcdef"]


def test_what_is_piped_is_never_folded():
    why = "a reason of some length " * 20

    assert lines(["why"], [[why]])[1] == why.rstrip()


def test_a_heading_is_bold_on_a_terminal_and_plain_in_a_pipe(a_world, db_path):
    a_world(1).submit()
    command = [sys.executable, "-m", "batch_assets.cli", "status", "--db-path", str(db_path)]

    piped = subprocess.run(command, capture_output=True, check=True).stdout
    shown = on_terminal(command)

    assert piped.startswith(b"inference")
    assert b"\x1b" not in piped
    assert shown.startswith(b"\x1b[1minf")


def on_terminal(command: list[str]) -> bytes:
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
    os.close(ours)
    assert process.returncode == 0, said
    return said


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # what Linux says where the other end of a terminal is closed
        return b""
