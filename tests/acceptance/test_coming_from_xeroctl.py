"""Every line of xeroctl's documentation of `batches` and `files` that is known, in our terms.

Theirs: xerotier.ai/docs/xeroctl/batches and /files, of which only the beginnings are stored where
this was written; the rest as issue 7 tells it.
"""

import json

import openai
import pytest
from typed_lines import OFTEN, Terminal

from batch_assets.sandbox import HttpError, ItemError, Stuck


def request_file(*contents: str, url: str = "/v1/chat/completions") -> str:
    """The lines of requests with these contents."""
    lines = [
        {
            "custom_id": f"req-{number}",
            "method": "POST",
            "url": url,
            "body": {"model": "my-model", "messages": [{"role": "user", "content": content}]},
        }
        for number, content in enumerate(contents, start=1)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def desk(terminal: Terminal) -> Terminal:
    terminal.write("requests.jsonl", request_file("France?", "Pythagoras?", "A haiku?", "Why?"))
    return terminal


CREATE = "batch-assets batches create requests.jsonl --provider xerotier"


def created(desk: Terminal, line: str = CREATE, more: str = "", *, code: int = 0) -> str:
    """The id of a batch."""
    [row] = desk.rows(line, more, code=code)
    return str(row["id"])


# batches: list, show, create


def test_their_deployment_is_an_address_and_a_key(desk: Terminal) -> None:
    assert created(desk, CREATE)


def test_batches_are_listed_behind_one_another(desk: Terminal) -> None:
    for _ in range(3):
        created(desk, "batch-assets batches create requests.jsonl --again")
    all_of_them = [each["id"] for each in desk.rows("batch-assets batches list --limit 20")]

    first = desk.run("batch-assets batches list --limit 1")
    rest = desk.rows("batch-assets batches list --after BATCH_ID", BATCH_ID=all_of_them[0])

    assert f"--after {all_of_them[0]}" in first.stderr
    assert [each["id"] for each in rest] == all_of_them[1:]


def test_batches_of_one_status_are_listed(desk: Terminal) -> None:
    desk.faults.batches(Stuck())
    stuck = created(desk)
    created(desk, CREATE, f"--again --wait {OFTEN}")

    found = desk.rows("batch-assets batches list --provider xerotier --status in_progress")

    assert [each["id"] for each in found] == [stuck]


def test_a_batch_is_shown(desk: Terminal) -> None:
    batch = created(desk, CREATE, f"--wait {OFTEN}")

    [row] = desk.rows("batch-assets batches show BATCH_ID --provider xerotier", BATCH_ID=batch)

    assert (row["status"], row["completed"], row["failed"]) == ("completed", 4, 0)


def test_a_file_is_uploaded_made_a_batch_and_waited_for(desk: Terminal) -> None:
    [row] = desk.rows(
        "batch-assets batches create requests.jsonl --provider xerotier --wait", OFTEN
    )

    assert (row["status"], row["completed"]) == ("completed", 4)


def test_what_would_be_sent_is_checked_and_told(desk: Terminal) -> None:
    told = desk.run("batch-assets batches create requests.jsonl --provider xerotier --dry-run")

    assert told.exit_code == 0
    assert told.stdout.startswith("[OK] requests.jsonl -> 4 requests")
    assert desk.executed["batches_created"] == 0


def test_of_several_files_one_that_fails_stops_no_other(desk: Terminal) -> None:
    desk.write("monday.jsonl", request_file("one"))
    desk.write("tuesday.jsonl", request_file("two").replace("POST", "GET"))
    desk.write("wednesday.jsonl", request_file("three"))

    told = desk.run("batch-assets batches create monday.jsonl tuesday.jsonl wednesday.jsonl")

    first, second, third = told.stdout.splitlines()
    assert told.exit_code == 4
    assert first.startswith("[OK] monday.jsonl -> batch_")
    assert second == "[FAIL] tuesday.jsonl (line 1: its method is 'GET': write POST)"
    assert third.startswith("[OK] wednesday.jsonl -> batch_")


# Fan-out by prefix

FAN_OUT = "batch-assets batches create --prefix nightly/ --endpoint chat --provider xerotier"


@pytest.fixture
def uploaded(desk: Terminal) -> Terminal:
    """Files that somebody uploaded: three below nightly/, and another."""
    address = f"{desk.sandbox.origin}/xerotier/proj_sandbox/v1"
    client = openai.OpenAI(api_key="sk-test", base_url=address)
    for name in ("nightly/a.jsonl", "nightly/b.jsonl", "nightly/c.jsonl", "weekly.jsonl"):
        client.files.create(file=(name, request_file(name).encode()), purpose="batch")
    client.close()
    return desk


def test_each_uploaded_file_below_a_prefix_becomes_a_batch(uploaded: Terminal) -> None:
    rows = uploaded.rows(FAN_OUT)

    assert [(each["path"], each["ok"]) for each in rows] == [
        ("nightly/a.jsonl", True),
        ("nightly/b.jsonl", True),
        ("nightly/c.jsonl", True),
    ]


def test_of_a_prefix_one_file_that_fails_stops_no_other(uploaded: Terminal) -> None:
    uploaded.faults.calls("batches.create", HttpError(400), after=1)

    told = uploaded.run(FAN_OUT)

    first, second, third = told.stdout.splitlines()
    assert told.exit_code == 4
    assert first.startswith("[OK] nightly/a.jsonl -> batch_")
    assert second.startswith("[FAIL] nightly/b.jsonl (")
    assert third.startswith("[OK] nightly/c.jsonl -> batch_")


def test_given_again_a_fan_out_makes_only_what_failed(uploaded: Terminal) -> None:
    uploaded.faults.calls("batches.create", HttpError(400), after=1)
    uploaded.run(FAN_OUT)

    again = uploaded.rows(FAN_OUT, code=4)

    assert [each["ok"] for each in again] == [False, True, False]
    assert uploaded.executed["batches_created"] == 3


def test_a_fan_out_can_be_looked_at_first(uploaded: Terminal) -> None:
    told = uploaded.run(FAN_OUT, "--dry-run")

    assert told.exit_code == 0
    assert len(told.stdout.splitlines()) == 3
    assert uploaded.executed["batches_created"] == 0


# Metadata


def test_metadata_is_given_singly_or_together(desk: Terminal) -> None:
    batch = created(
        desk,
        "batch-assets batches create requests.jsonl --metadata team=search "
        "--metadata run=7,day=mon",
    )

    [row] = desk.rows("batch-assets batches show BATCH_ID", BATCH_ID=batch)

    assert row["metadata"] == {"team": "search", "run": "7", "day": "mon"}


@pytest.mark.parametrize(
    ("line", "metadata"),
    [
        ("batch-assets batches create requests.jsonl", f"note={'x' * 513}"),
        ("batch-assets batches create requests.jsonl", ",".join(f"k{n}=v" for n in range(17))),
        (CREATE, f"note={'x' * 16_385}"),
    ],
)
def test_metadata_over_the_limit_is_refused_before_anything_is_sent(
    desk: Terminal, line: str, metadata: str
) -> None:
    refused = desk.run(line, f"--metadata {metadata}")

    assert refused.exit_code != 0
    assert "metadata" in refused.stderr
    assert desk.executed["files_uploaded"] == desk.executed["batches_created"] == 0


# Cancel, download, errors


def test_a_cancelled_batch_keeps_what_it_answered(desk: Terminal) -> None:
    desk.sandbox.state.change_settings({"cancel_delay": 0.0})
    desk.faults.batches(Stuck(at=0.5))
    batch = created(desk, CREATE, "--wait --timeout 1 --every 0.5", code=7)

    cancelled = desk.run("batch-assets batches cancel BATCH_ID --provider xerotier", BATCH_ID=batch)
    brought = desk.run("batch-assets batches download BATCH_ID --provider xerotier", BATCH_ID=batch)

    assert (cancelled.exit_code, brought.exit_code) == (0, 0), brought.output
    assert len(desk.read(f"{batch}-output.jsonl")) == 2


def test_answers_and_errors_lie_in_files_named_by_the_batch(desk: Terminal) -> None:
    desk.faults.items(ItemError(400), containing="haiku")
    batch = created(desk, CREATE, f"--wait {OFTEN}", code=4)

    desk.run("batch-assets batches download BATCH_ID --provider xerotier", BATCH_ID=batch)
    desk.run("batch-assets batches errors BATCH_ID --provider xerotier", BATCH_ID=batch)

    assert [len(desk.read(f"{batch}-{what}.jsonl")) for what in ("output", "errors")] == [3, 1]


def test_a_file_that_is_there_is_never_overwritten_unasked(desk: Terminal) -> None:
    batch = created(desk, CREATE, f"--wait {OFTEN}")
    desk.write("answers.jsonl", "mine")
    line = "batch-assets batches download BATCH_ID --provider xerotier --output-file answers.jsonl"

    refused = desk.run(line, BATCH_ID=batch)
    kept = (desk.folder / "answers.jsonl").read_text()
    allowed = desk.run(line, "--overwrite", BATCH_ID=batch)

    assert (refused.exit_code, kept, allowed.exit_code) == (1, "mine", 0)
    assert len(desk.read("answers.jsonl")) == 4


def test_errors_go_to_a_file_of_ones_choice_or_to_stdout(desk: Terminal) -> None:
    desk.faults.items(ItemError(400), containing="haiku")
    batch = created(desk, CREATE, f"--wait {OFTEN}", code=4)

    desk.run(
        "batch-assets batches errors BATCH_ID --provider xerotier --output-file failed.jsonl",
        BATCH_ID=batch,
    )
    shown = desk.run(
        "batch-assets batches errors BATCH_ID --provider xerotier --output-file -", BATCH_ID=batch
    )

    assert [line["custom_id"] for line in desk.read("failed.jsonl")] == ["req-3"]
    assert json.loads(shown.stdout)["custom_id"] == "req-3"


def test_where_nothing_failed_there_is_no_errors_file(desk: Terminal) -> None:
    batch = created(desk, CREATE, f"--wait {OFTEN}")

    told = desk.run("batch-assets batches errors BATCH_ID --provider xerotier", BATCH_ID=batch)

    assert told.exit_code == 3
    assert not (desk.folder / f"{batch}-errors.jsonl").exists()


# files

DELETE = "batch-assets files delete FILE_ID --provider xerotier --yes"


def test_files_are_listed_with_what_they_are_for(uploaded: Terminal) -> None:
    found = uploaded.rows("batch-assets files list --provider xerotier --limit 50")

    assert sorted(each["name"] for each in found) == [
        "nightly/a.jsonl",
        "nightly/b.jsonl",
        "nightly/c.jsonl",
        "weekly.jsonl",
    ]
    assert {each["purpose"] for each in found} == {"batch"}


def test_a_file_is_deleted_and_one_that_a_batch_of_ours_needs_is_not(uploaded: Terminal) -> None:
    uploaded.write("mails.csv", "id,text\n1,hello\n")
    uploaded.faults.batches(Stuck())
    uploaded.run(
        "batch-assets start --input mails.csv --id-field id --prompt-field text --model my-model "
        "--provider xerotier"
    )
    found = uploaded.rows("batch-assets files list --provider xerotier --limit 50")
    ours = next(each["id"] for each in found if each["needed_by"] is not None)
    weekly = next(each["id"] for each in found if each["name"] == "weekly.jsonl")

    [deleted] = uploaded.rows(DELETE, FILE_ID=weekly)
    [kept] = uploaded.rows(DELETE, code=1, FILE_ID=ours)

    assert deleted["ok"]
    assert "mails" in kept["reason"]


def test_files_are_listed_by_their_names_and_what_they_are_for(uploaded: Terminal) -> None:
    found = uploaded.rows(
        "batch-assets files list --provider xerotier --prefix nightly --purpose batch"
    )

    assert {each["name"] for each in found} == {f"nightly/{name}.jsonl" for name in "abc"}


def test_files_are_uploaded_and_each_becomes_a_batch(desk: Terminal) -> None:
    for day in ("monday", "tuesday", "wednesday"):
        desk.write(f"{day}.jsonl", request_file(day))

    told = desk.run(
        "batch-assets files upload monday.jsonl tuesday.jsonl wednesday.jsonl "
        "--name-prefix nightly- --provider xerotier"
    )
    batches = desk.rows(
        "batch-assets batches create --prefix nightly- --endpoint chat --provider xerotier"
    )

    assert [line.split(" -> ")[0] for line in told.stdout.splitlines()] == [
        "[OK] monday.jsonl",
        "[OK] tuesday.jsonl",
        "[OK] wednesday.jsonl",
    ]
    assert [(each["path"], each["ok"]) for each in batches] == [
        ("nightly-monday.jsonl", True),
        ("nightly-tuesday.jsonl", True),
        ("nightly-wednesday.jsonl", True),
    ]


def test_a_file_is_downloaded(uploaded: Terminal) -> None:
    found = uploaded.rows("batch-assets files list --provider xerotier --limit 50")
    weekly = next(each["id"] for each in found if each["name"] == "weekly.jsonl")

    told = uploaded.run("batch-assets files download FILE_ID --provider xerotier", FILE_ID=weekly)

    assert told.exit_code == 0, told.output
    assert (uploaded.folder / f"{weekly}.jsonl").read_text() == request_file("weekly.jsonl")
