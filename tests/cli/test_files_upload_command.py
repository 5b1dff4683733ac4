"""`batch-assets files upload`: request files put where batches can be made of them."""

import pytest
from direct_desk import CHAT, chat_line, message_line

from batch_assets.sandbox import HttpError


def test_each_file_is_uploaded_as_it_is_and_is_a_line(desk):
    desk.chats("a.jsonl")
    desk.chats("b.jsonl", 3)

    answer = desk.call("files", "upload", "a.jsonl", "b.jsonl")

    first, second = (line.rpartition(" -> ")[2] for line in answer.stdout.splitlines())
    assert answer.stdout == f"[OK] a.jsonl -> {first}\n[OK] b.jsonl -> {second}\n"
    listed = {row["id"]: row["name"] for row in desk.rows("files", "list")}
    assert (answer.exit_code, listed) == (0, {first: "a.jsonl", second: "b.jsonl"})
    brought = desk.call("files", "download", second, "--output-file", "-")
    assert brought.stdout_bytes == (desk.folder / "b.jsonl").read_bytes()


@pytest.mark.parametrize("provider", ["openai", "mistral", "groq"])
def test_what_is_uploaded_below_a_prefix_becomes_batches_by_it(desk, provider):
    for name in ("a.jsonl", "b.jsonl"):
        desk.chats(name)
    at = ("--provider", provider)
    desk.rows("files", "upload", "a.jsonl", "b.jsonl", "--name-prefix", "march-", *at)

    rows = desk.rows("batches", "create", "--prefix", "march-", "--endpoint", CHAT, *at)

    assert [(row["path"], row["ok"]) for row in rows] == [
        ("march-a.jsonl", True),
        ("march-b.jsonl", True),
    ]


def test_one_file_that_fails_stops_no_other(desk):
    desk.chats("a.jsonl")
    desk.write("twice.jsonl", [chat_line("x"), chat_line("x")])
    desk.chats("c.jsonl")

    answer = desk.call("files", "upload", "a.jsonl", "twice.jsonl", "gone.jsonl", "c.jsonl")

    lines = answer.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["[OK]", "a.jsonl"],
        ["[FAIL]", "twice.jsonl"],
        ["[FAIL]", "gone.jsonl"],
        ["[OK]", "c.jsonl"],
    ]
    assert "line 2: its custom_id 'x' is that of line 1, too" in lines[1]
    assert (answer.exit_code, desk.faults.called("files.create")) == (4, 2)


def test_one_that_the_provider_refuses_stops_no_other(desk):
    for name in ("a.jsonl", "b.jsonl"):
        desk.chats(name)
    desk.faults.calls("files.create", HttpError(status=400, message="Not today."))

    answer = desk.call("files", "upload", "a.jsonl", "b.jsonl")

    assert [line.split()[0] for line in answer.stdout.splitlines()] == ["[FAIL]", "[OK]"]
    assert "Not today." in answer.stdout
    assert answer.exit_code == 4


def test_a_refused_key_stops_the_rest(desk):
    for name in ("a.jsonl", "b.jsonl"):
        desk.chats(name)
    desk.faults.calls("files.create", HttpError(status=401, code="invalid_api_key"), times=None)

    answer = desk.call("files", "upload", "a.jsonl", "b.jsonl")

    assert [line.split()[0] for line in answer.stdout.splitlines()] == ["[FAIL]", "[FAIL]"]
    assert (answer.exit_code, desk.faults.called("files.create")) == (6, 1)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([chat_line("a", url="/v1/nowhere")], "take no requests of /v1/nowhere"),
        ([message_line("a")], "missing required field `body`"),
        ([], "it is empty, and a batch has requests"),
    ],
)
def test_what_no_batch_can_be_made_of_is_named_before_anything_is_sent(desk, lines, says):
    desk.write("a.jsonl", lines)

    answer = desk.call("files", "upload", "a.jsonl", "--provider", "groq")

    assert answer.stdout.startswith("[FAIL] a.jsonl (")
    assert says in answer.stdout
    assert (answer.exit_code, desk.faults.called("files.create")) == (1, 0)


def test_a_dry_run_checks_everything_and_sends_nothing(desk):
    desk.chats("a.jsonl", 3)
    desk.write("bad.jsonl", [chat_line("")])
    desk.chats("march.jsonl")
    march = desk.upload("march.jsonl")
    size = (desk.folder / "a.jsonl").stat().st_size

    answer = desk.call("files", "upload", "a.jsonl", "bad.jsonl", "march.jsonl", "--dry-run")

    good, bad, there = answer.stdout.splitlines()
    assert good == f"[OK] a.jsonl -> a.jsonl, 3 requests, {size} bytes"
    assert bad.startswith("[FAIL] bad.jsonl (line 1: ")
    assert there.startswith(f"[FAIL] march.jsonl ({march} is called march.jsonl already")
    assert (answer.exit_code, answer.stderr) == (4, "Nothing was sent.\n")
    assert [row["id"] for row in desk.rows("files", "list")] == [march]


def test_a_second_file_of_a_name_is_uploaded_where_that_is_said(desk):
    desk.chats("a.jsonl")
    desk.call("files", "upload", "a.jsonl")

    refused = desk.call("files", "upload", "a.jsonl")
    allowed = desk.call("files", "upload", "a.jsonl", "--again")

    assert refused.stdout.startswith("[FAIL] a.jsonl (")
    assert "is called a.jsonl already: delete it, give another --name-prefix" in refused.stdout
    assert (refused.exit_code, allowed.exit_code) == (6, 0)
    assert len(desk.rows("files", "list")) == 2


def test_files_of_one_name_in_two_folders_are_not_confused(desk):
    for folder in ("monday", "tuesday"):
        (desk.folder / folder).mkdir()
        desk.chats(f"{folder}/a.jsonl")

    answer = desk.call("files", "upload", "monday/a.jsonl", "tuesday/a.jsonl")

    assert [line.split()[0] for line in answer.stdout.splitlines()] == ["[OK]", "[FAIL]"]
    assert "it would be called a.jsonl, as monday/a.jsonl is: rename it" in answer.stdout
    assert (answer.exit_code, desk.faults.called("files.create")) == (4, 1)


def test_a_file_that_is_named_twice_is_uploaded_once(desk):
    desk.chats("a.jsonl")

    assert len(desk.rows("files", "upload", "a.jsonl", "a.jsonl")) == 1
    assert desk.faults.called("files.create") == 1


def test_a_name_that_the_sweep_would_take_for_one_of_ours_is_refused(desk):
    name = desk.chats(f"{'0' * 32}.jsonl")

    answer = desk.call("files", "upload", name, "--dry-run")

    assert (answer.exit_code, answer.stdout.split()[0]) == (1, "[FAIL]")
    assert "choose another" in answer.stdout


@pytest.mark.parametrize("given", [(), ("--dry-run",)])
def test_a_provider_without_files_says_what_to_do(desk, given):
    desk.messages("m.jsonl")

    refused = desk.call("files", "upload", "m.jsonl", "--provider", "anthropic", *given)

    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (6, "", 1)
    assert "give the files to `batch-assets batches create`" in refused.stderr


def test_an_upload_that_came_twice_is_paid_for_once(desk):
    for _ in range(2):
        desk.upload("march.jsonl")
    fan_out = ("batches", "create", "--prefix", "march", "--endpoint", "chat")

    first, again = desk.call(*fan_out), desk.call(*fan_out)

    assert sorted(line.split()[0] for line in first.stdout.splitlines()) == ["[FAIL]", "[OK]"]
    assert "its name and size are those of" in first.stdout
    assert [line.split()[0] for line in again.stdout.splitlines()] == ["[FAIL]", "[FAIL]"]
    assert len(desk.rows("batches", "list")) == 1
    assert desk.call(*fan_out, "--again").exit_code == 0
