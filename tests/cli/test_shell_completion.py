"""What a shell offers when Tab is pressed: commands, options, choices, and the ledger's names."""

import os
import pty
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = shutil.which("batch-assets", path=str(Path(sys.executable).parent))
COMPLETE = "_BATCH_ASSETS_COMPLETE"
PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "command-line.md").read_text()


def offered(line: str, folder: Path, **environment: str) -> set[str]:
    """What the program answers to a shell that completes the line's last word."""
    words = line.split(" ")
    asked = {
        COMPLETE: "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "BATCH_ASSETS_HOME": str(folder),
        **environment,
    }
    assert PROGRAM is not None
    done = subprocess.run(
        [PROGRAM],
        env={**os.environ, **asked},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return {each.partition(",")[2] for each in done.stdout.split()}


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("batch-assets sta", {"start", "status"}),
        ("batch-assets ledger ", {"check", "dump", "migrate"}),
        ("batch-assets wait --time", {"--timeout"}),
        ("batch-assets status -o ", {"table", "json", "jsonl"}),
        ("batch-assets decide 7 ", {"adopt", "offer_again", "give_up"}),
    ],
)
def test_commands_options_and_choices_are_offered(tmp_path, line, some):
    assert offered(line, tmp_path) == some


@pytest.fixture
def two_inferences(a_world):
    a_world(1).submit()
    a_world(1, inference="verbs", user="Verb: {{ word }}").submit()


@pytest.mark.usefixtures("two_inferences")
@pytest.mark.parametrize("command", ["status", "wait", "explain", "pause", "retry", "results"])
def test_an_inference_is_offered_from_the_ledger_that_is_named(tmp_path, db_path, command):
    beginning = f"batch-assets {command} --db-path {db_path} "

    assert offered(beginning, tmp_path) == {"words", "verbs"}
    assert offered(f"{beginning}w", tmp_path) == {"words"}


@pytest.mark.usefixtures("two_inferences")
def test_the_ledger_is_the_one_that_dot_env_chooses(tmp_path, db_path):
    (tmp_path / ".env").write_text(
        "BATCH_ASSETS_DEPLOYMENT=production\n"
        f"BATCH_ASSETS_LEDGER_URL=sqlite:///{db_path}\nBATCH_ASSETS_FILES_ROOT={tmp_path}\n"
    )

    assert offered("batch-assets status ", tmp_path) == {"words", "verbs"}


@pytest.mark.parametrize(
    "ledger", ["no/such/ledger.db", "postgresql+psycopg2://nobody@127.0.0.1:1/none", "."]
)
def test_where_no_ledger_can_be_read_nothing_is_offered_and_nothing_is_said(tmp_path, ledger):
    assert offered(f"batch-assets status --db-path {ledger} ", tmp_path) == set()
    assert not (tmp_path / "no").exists()


def test_a_deployment_that_there_is_not_offers_nothing(tmp_path):
    assert offered("batch-assets status ", tmp_path, BATCH_ASSETS_DEPLOYMENT="moon") == set()


def test_a_name_is_offered_without_what_takes_long_to_import(tmp_path):
    source = (
        "import sys, click\n"
        "from batch_assets.cli import main\n"
        "from click.shell_completion import BashComplete\n"
        "shell = BashComplete(main, {}, 'batch-assets', '_X')\n"
        "shell.get_completions(['status'], '')\n"
        "print([each for each in ('sqlalchemy', 'dagster', 'pyarrow') if each in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def _with_program() -> dict[str, str]:
    assert PROGRAM is not None
    return {**os.environ, "PATH": f"{Path(PROGRAM).parent}:{os.environ['PATH']}"}


def _said(folder: Path, *command: str) -> tuple[str, str]:
    """What a shell says that finds the program, on stdout and on stderr."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=_with_program(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout, done.stderr


def test_bash_completes_as_the_page_sets_it_up(tmp_path):
    line = f'eval "$({COMPLETE}=bash_source batch-assets)"'
    script = (
        f"{line}\nCOMP_WORDS=(batch-assets export-a)\nCOMP_CWORD=1\n"
        '_batch_assets_completion batch-assets\necho "${COMPREPLY[@]}"\n'
    )

    said = _said(tmp_path, "bash", "--norc", "-c", script)

    assert line in PAGE
    assert said == ("export-artifacts\n", "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_as_the_page_sets_it_up(tmp_path):
    line = f"{COMPLETE}=fish_source batch-assets | source"

    script = f'{line}\ncomplete -C "batch-assets export-a"'
    shown, complaints = _said(tmp_path, "fish", "--no-config", "-c", script)

    assert line in PAGE
    assert (shown.split("\t")[0], complaints) == ("export-artifacts", "")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_as_the_page_sets_it_up(tmp_path):
    """It completes for a terminal alone."""
    line = f'eval "$({COMPLETE}=zsh_source batch-assets)"'
    terminal, inside = pty.openpty()
    zsh = subprocess.Popen(
        ["zsh", "-f", "-i"],
        cwd=tmp_path,
        env=_with_program() | {"TERM": "dumb"},
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    try:
        os.write(terminal, f"autoload -Uz compinit && compinit -u -D; {line}\n".encode())
        os.write(terminal, b"echo rea''dy\n")
        _read_until(terminal, "ready")
        os.write(terminal, b"batch-assets export-a\t")
        shown = _read_until(terminal, "export-artifacts ")
    finally:
        zsh.kill()
        zsh.wait()
        os.close(terminal)
        os.close(inside)

    assert line in PAGE
    assert "export-artifacts " in shown


def _read_until(terminal: int, word: str) -> str:
    """What is shown until that, or for a minute."""
    shown = ""
    while word not in shown and select.select([terminal], [], [], 60)[0]:
        shown += os.read(terminal, 65_536).decode()
    return shown


@pytest.mark.parametrize(
    ("shell", "says"), [("zsh", "#compdef batch-assets"), ("fish", "complete --no-files")]
)
def test_the_other_shells_get_their_own_script(tmp_path, shell, says):
    assert PROGRAM is not None
    done = subprocess.run(
        [PROGRAM],
        env={**os.environ, COMPLETE: f"{shell}_source"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert says in done.stdout
