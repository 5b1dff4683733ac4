"""`batch-assets doctor`: what is there and fit to work, and what to do where it is not."""

import subprocess
import sys

import pytest
from click.testing import CliRunner
from command_answers import rows_of

from batch_assets.cli import doctor as doctor_module
from batch_assets.cli import main
from batch_assets.domain.control import Scope

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MISTRAL_API_KEY")


@pytest.fixture
def in_sandbox(monkeypatch, sandbox):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", sandbox.base_url)


@pytest.fixture
def local(monkeypatch, sandbox):
    """A deployment whose providers are the sandbox; no key is set."""
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor_module, "_ADDRESSES", {"openai": f"{sandbox.base_url}/models"})


def said(result, *, code: int = 0) -> dict[str, tuple[str, str]]:
    return {
        row["what"]: (row["health"], f"{row['said']} {row['todo']}")
        for row in rows_of(result, "doctor/1", code=code)
    }


@pytest.mark.usefixtures("in_sandbox")
def test_where_all_is_well_it_ends_with_0(a_world, call):
    a_world(3).carry()

    found = said(call("doctor", "-o", "json"))

    assert {health for health, _ in found.values()} == {"ok"}
    assert "batch-assets " in found["versions"][1]
    assert found["sensor"][1].startswith("no batch is at a provider")


@pytest.mark.usefixtures("in_sandbox")
def test_batches_that_nobody_asks_about_are_wrong_and_say_what_to_do(a_world, call):
    # The ledger's clock stands in 2025, and the command's does not.
    a_world(3).submit()

    health, text = said(call("doctor", "-o", "json"), code=1)["sensor"]

    assert health == "wrong"
    assert "batch_poll" in text
    assert "batch-assets wait words" in text


@pytest.mark.usefixtures("local")
def test_no_key_at_all_is_wrong_and_names_the_variables(call):
    health, text = said(call("doctor", "-o", "json"), code=1)["key"]

    assert health == "wrong"
    assert "OPENAI_API_KEY" in text


@pytest.mark.usefixtures("local")
def test_a_key_that_is_set_is_never_shown(call, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")

    for output in ("table", "json"):
        shown = call("doctor", "-o", output)
        assert shown.exit_code == 0, shown.output
        assert "OPENAI_API_KEY is set" in shown.stdout
        assert "very-secret" not in shown.output


@pytest.mark.usefixtures("local")
def test_the_providers_clock_is_held_against_this_one(call, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")

    assert said(call("doctor", "-o", "json"))["reach of openai"] == (
        "ok",
        "openai's clock and this one agree ",
    )


@pytest.mark.usefixtures("local")
def test_a_provider_that_is_out_of_reach_is_noted(call, monkeypatch, closed_port):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setattr(doctor_module, "_ADDRESSES", {"openai": f"http://127.0.0.1:{closed_port}"})

    health, text = said(call("doctor", "-o", "json"))["reach of openai"]

    assert health == "note"
    assert "proxy" in text


def test_a_sandbox_that_does_not_run_is_wrong(call, monkeypatch, closed_port):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", f"http://127.0.0.1:{closed_port}/v1")

    assert "batch-assets sandbox serve" in said(call("doctor", "-o", "json"), code=1)["sandbox"][1]


@pytest.mark.usefixtures("in_sandbox")
def test_a_store_that_cannot_be_written_is_wrong(db_path, tmp_path):
    (tmp_path / "file").write_text("no folder")
    place = ["--db-path", str(db_path), "--root", str(tmp_path / "file")]

    found = said(CliRunner().invoke(main, ["doctor", "-o", "json", *place]), code=1)

    assert found["store"][0] == "wrong"
    assert str(tmp_path / "file") in found["store"][1]


@pytest.mark.usefixtures("in_sandbox")
def test_it_leaves_nothing_in_the_store(call, files, tmp_path):
    call("doctor")

    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.usefixtures("in_sandbox")
def test_a_ledger_that_is_not_there_yet_is_no_trouble_and_is_not_made(call, db_path):
    found = said(call("doctor", "-o", "json"))

    assert found["ledger"][0] == "note"
    assert not db_path.exists()


@pytest.mark.usefixtures("in_sandbox")
def test_a_database_out_of_reach_is_wrong_and_shows_no_password(files, closed_port):
    url = f"postgresql+psycopg2://ada:hunter2@127.0.0.1:{closed_port}/db"

    shown = CliRunner().invoke(
        main, ["doctor", "-o", "json", "--db-path", url, "--root", files.root]
    )

    assert said(shown, code=1)["ledger"][0] == "wrong"
    assert "hunter2" not in shown.output


@pytest.mark.usefixtures("in_sandbox")
def test_a_database_of_postgres_has_a_clock_of_its_own(new_schema, files):
    with new_schema() as url:
        place = ["--db-path", url, "--root", files.root]
        CliRunner().invoke(main, ["ledger", "migrate", *place])
        found = said(CliRunner().invoke(main, ["doctor", "-o", "json", *place]))

    assert found["clock"] == ("ok", "the database's clock and this one agree ")


@pytest.mark.usefixtures("in_sandbox")
def test_orders_that_stand_are_noted(a_world, call):
    world = a_world(1)
    world.carry()
    world.ledger.pauses.add(Scope(inference="words"), owner="ada", reason="lunch")

    assert said(call("doctor", "-o", "json"))["order"] == (
        "note",
        "inference words is paused by ada: lunch `batch-assets resume` lifts it",
    )


def test_production_that_names_nothing_says_which_variables(monkeypatch):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "production")
    for name in ("BATCH_ASSETS_LEDGER_URL", "BATCH_ASSETS_FILES_ROOT", *KEYS):
        monkeypatch.delenv(name, raising=False)

    found = said(CliRunner().invoke(main, ["doctor", "-o", "json"]), code=1)

    assert "BATCH_ASSETS_FILES_ROOT" in found["store"][1]
    assert "BATCH_ASSETS_LEDGER_URL" in found["ledger"][1]


def test_no_command_of_an_operator_imports_dagster_before_it_needs_it():
    """Each takes a second longer with it."""
    modules = ["wait", "control", "again", "approve", "results", "explain", "export", "prune"]
    modules += ["ledger", "doctor"]
    program = (
        "import sys, importlib\n"
        f"for name in {modules!r}: importlib.import_module('batch_assets.cli.' + name)\n"
        "print([n for n in ('dagster', 'pyarrow', 'openai', 'anthropic') if n in sys.modules])"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert found.stdout.strip() == b"[]"
