"""`batch-assets batches create` without its reply: the batch is looked for, never created twice."""

import json

from command_answers import rows_of
from direct_desk import chat_line, message_line

from batch_assets.sandbox import HttpError, LostReply


def test_a_batch_whose_reply_was_lost_is_found_by_its_key_and_never_created_twice(desk):
    desk.chats("a.jsonl")
    desk.faults.calls("batches.create", LostReply())

    answer = desk.call("batches", "create", "a.jsonl")

    [row] = desk.rows("batches", "list")
    assert answer.stdout == f"[OK] a.jsonl -> {row['id']}\n"
    assert f"a.jsonl: its key is {desk.rows('batches', 'show', row['id'])[0]['key']}" in (
        answer.stderr
    )
    assert (answer.exit_code, desk.faults.called("batches.create")) == (0, 1)


def test_of_anthropics_which_carry_no_key_those_are_named_that_it_may_be(desk):
    desk.messages("m.jsonl")
    desk.faults.calls("batches.create", LostReply())

    answer = desk.call("batches", "create", "m.jsonl", "--provider", "anthropic")

    [row] = desk.rows("batches", "list", "--provider", "anthropic")
    assert answer.stdout.startswith("[FAIL] m.jsonl (reply lost: it may exist; ")
    assert f"it may be {row['id']} (created at " in answer.stdout
    assert (answer.exit_code, desk.faults.called("batches.create")) == (6, 1)


def test_one_that_cannot_be_found_may_exist_and_is_said_to(desk):
    desk.chats("a.jsonl")
    desk.chats("b.jsonl")
    desk.faults.calls("batches.create", LostReply())
    desk.faults.calls("batches.list", HttpError(status=404, message="No such page."), times=None)

    answer = desk.call("batches", "create", "a.jsonl", "b.jsonl")

    lost, made = answer.stdout.splitlines()
    key = answer.stderr.partition("its key is ")[2].split()[0]
    told = f"(reply lost: it may exist; look with `batch-assets batches show {key}`"
    assert lost.startswith(f"[FAIL] a.jsonl {told}")
    assert made.startswith("[OK] b.jsonl -> ")
    assert (answer.exit_code, desk.faults.called("batches.create")) == (4, 2)


def test_who_is_stopped_before_the_reply_finds_the_batch_by_its_key(desk):
    desk.chats("a.jsonl")
    desk.faults.calls("batches.create", LostReply())
    # It cannot be looked for either, until later.
    away = desk.faults.calls("batches.list", HttpError(status=403, message="No."), after=1)
    answer = desk.call("batches", "create", "a.jsonl")
    key = answer.stderr.partition("its key is ")[2].split()[0]

    [found] = desk.rows("batches", "show", key)

    [listed] = desk.rows("batches", "list")
    assert (answer.exit_code, away.hits, found["id"]) == (6, 1, listed["id"])


def test_who_is_killed_before_the_reply_may_give_the_same_command(live):
    live.write("a.jsonl", json.dumps(chat_line("r0")) + "\n")
    live.killed_at("batches.create", "after", "batches", "create", "a.jsonl")

    again = live.call("batches", "create", "a.jsonl")

    [listed] = rows_of(live.call("batches", "list", "-o", "json"), "batches-list/1")
    assert again.stdout.startswith(f"[FAIL] a.jsonl ({listed['id']} was made of the same requests")


def test_who_is_killed_before_the_reply_finds_the_batch_by_the_key_on_stderr(live):
    live.write("a.jsonl", json.dumps(chat_line("r0")) + "\n")

    said = live.killed_at("batches.create", "after", "batches", "create", "a.jsonl")

    key = said.partition("a.jsonl: its key is ")[2].split()[0]
    [found] = rows_of(live.call("batches", "show", key, "-o", "json"), "batches-show/1")
    [listed] = rows_of(live.call("batches", "list", "-o", "json"), "batches-list/1")
    assert (found["id"], found["key"]) == (listed["id"], key)


def test_who_is_killed_at_anthropic_is_told_which_batch_it_may_be(live):
    live.write("m.jsonl", json.dumps(message_line("r0")) + "\n")
    at = ("--provider", "anthropic")

    said = live.killed_at("batches.create", "after", "batches", "create", "m.jsonl", *at)

    key = said.partition("m.jsonl: its key is ")[2].split()[0]
    told = live.call("batches", "show", key, *at)
    [listed] = rows_of(live.call("batches", "list", *at, "-o", "json"), "batches-list/1")
    assert (told.exit_code, told.stdout) == (6, "")
    assert f"it may be {listed['id']} (created at " in told.stderr
