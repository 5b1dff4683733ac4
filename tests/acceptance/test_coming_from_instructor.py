"""Every line of instructor's documentation of `instructor batch`, in our terms.

Theirs: docs/cli/batch.md, docs/concepts/batch.md and examples/batch_api/README.md of
567-labs/instructor; what its `files` takes is in instructor/cli/files.py.
"""

import json

import pytest
from typed_lines import OFTEN, Terminal

from batch_assets.sandbox import Stuck

#: The request files of their pages.
FILES = {"openai": "output.jsonl", "anthropic": "batch_requests.jsonl"}


@pytest.fixture
def desk(terminal: Terminal) -> Terminal:
    """Request files as their `BatchProcessor` writes them, one for each provider."""
    texts = ("Win a prize", "Meeting on Friday", "Product updates")
    openai = [
        {
            "custom_id": f"request-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]},
        }
        for number, text in enumerate(texts)
    ]
    anthropic = [
        {
            "custom_id": f"request-{number}",
            "params": {
                "model": "claude-haiku-4-5",
                "max_tokens": 100,
                "messages": [{"role": "user", "content": text}],
            },
        }
        for number, text in enumerate(texts)
    ]
    for name, lines in (("openai", openai), ("anthropic", anthropic)):
        terminal.write(FILES[name], "".join(json.dumps(line) + "\n" for line in lines))
    return terminal


OF_OPENAI = "batch-assets batches create output.jsonl"
OF_ANTHROPIC = "batch-assets batches create batch_requests.jsonl --provider anthropic"


def created(desk: Terminal, line: str, more: str = "") -> str:
    """The id of a batch."""
    [row] = desk.rows(line, more)
    return str(row["id"])


# list


def test_list_shows_the_newest_whole_and_says_whose_they_are(desk: Terminal) -> None:
    ids = [created(desk, OF_OPENAI, "--again") for _ in range(4)]

    found = desk.rows("batch-assets batches list --limit 3")

    assert len({each["id"] for each in found} & set(ids)) == 3
    assert {each["whose"] for each in found} == {"keyed"}
    assert {each["total"] for each in found} == {3}


def test_list_asks_either_provider(desk: Terminal) -> None:
    openai = created(desk, OF_OPENAI)
    anthropic = created(desk, OF_ANTHROPIC)

    assert [
        [each["id"] for each in desk.rows("batch-assets batches list --provider openai --limit 3")],
        [
            each["id"]
            for each in desk.rows("batch-assets batches list --provider anthropic --limit 2")
        ],
    ] == [[openai], [anthropic]]


def test_list_has_no_batch_of_another_status(desk: Terminal) -> None:
    desk.faults.batches(Stuck())
    stuck = created(desk, OF_OPENAI)
    created(desk, OF_OPENAI, f"--again --wait {OFTEN}")

    found = desk.rows("batch-assets batches list --status in_progress")

    assert [each["id"] for each in found] == [stuck]


def test_one_batch_is_shown_by_its_id(desk: Terminal) -> None:
    batch = created(desk, OF_OPENAI, f"--wait {OFTEN}")

    [row] = desk.rows("batch-assets batches show BATCH_ID", BATCH_ID=batch)

    assert (row["id"], row["status"], row["completed"]) == (batch, "completed", 3)


# create-from-file


def test_a_request_file_becomes_a_batch_with_a_description(desk: Terminal) -> None:
    batch = created(
        desk,
        "batch-assets batches create output.jsonl "
        "--metadata 'description=Email classification batch - production v2.1'",
    )

    [row] = desk.rows("batch-assets batches show BATCH_ID", BATCH_ID=batch)

    assert row["metadata"] == {"description": "Email classification batch - production v2.1"}


def test_one_for_anthropic_is_told_by_the_provider_and_not_by_a_model(desk: Terminal) -> None:
    [row] = desk.rows(OF_ANTHROPIC)

    assert (row["ok"], row["requests"]) == (True, 3)


def test_a_description_that_anthropic_would_drop_is_refused(desk: Terminal) -> None:
    refused = desk.run(OF_ANTHROPIC, "--metadata description=x")

    assert refused.exit_code != 0
    assert "carry no metadata" in refused.stderr
    assert desk.rows("batch-assets batches list --provider anthropic --limit 2") == []


def test_a_file_of_the_other_provider_is_refused_before_anything_is_sent(desk: Terminal) -> None:
    refused = desk.run("batch-assets batches create batch_requests.jsonl --dry-run")

    assert refused.exit_code != 0
    assert "[FAIL] batch_requests.jsonl (line 1: " in refused.stdout
    assert desk.rows("batch-assets batches list --limit 3") == []


def test_it_stays_until_the_batch_has_ended(desk: Terminal) -> None:
    [row] = desk.rows("batch-assets batches create output.jsonl --wait", OFTEN)

    assert (row["status"], row["completed"], row["failed"]) == ("completed", 3, 0)


# cancel


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_batch_is_cancelled_at_either_provider(desk: Terminal, provider: str) -> None:
    desk.sandbox.state.change_settings({"latency": 3600.0})
    lines = {
        "openai": (OF_OPENAI, "batch-assets batches cancel BATCH_ID --provider openai"),
        "anthropic": (OF_ANTHROPIC, "batch-assets batches cancel BATCH_ID --provider anthropic"),
    }
    create, cancel = lines[provider]
    batch = created(desk, create)

    [row] = desk.rows(cancel, BATCH_ID=batch)

    assert (row["ok"], row["status"]) in ((True, "cancelling"), (True, "canceling"))


def test_an_id_that_is_not_there_is_an_error_for_a_script_too(desk: Terminal) -> None:
    refused = desk.run("batch-assets batches cancel BATCH_ID --provider openai")

    assert refused.exit_code != 0
    assert "[FAIL] BATCH_ID" in refused.stdout


def test_a_batch_of_the_ledger_is_ended_as_its_inference(desk: Terminal) -> None:
    """Else the ledger would take what is lost for a fault, and ask it again."""
    desk.write("mails.csv", "id,text\n1,hello\n")
    desk.faults.batches(Stuck())
    desk.run("batch-assets start --input mails.csv --id-field id --prompt-field text --model gpt-5")
    [listed] = desk.rows("batch-assets batches list --limit 5")

    refused = desk.run("batch-assets batches cancel BATCH_ID", BATCH_ID=listed["id"])

    assert (listed["whose"], listed["inference"]) == ("ours", "mails")
    assert refused.exit_code != 0
    assert "batch-assets cancel mails" in refused.stdout


# results, download-file


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_what_a_batch_answered_is_written_to_a_file(desk: Terminal, provider: str) -> None:
    lines = {
        "openai": (
            OF_OPENAI,
            "batch-assets batches download BATCH_ID --output-file openai_results.jsonl",
        ),
        "anthropic": (
            OF_ANTHROPIC,
            "batch-assets batches download BATCH_ID --provider anthropic "
            "--output-file anthropic_results.jsonl",
        ),
    }
    create, download = lines[provider]
    batch = created(desk, create, f"--wait {OFTEN}")

    [row] = desk.rows(download, BATCH_ID=batch)

    ids = sorted(line["custom_id"] for line in desk.read(f"{provider}_results.jsonl"))
    assert row["lines"] == 3
    assert ids == ["request-0", "request-1", "request-2"]


def test_a_download_too_early_is_an_error_and_writes_nothing(desk: Terminal) -> None:
    desk.faults.batches(Stuck())
    batch = created(desk, OF_OPENAI)

    refused = desk.run(
        "batch-assets batches download BATCH_ID --output-file openai_results.jsonl", BATCH_ID=batch
    )

    assert refused.exit_code == 3
    assert "once it has ended" in refused.stderr
    assert not (desk.folder / "openai_results.jsonl").exists()


# create


@pytest.fixture
def users(desk: Terminal) -> Terminal:
    """Rows of the kind of their ten prompts, and the class of their answers."""
    desk.write(
        "messages.jsonl",
        '{"id": "a", "text": "Hi, I am Alice and I am 28."}\n'
        '{"id": "b", "text": "Bob here, 35 years old."}\n',
    )
    desk.write(
        "people.py",
        "from pydantic import BaseModel\n\n\nclass User(BaseModel):\n    name: str\n    age: int\n",
    )
    return desk


STRUCTURED = (
    "batch-assets start --input messages.jsonl --id-field id --prompt-field text "
    "--structured-output-class people:User --model gpt-4o-mini --set max_completion_tokens=1000 "
    "--set temperature=0.1"
)


def test_requests_are_written_and_quoted_without_being_sent(users: Terminal) -> None:
    [row] = users.rows(STRUCTURED, "--dry-run")

    asked = [each["body"] for each in users.asked("messages")]
    assert row["requests_to_pay"] == 2
    assert [(each["temperature"], each["max_completion_tokens"]) for each in asked] == [
        (0.1, 1000)
    ] * 2
    assert users.executed["requests_executed"] == 0


def test_messages_become_answers_of_the_model_class(users: Terminal) -> None:
    users.run(STRUCTURED, f"--wait {OFTEN}")
    users.run("batch-assets results messages --output results.jsonl")

    assert [sorted(each["output"]) for each in users.read("results.jsonl")] == [["age", "name"]] * 2


def test_the_same_is_asked_of_anthropic(users: Terminal) -> None:
    [row] = users.rows(
        "batch-assets start --input messages.jsonl --id-field id --prompt-field text "
        "--structured-output-class people:User --provider anthropic --model claude-sonnet-4-5 "
        "--set max_tokens=1000 --wait",
        OFTEN,
    )

    assert row["outcomes"] == {"ok": 2}


# files


def test_files_are_listed_and_deleted(desk: Terminal) -> None:
    created(desk, OF_OPENAI, f"--wait {OFTEN}")
    found = desk.rows("batch-assets files list")
    requests = next(each["id"] for each in found if each["purpose"] == "batch")

    [row] = desk.rows("batch-assets files delete FILE_ID --yes", FILE_ID=requests)

    left = [each["id"] for each in desk.rows("batch-assets files list")]
    assert row["ok"]
    assert len(found) == 2
    assert requests not in left


def test_a_file_is_uploaded_found_and_downloaded(desk: Terminal) -> None:
    [made] = desk.rows("batch-assets files upload output.jsonl")

    [found] = desk.rows("batch-assets files list --prefix output.jsonl")
    desk.run("batch-assets files download FILE_ID --output-file data.jsonl", FILE_ID=made["id"])

    assert (found["id"], found["purpose"]) == (made["id"], "batch")
    assert desk.read("data.jsonl") == desk.read("output.jsonl")


# delete


def test_a_batch_of_anthropics_is_deleted(desk: Terminal) -> None:
    batch = created(desk, OF_ANTHROPIC, f"--wait {OFTEN}")

    [row] = desk.rows(
        "batch-assets batches delete BATCH_ID --provider anthropic --yes", BATCH_ID=batch
    )

    assert (row["ok"], row["deleted"]) == (True, True)
    assert desk.rows("batch-assets batches list --provider anthropic") == []
