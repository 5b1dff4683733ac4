"""`batch-assets audit`: what is paid for and in nobody's hands, with the command that helps."""

import json
import re
import shlex

import pytest
from anthropic import Anthropic
from audit_world import KEY, a_foreign_batch, sent_again
from command_answers import rows_of
from stage_world import LATENCY, Border, lost, refusal, whole

WHOLE_LIST = ("--since", "9999d")


@pytest.fixture
def audit(call, code_location):
    """Of the code location's providers, as far back as there is anything."""

    def audited(*given, since=WHOLE_LIST):
        return call("audit", "-m", code_location, *since, *given)

    return audited


@pytest.fixture
def in_doubt(a_world, sandbox, provider_at):
    """A partition whose batch is at the provider, its reply lost and its lease over."""
    border = Border(sandbox.base_url)
    border.change("POST /v1/batches", lost, whole)
    world = a_world(3, via=provider_at(border.base_url))
    world.submit()
    world.lease_over()
    yield world
    border.stop()


def told_commands(row):
    """The commands of `batch-assets` that a finding tells, as arguments."""
    return [shlex.split(each)[1:] for each in re.findall("`(batch-assets [^`]+)`", row["todo"])]


def test_a_healthy_deployment_ends_with_0(a_world, audit):
    a_world(3).carry()

    found = audit()

    assert (found.exit_code, found.stdout) == (0, "")
    assert "openai: 1 batches and 2 files since 2020-01-01" in found.stderr
    assert "nothing found" in found.stderr
    assert rows_of(audit("-o", "json"), "audit/1") == []


def test_a_ledger_that_nothing_was_sent_from_has_nothing_to_audit(a_world, audit, sandbox):
    a_world(3)
    a_foreign_batch(sandbox)

    for found in (audit(), audit("-o", "json")):
        assert found.exit_code == 0
        assert "no account was looked at" in found.stderr
        assert "--provider" in found.stderr


def test_a_twin_is_told_with_the_command_that_stops_it(a_world, audit, call):
    world = a_world(3)
    world.submit()
    twin = sent_again(world)

    [row] = rows_of(audit("-o", "json"), "audit/1", code=4)
    [cancel, *_] = told_commands(row)

    assert (row["kind"], row["case"]) == ("twin", "same_key")
    assert (row["batch_id"], row["twin_of"]) == (twin, world.batch.provider_id)
    assert (row["key"], row["number"], row["state"]) == (world.batch.key, 1, "submitted")
    assert (row["inference"], row["partition"], row["requests"]) == ("words", "p", 3)
    assert (row["provider"], row["account"]) == ("openai", "openai")
    assert call(*cancel).exit_code == 0
    [cancelled] = world.deployment.provider.poll([twin], since=world.batch.created_at)
    assert cancelled.status == "cancelling"


def test_an_orphan_is_taken_up_by_the_command_that_is_told(in_doubt, audit, call):
    [row] = rows_of(audit("-o", "json"), "audit/1", code=4)
    [_, adopt] = told_commands(row)

    assert (row["kind"], row["case"]) == ("orphan", "lost_reply")
    assert call(*adopt, "--by", "ada").exit_code == 0
    assert in_doubt.batch.provider_id == row["batch_id"]
    assert audit().exit_code == 0


def test_a_missing_batch_is_sent_again_by_the_command_that_is_told(a_world, audit, call, sandbox):
    world = a_world(3)
    world.submit()
    sandbox.state.reset()

    [row] = rows_of(audit("-o", "json"), "audit/1", code=4)
    [offer_again] = told_commands(row)

    assert (row["kind"], row["case"], row["number"]) == ("missing", "gone", 1)
    assert row["batch_id"] == world.batch.provider_id
    assert (row["status"], row["created_at"]) == (None, None)
    assert call(*offer_again, "--by", "ada").exit_code == 0
    assert world.states == ["abandoned", "planned"]


def test_a_table_has_a_line_for_each_finding(a_world, audit, sandbox):
    a_world(3).submit()
    bare, keyed = a_foreign_batch(sandbox), a_foreign_batch(sandbox, key=KEY)

    found = audit()

    assert found.exit_code == 4
    [_, *lines] = found.stdout.splitlines()
    assert {tuple(line.split()[:4]) for line in lines} == {
        ("unknown", "no_key", "openai", bare),
        ("unknown", "foreign_key", "openai", keyed),
    }
    assert f"to stop it: `batch-assets batches cancel {bare} --provider openai" in found.stderr


def test_what_to_do_about_many_findings_of_a_case_is_told_once(a_world, audit, sandbox):
    a_world(3)
    for _ in range(3):
        a_foreign_batch(sandbox)

    found = audit("--provider", "openai")

    assert found.stderr.count("made without batch-assets") == 1
    assert "(and so with 2 more)" in found.stderr


def test_of_a_batch_that_has_ended_the_answers_can_be_had(a_world, audit, sandbox, clock):
    a_world(3)
    other = a_foreign_batch(sandbox)
    clock.advance(LATENCY)

    [row] = rows_of(audit("--provider", "openai", "-o", "json"), "audit/1", code=4)

    assert (row["status"], row["created_at"][-6:]) == ("completed", "+00:00")
    [[group, command, of, *_]] = told_commands(row)
    assert (group, command, of) == ("batches", "download", other)


def test_a_provider_that_is_named_is_asked_though_nothing_was_sent_to_it(a_world, audit, sandbox):
    a_world(3)
    other = a_foreign_batch(sandbox)

    found = audit("--provider", "openai", "-o", "jsonl")

    [line] = [json.loads(each) for each in found.stdout.splitlines()]
    assert found.exit_code == 4
    assert (line["schema"], line["batch_id"]) == ("batch-assets/audit/1", other)


def test_only_findings_of_the_kinds_that_are_asked_for_are_told(a_world, audit, sandbox):
    world = a_world(3)
    world.carry()
    a_foreign_batch(sandbox)

    assert rows_of(audit("--kind", "twin", "-o", "json"), "audit/1") == []
    remains = rows_of(audit("--kind", "remains", "-o", "json"), "audit/1", code=4)
    assert {(row["case"], row["file_id"]) for row in remains} == {
        ("requests", world.batch.input_file_id),
        ("answers", world.batch.output_file_id),
    }
    assert all(row["bytes"] for row in remains)


def test_files_that_stay_are_no_finding_and_counted(a_world, audit):
    a_world(3).carry()

    found = audit()

    assert found.exit_code == 0
    assert "2 files of batches that are over are still stored" in found.stderr
    assert "--kind remains" in found.stderr


def test_it_reads_back_to_the_oldest_open_batch_by_default(a_world, audit, sandbox):
    """The sandbox's clock is more than 30 days behind."""
    world = a_world(3)
    world.submit()
    twin = sent_again(world)

    [row] = rows_of(audit("-o", "json", since=()), "audit/1", code=4)

    assert row["batch_id"] == twin


def test_what_is_older_than_since_is_not_looked_at_and_said(a_world, audit, sandbox):
    a_world(3).submit()
    a_foreign_batch(sandbox)

    found = audit(since=("--since", "1d"))

    assert found.exit_code == 0
    assert "1 open batches are older: a longer --since looks at them" in found.stderr


def test_a_provider_that_cannot_be_asked_ends_it_with_6(a_world, audit, script):
    a_world(3).submit()
    # The SDK of the code location tries no call again.
    script.replies["batches.list"] = [refusal(503)]

    found = audit("-o", "json")

    assert rows_of(found, "audit/1", code=6) == []
    assert found.stderr.startswith("openai: listing the batches")


def test_without_the_providers_key_it_ends_with_6_and_names_the_variable(
    a_world, call, monkeypatch
):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    a_world(3).submit()

    found = call("audit")

    assert found.exit_code == 6
    assert "OPENAI_API_KEY" in found.stderr


def test_a_provider_that_lists_nothing_is_said_and_no_error(a_world, audit, script):
    a_world(3).submit()
    script.replies["batches.list"] = [refusal(404), refusal(404)]
    script.replies["files.list"] = [refusal(405), refusal(405)]

    found = audit("-o", "json")

    assert rows_of(found, "audit/1") == []
    assert "openai: listing the batches" in found.stderr
    assert "openai: listing the files" in found.stderr


@pytest.mark.parametrize(("is_open", "code"), [(True, 4), (False, 0)])
def test_an_account_that_nothing_is_configured_for_is_said(
    a_world, call, sandbox, monkeypatch, is_open, code
):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "sandbox")
    monkeypatch.setenv("BATCH_ASSETS_SANDBOX_URL", sandbox.base_url)
    world = a_world(3)
    world.submit()
    if not is_open:
        world.finish(LATENCY)

    found = call("audit")

    assert found.exit_code == code
    assert "account openai is none of this deployment" in found.stderr


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["--provider", "nobody"], 1, "has no provider nobody: name one of"),
        (["--provider", "openai_live"], 1, "openai_live asks without a batch at a provider"),
        (["--since", "yesterday"], 2, "no age"),
        (["--kind", "twins"], 2, "--kind"),
    ],
)
def test_wrong_use_ends_with_one_line(live, given, code, said):
    refused = live.call("audit", *given)

    assert refused.exit_code == code
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.fixture
def two_accounts(live):
    """Rows that were asked of OpenAI and of Anthropic, in the deployment sandbox."""
    live.write("a.csv", "id,text\n1,hello\n2,world\n")
    ask = ("--input", "a.csv", "--id-field", "id", "--prompt-field", "text", "--wait")
    for name, model in (("openai", "gpt-5-mini"), ("anthropic", "claude-haiku-4-5")):
        started = live.call(
            "start", *ask, "--every", "0.1", "--provider", name, "--model", model, "--run-id", name
        )
        assert started.exit_code == 0, started.stderr
    return live


def test_every_account_that_the_ledger_has_batches_of_is_looked_at(two_accounts):
    found = two_accounts.call("audit")

    assert (found.exit_code, found.stdout) == (0, "")
    assert re.findall(r"^(\w+): 1 batches", found.stderr, re.MULTILINE) == ["openai", "anthropic"]


def test_at_anthropic_what_the_ledger_has_no_id_of_is_unknown(two_accounts):
    asked = {
        "model": "claude-haiku-4-5",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "Who?"}],
    }
    address = f"{two_accounts.sandbox.origin}/anthropic"
    with Anthropic(api_key="sk-ant-somebody", base_url=address) as client:
        requests = [{"custom_id": "1", "params": asked}]
        other = client.messages.batches.create(requests=requests).id

    [row] = rows_of(two_accounts.call("audit", "-o", "json"), "audit/1", code=4)

    assert (row["provider"], row["kind"], row["case"]) == ("anthropic", "unknown", "no_key")
    assert (row["batch_id"], row["requests"]) == (other, 1)
    assert two_accounts.call("audit", "--provider", "openai").exit_code == 0


def test_what_a_finding_was_expected_to_cost_is_told_where_its_price_is_known(live):
    live.sandbox.state.change_settings({"latency": 3_600.0})
    live.write("a.csv", "id,text\n1,hello\n2,world\n")
    ask = ("--input", "a.csv", "--id-field", "id", "--prompt-field", "text")
    live.call("start", *ask, "--model", "gpt-5-mini")
    live.sandbox.state.reset()

    [row] = rows_of(live.call("audit", "-o", "json"), "audit/1", code=4)

    assert row["case"] == "gone"
    assert 0 < row["estimated_usd"] < 0.01
