"""What every command has in common where it really runs: JSON, and what goes wrong around it."""

import json
import os

import jsonschema_rs
import pytest
from every_command import ANSWERS, Stage
from stage_answers import NOT_JSON, Flaky

from batch_assets.cli.schemas import json_schema_of, rows_by_schema

SECRET = "sk-test-0123456789"


@pytest.fixture
def stage(a_world, db_path, files, code_location, sandbox, script, tmp_path, monkeypatch):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", sandbox.base_url)
    script.line = Flaky({1: [NOT_JSON] * 9})
    ended = a_world(2, partition_key="p")
    ended.carry()
    a_world(1, partition_key="q", user="Ask: {{ word }}", needs_approval=True).submit()
    a_world(1, partition_key="r", user="Other: {{ word }}").submit()
    [ended_batch, *_] = ended.ledger.batches(partition=("words", "p"))
    [at_provider] = ended.ledger.batches(partition=("words", "r"))
    (tmp_path / "a.csv").write_text("id,text\n1,hello\n")
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    (tmp_path / "requests.jsonl").write_text(json.dumps(line) + "\n")
    at_openai, _ = sandbox.state.batch_page(after=None, limit=9)
    return Stage(
        place=["--db-path", str(db_path), "--root", files.root],
        names={
            "module": code_location,
            "folder": tmp_path,
            "csv": tmp_path / "a.csv",
            "requests": tmp_path / "requests.jsonl",
            "item_id": ended.results()[0]["item_id"],
            "ended_id": ended_batch.provider_id,
            "open_id": at_provider.provider_id,
            "open_batch": at_provider.id,
            "file_id": at_openai[-1]["input_file_id"],
        },
    )


def test_every_schema_has_a_command_that_answers_in_it():
    assert {f"batch-assets/{name}/1" for name in ANSWERS} == set(rows_by_schema())


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_what_its_documented_schema_says(stage, name):
    said = stage.run(ANSWERS[name], "-o", "json")

    found = json.loads(said.stdout)
    assert set(found) == {"schema", "rows"}
    assert found["schema"] == f"batch-assets/{name}/1"
    validator = jsonschema_rs.validator_for(json_schema_of(rows_by_schema()[found["schema"]]))
    assert len(found["rows"]) > 0 or name == "ledger-check"
    for row in found["rows"]:
        validator.validate(row)
    assert SECRET not in said.output
    assert SECRET not in stage.run(ANSWERS[name]).output  # a table of the same


@pytest.mark.parametrize("name", ANSWERS)
def test_a_reader_that_went_away_ends_it_quietly(stage, name, monkeypatch, capfd):
    reader, writer = os.pipe()
    os.close(reader)

    code = stage.exit_code(ANSWERS[name], "-o", "json", output=writer, patch=monkeypatch)

    assert code == 141
    assert "Error" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["status", "explain", "start", "order", "batches-list"])
def test_a_full_disk_behind_its_output_is_one_line(stage, name, monkeypatch, capfd):
    full = os.open("/dev/full", os.O_WRONLY)

    code = stage.exit_code(ANSWERS[name], "-o", "json", output=full, patch=monkeypatch)

    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Error")]
    assert (code, said) == (1, ["Error: No space left on device"])
