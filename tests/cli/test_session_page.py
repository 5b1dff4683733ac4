"""The terminal session of the page on the command line, against the script that records it."""

import re
import runpy
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def session() -> list[str]:
    """The lines of what is shown."""
    page = (PROJECT / "docs" / "howto" / "command-line.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```", page.partition("## A session")[2], re.DOTALL | re.M)
    return "".join(blocks).splitlines()


def test_it_has_every_command_that_is_recorded_and_no_other():
    recorded = runpy.run_path(str(PROJECT / "scripts" / "record_session.py"))["SESSION"]
    typed = [command for commands, _ in recorded for command in commands]

    shown = re.findall(r"^\$ ((?:.*\\\n> )*.*)$", "\n".join(session()), re.MULTILINE)

    # What was caught while it waited is shown twice.
    assert list(dict.fromkeys(each.replace("\n> ", "\n") for each in shown)) == list(
        dict.fromkeys(typed)
    )


def test_it_fits_a_terminal_of_a_hundred_columns():
    assert [line for line in session() if len(line) > 100] == []


def test_it_shows_progress_a_refused_row_and_what_became_of_it():
    shown = "\n".join(session())

    assert re.search(r"tickets ━+╸?━* 0 of 1 partitions resolved, 2 of 4 requests", shown)
    assert "outcome      refused: I cannot say." in shown
    assert "all        resolved  resolved      4   4" in shown
