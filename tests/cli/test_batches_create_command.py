"""`batch-assets batches create`: batches of request files, of a person's own."""

import json
import os
import subprocess
import sys

import pytest
from command_answers import rows_of
from direct_desk import CHAT, chat_line, message_line
from stage_world import LATENCY

from batch_assets.sandbox import FailsValidation, HttpError, ItemError


def test_each_file_is_a_batch_and_a_line(desk):
    desk.chats("a.jsonl")
    desk.chats("b.jsonl")

    answer = desk.call("batches", "create", "a.jsonl", "b.jsonl")

    listed = {row["id"]: row for row in desk.rows("batches", "list")}
    first, second = (line.rpartition(" -> ")[2] for line in answer.stdout.splitlines())
    assert answer.stdout == f"[OK] a.jsonl -> {first}\n[OK] b.jsonl -> {second}\n"
    assert answer.exit_code == 0
    assert set(listed) == {first, second}


def test_anthropics_files_become_batches_of_its_own(desk):
    desk.messages("m.jsonl", 3)

    [batch_id] = desk.created("m.jsonl", "--provider", "anthropic")

    [row] = desk.rows("batches", "list", "--provider", "anthropic")
    assert (row["id"], row["status"], row["total"]) == (batch_id, "in_progress", 3)


def test_one_file_that_fails_stops_no_other(desk):
    desk.chats("a.jsonl")
    desk.write("twice.jsonl", [chat_line("x"), chat_line("x")])
    desk.chats("c.jsonl")

    answer = desk.call("batches", "create", "a.jsonl", "twice.jsonl", "gone.jsonl", "c.jsonl")

    lines = answer.stdout.splitlines()
    assert lines[0].startswith("[OK] a.jsonl -> batch_")
    assert lines[1:3] == [
        "[FAIL] twice.jsonl (line 2: its custom_id 'x' is that of line 1, too: give every request "
        "an id of its own)",
        "[FAIL] gone.jsonl (there is no such file)",
    ]
    assert lines[3].startswith("[OK] c.jsonl -> batch_")
    assert answer.exit_code == 4
    assert desk.faults.called("batches.create") == 2


def test_one_that_the_provider_refuses_stops_no_other(desk):
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        desk.chats(name)
    desk.faults.calls("batches.create", HttpError(status=400, message="Not today."), after=1)

    answer = desk.call("batches", "create", "a.jsonl", "b.jsonl", "c.jsonl")

    assert [line.split()[0] for line in answer.stdout.splitlines()] == ["[OK]", "[FAIL]", "[OK]"]
    assert "Not today." in answer.stdout
    assert answer.exit_code == 4


@pytest.mark.parametrize(
    ("lines", "provider", "reason"),
    [
        (["{", ""], "openai", "line 1: "),
        ([chat_line("a"), None], "openai", "line 2: it is blank: take it out"),
        ([message_line("a")], "openai", "missing required field `body`"),
        ([chat_line("a")], "anthropic", "missing required field `params`"),
        ([chat_line("a", method="GET")], "openai", "line 1: its method is 'GET': write POST"),
        ([chat_line("a", body=[])], "openai", "line 1: its body is no JSON object"),
        ([chat_line("")], "openai", "line 1: its custom_id is empty"),
        (
            [chat_line("a"), chat_line("b", url="/v1/embeddings")],
            "openai",
            f"line 2: its url is /v1/embeddings, and line 1 has {CHAT}: a batch has one endpoint",
        ),
        ([message_line("ü")], "anthropic", "line 1: its custom_id 'ü' is not of the pattern"),
        ([], "openai", "it is empty, and a batch has requests"),
    ],
)
def test_a_line_that_cannot_be_sent_is_named_before_anything_is(desk, lines, provider, reason):
    if lines and isinstance(lines[0], str):
        (desk.folder / "a.jsonl").write_text("\n".join(lines))
    else:
        desk.write("a.jsonl", [line for line in lines if line is not None])
        if None in lines:
            with (desk.folder / "a.jsonl").open("a") as file:
                file.write("\n")

    answer = desk.call("batches", "create", "a.jsonl", "--provider", provider)

    assert answer.stdout.startswith("[FAIL] a.jsonl (")
    assert reason in answer.stdout
    assert (answer.exit_code, desk.faults.called("*")) == (1, 0)


def test_what_the_provider_takes_in_a_batch_is_counted_first(desk):
    module = desk.location(
        "OpenAIResource(api_key='k', max_requests_per_batch=2, max_bytes_per_batch=600)"
    )
    desk.chats("many.jsonl", 3)
    desk.write("large.jsonl", [chat_line("x" * 700)])
    size = (desk.folder / "large.jsonl").stat().st_size

    answer = desk.call(
        "batches", "create", "many.jsonl", "large.jsonl", "--provider", "mine", "-m", module
    )

    assert answer.stdout == (
        "[FAIL] many.jsonl (line 3: a batch takes 2 requests: split the file)\n"
        f"[FAIL] large.jsonl (it has {size:,} bytes, and a batch takes 600: split it)\n"
    )
    assert (answer.exit_code, desk.faults.called("*")) == (1, 0)


def test_a_resource_of_a_code_location_is_told_by_its_class(desk):
    address = f"{desk.sandbox.origin}/anthropic"
    module = desk.location(f"AnthropicResource(api_key='k', base_url={address!r})")
    desk.messages("m.jsonl", 3)

    [batch_id] = desk.created("m.jsonl", "--provider", "mine", "-m", module)

    [row] = desk.rows("batches", "list", "--provider", "anthropic")
    assert row["id"] == batch_id


def test_a_dry_run_checks_everything_and_sends_nothing(desk):
    desk.chats("a.jsonl", 3)
    desk.write("bad.jsonl", [chat_line("")])
    size = (desk.folder / "a.jsonl").stat().st_size

    answer = desk.call("batches", "create", "a.jsonl", "bad.jsonl", "--dry-run")

    assert answer.stdout.splitlines()[0] == f"[OK] a.jsonl -> 3 requests, {size} bytes, {CHAT}"
    assert answer.stdout.splitlines()[1].startswith("[FAIL] bad.jsonl (line 1: ")
    assert f"1 batches, 3 requests, {size} bytes" in answer.stderr
    assert (answer.exit_code, desk.faults.called("*")) == (4, 0)


def test_a_dry_run_needs_no_key(desk, monkeypatch):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    desk.chats("a.jsonl")

    assert desk.call("batches", "create", "a.jsonl", "--dry-run").exit_code == 0
    refused = desk.call("batches", "create", "a.jsonl")
    assert (refused.exit_code, refused.stdout) == (6, "")
    assert "OPENAI_API_KEY" in refused.stderr


def test_words_of_a_person_travel_with_every_batch(desk):
    desk.chats("a.jsonl")
    words = ("--metadata", "team=blue,note=a, b", "--metadata", "run=7")

    [batch_id] = desk.created("a.jsonl", *words)

    [row] = desk.rows("batches", "show", batch_id)
    assert row["metadata"] == {"team": "blue", "note": "a, b", "run": "7"}


@pytest.mark.parametrize(
    ("metadata", "provider", "says"),
    [
        (f"note={'x' * 513}", "openai", "512"),
        (",".join(f"k{number}=v" for number in range(16)), "openai", "16"),
        ("team=blue", "anthropic", "no metadata"),
    ],
)
def test_metadata_that_a_batch_cannot_carry_is_refused_without_a_call(
    desk, metadata, provider, says
):
    desk.chats("a.jsonl")

    refused = desk.call(
        "batches", "create", "a.jsonl", "--metadata", metadata, "--provider", provider
    )

    assert (refused.exit_code, refused.stdout, desk.faults.called("*")) == (1, "", 0)
    assert says in refused.stderr


# The same requests another time


def test_a_file_given_again_is_not_paid_for_again(desk):
    desk.chats("a.jsonl")
    [batch_id] = desk.created("a.jsonl")
    (desk.folder / "a.jsonl").rename(desk.folder / "b.jsonl")

    again = desk.call("batches", "create", "b.jsonl", "--metadata", "run=2")

    assert again.stdout.startswith(f"[FAIL] b.jsonl ({batch_id} was made of the same requests at ")
    assert "is validating: give --again to pay for another" in again.stdout
    assert (again.exit_code, desk.faults.called("batches.create")) == (6, 1)


def test_it_is_where_that_is_said(desk):
    desk.chats("a.jsonl")
    first = desk.created("a.jsonl")

    second = desk.created("a.jsonl", "--again")

    assert len({*first, *second}) == 2


def test_of_a_run_that_failed_in_part_the_same_command_sends_the_rest(desk):
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        desk.chats(name)
    desk.faults.calls("batches.create", HttpError(status=400, message="Not today."), after=1)
    create = ("batches", "create", "a.jsonl", "b.jsonl", "c.jsonl")
    desk.call(*create)

    again = desk.call(*create)

    assert [line.split()[0] for line in again.stdout.splitlines()] == ["[FAIL]", "[OK]", "[FAIL]"]
    assert len(desk.rows("batches", "list")) == 3


def test_two_files_of_the_same_requests_are_one_too_many(desk):
    desk.chats("a.jsonl")
    (desk.folder / "b.jsonl").write_bytes((desk.folder / "a.jsonl").read_bytes())

    answer = desk.call("batches", "create", "a.jsonl", "b.jsonl")

    first, second = answer.stdout.splitlines()
    assert first.startswith("[OK] a.jsonl -> ")
    assert second == (
        "[FAIL] b.jsonl (its requests are those of a.jsonl: give --again to pay for them twice)"
    )
    assert answer.exit_code == 4


def test_what_failed_as_a_whole_is_sent_again_without_a_word(desk):
    desk.chats("a.jsonl")
    desk.faults.batches(FailsValidation())
    desk.created("a.jsonl")
    desk.clock.advance(LATENCY)

    assert desk.call("batches", "create", "a.jsonl").exit_code == 0


def test_what_was_made_more_than_thirty_days_ago_is_made_anew(desk):
    desk.chats("a.jsonl")
    desk.created("a.jsonl")
    desk.clock.advance(31 * 86_400)

    assert desk.call("batches", "create", "a.jsonl").exit_code == 0


def test_nothing_is_sent_where_earlier_batches_cannot_be_listed(desk):
    desk.chats("a.jsonl")
    desk.faults.calls("batches.list", HttpError(status=503), times=None)

    refused = desk.call("batches", "create", "a.jsonl")

    assert (refused.exit_code, refused.stdout) == (6, "")
    assert desk.faults.called("files.create") == 0


@pytest.mark.parametrize("provider", ["gemini", "mistral"])
def test_other_providers_remember_what_was_made_of_a_file_too(desk, provider):
    desk.lines_for(provider, "a.jsonl", ["r1", "r2"])
    path = {
        "gemini": "/v1beta/models/gemini-2.5-flash:generateContent",
        "mistral": "chat",
    }[provider]
    create = ("a.jsonl", "--provider", provider, "--endpoint", path)
    desk.created(*create)

    assert desk.call("batches", "create", *create).exit_code == 6


# Waiting


def test_it_waits_until_all_have_ended(desk):
    desk.chats("a.jsonl", 3)
    desk.chats("b.jsonl", 1)

    answer = desk.call("batches", "create", "a.jsonl", "b.jsonl", "--wait", "-o", "json")

    rows = rows_of(answer, "batches-create/1")
    assert [(row["status"], row["completed"]) for row in rows] == [
        ("completed", 3),
        ("completed", 1),
    ]
    assert f"{rows[0]['id']} is completed, 3 of 3 requests" in answer.stderr


def test_requests_that_failed_show_in_the_exit_code_of_a_wait(desk):
    desk.chats("a.jsonl", 2)
    desk.faults.items(ItemError(400), custom_id="r1")

    answer = desk.call("batches", "create", "a.jsonl", "--wait")

    assert answer.exit_code == 4
    assert "1 of 2 requests, 1 failed" in answer.stderr


def test_what_has_not_ended_in_time_goes_on(desk):
    desk.chats("a.jsonl")

    answer = desk.call("batches", "create", "a.jsonl", "--wait", "--timeout", LATENCY / 2)

    assert answer.exit_code == 7
    assert answer.stdout.startswith("[OK] a.jsonl -> batch_")
    assert "the batches go on" in answer.stderr


def test_a_provider_that_is_away_for_a_moment_is_asked_again(desk):
    desk.chats("a.jsonl")
    desk.faults.calls("batches.retrieve", HttpError(status=503), times=3)
    desk.faults.calls("batches.list", HttpError(status=503), times=3, after=1)

    answer = desk.call("batches", "create", "a.jsonl", "--wait")

    assert answer.exit_code == 0
    assert "It is asked again" in answer.stderr


def test_a_wait_that_is_stopped_loses_nothing(desk):
    desk.chats("a.jsonl")

    def stopped(seconds: float) -> None:
        raise KeyboardInterrupt

    answer = desk.call("batches", "create", "a.jsonl", "--wait", "-o", "json", sleep=stopped)

    [row] = rows_of(answer, "batches-create/1", code=130)
    [listed] = desk.rows("batches", "list")
    assert (row["id"], row["status"]) == (listed["id"], "validating")
    assert "the batches go on" in answer.stderr


# Wrong use


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((), "give either files or --prefix"),
        (("a.jsonl", "--prefix", "x", "--endpoint", "chat"), "not both"),
        (("a.jsonl", "./a.jsonl"), "./a.jsonl is given twice, also as a.jsonl"),
        (("--prefix", "x"), "give --endpoint too"),
        (("a.jsonl", "--dry-run", "--wait"), "--dry-run sends nothing"),
        (("a.jsonl", "--timeout", "3"), "are for --wait"),
        (("a.jsonl", "--metadata", "team"), "write it as name=value"),
        (("a.jsonl", "--metadata", "a=1", "--metadata", "a=2"), "--metadata a is given twice"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_use(desk, given, says):
    desk.chats("a.jsonl")

    refused = desk.call("batches", "create", *given)

    assert (refused.exit_code, refused.stdout, desk.faults.called("*")) == (2, "", 0)
    assert says in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--provider", "opnai"), "the deployment sandbox has no provider opnai: name one of"),
        (("--provider", "openai_live"), "asks without a batch at a provider"),
        (("--endpoint", "chatt"), "endpoint 'chatt' is unknown"),
        (("--endpoint", "generate_content"), "names the model: give the path itself"),
    ],
)
def test_a_provider_or_an_endpoint_that_there_is_not_is_named(desk, given, says):
    desk.chats("a.jsonl")

    refused = desk.call("batches", "create", "a.jsonl", *given)

    assert (refused.exit_code, refused.stdout, desk.faults.called("*")) == (1, "", 0)
    assert says in refused.stderr


def test_a_provider_whose_address_is_nowhere_is_asked_for_it(desk, monkeypatch):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")
    monkeypatch.delenv("XEROTIER_BASE_URL", raising=False)
    desk.chats("a.jsonl")

    refused = desk.call("batches", "create", "a.jsonl", "--provider", "xerotier")

    assert refused.exit_code == 1
    assert "lacks the address of xerotier: set XEROTIER_BASE_URL" in refused.stderr


def test_every_line_for_a_program_names_the_schema(desk):
    desk.chats("a.jsonl")

    answer = desk.call("batches", "create", "a.jsonl", "gone.jsonl", "-o", "jsonl")

    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    assert {row["schema"] for row in rows} == {"batch-assets/batches-create/1"}
    assert [(row["ok"], row["reason"]) for row in rows] == [
        (True, ""),
        (False, "there is no such file"),
    ]
    assert (rows[1]["id"], rows[1]["key"], answer.exit_code) == (None, None, 4)


def test_a_refused_key_stops_the_rest(desk):
    for name in ("a.jsonl", "b.jsonl"):
        desk.chats(name)
    desk.faults.calls("files.create", HttpError(status=401, code="invalid_api_key"), times=None)

    answer = desk.call("batches", "create", "a.jsonl", "b.jsonl")

    assert [line.split()[0] for line in answer.stdout.splitlines()] == ["[FAIL]", "[FAIL]"]
    assert (answer.exit_code, desk.faults.called("files.create")) == (6, 1)


def test_nothing_more_is_created_where_nobody_reads_the_ids(desk):
    for name in ("a.jsonl", "b.jsonl"):
        desk.chats(name)
    command = [sys.executable, "-m", "batch_assets.cli", "batches", "create", "a.jsonl", "b.jsonl"]

    with subprocess.Popen(
        command,
        cwd=desk.folder,
        env={**os.environ, **desk.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate()

    assert process.returncode == 141
    assert said.count("its key is") == 1
    assert desk.faults.called("batches.create") == 1
