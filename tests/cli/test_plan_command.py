"""`batch-assets plan`: what starting would send and cost, without sending anything."""

import pytest
from command_answers import rows_of

ASK = ("--input", "a.csv", "--id-field", "id", "--prompt-field", "text", "--model", "gpt-5-mini")


@pytest.fixture
def planned(live):
    """The one row of a plan of twelve rows, two of them the same."""
    rows = "".join(f"{n},text {min(n, 10)}\n" for n in range(12))
    live.write("a.csv", f"id,text\n{rows}")
    return lambda *given: rows_of(live.call("plan", *ASK, *given, "-o", "json"), "plan/1")[0]


def test_rows_requests_shards_and_tokens_are_counted(planned):
    row = planned()

    assert (row["rows"], row["requests"], row["duplicates"], row["oversize"]) == (12, 11, 1, 0)
    assert (row["shards"], row["requests_to_pay"], row["reused"]) == (1, 11, 0)
    assert row["bytes"] > 0
    assert row["prompt_tokens"] == row["prompt_tokens_to_pay"] > 0


def test_the_cost_says_who_says_so(planned):
    row = planned("--set", "max_completion_tokens=100")

    assert row["usd"] is None
    assert 0 < row["prompts_usd"] < row["most_usd"]
    assert row["price_provenance"] == "published"
    assert "genai-prices" in row["price_source"]


def test_a_model_without_a_price_costs_what_nobody_knows_and_not_nothing(live, planned):
    row = rows_of(live.call("plan", *ASK[:-1], "no-such-model", "-o", "json"), "plan/1")[0]

    assert (row["usd"], row["prompts_usd"], row["price_provenance"]) == (None, None, "unknown")


def test_ten_prompts_are_shown_as_they_would_be_asked(planned):
    row = planned("--system", "Be brief.")

    assert [each["item_id"] for each in row["prompts"]] == [str(n) for n in range(10)]
    assert row["prompts"][3]["prompt"] == "system: Be brief.\nuser: text 3"


def test_nothing_is_sent_and_the_ledger_keeps_nothing(live, planned):
    planned()

    assert live.sandbox.state.executions()["requests_executed"] == 0
    assert rows_of(live.call("status", "-o", "json"), "status/1") == []
    assert not (live.store / "started-inferences").exists()


def test_what_was_started_is_planned_by_its_name_and_has_its_answers(live, planned):
    planned()
    live.call("start", *ASK, "--run-id", "mine", "--wait", "--every", "0.1")
    live.write("a.csv", "id,text\n0,text 0\n1,text one\n")

    [row] = rows_of(live.call("plan", "--run-id", "mine", "-o", "json"), "plan/1")

    assert (row["rows"], row["reused"], row["requests_to_pay"]) == (2, 1, 1)
    assert row["usd"] > 0
    assert any("1 changed" in note for note in row["notes"])


def test_what_would_keep_it_from_being_sent_is_noted(live, planned):
    live.call("start", *ASK, "--approval", "--run-id", "mine")
    live.call("pause", "mine", "--by", "ada", "--reason", "not yet")

    [row] = rows_of(live.call("plan", "--run-id", "mine", "-o", "json"), "plan/1")

    assert any("before somebody approves" in note for note in row["notes"])
    assert any("paused by ada" in note for note in row["notes"])


def test_no_key_is_needed_and_its_lack_is_noted(live, planned, monkeypatch):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    assert planned()["notes"] == ["there is no key for openai: set OPENAI_API_KEY"]


@pytest.mark.usefixtures("live")
def test_a_provider_without_keys_lacks_none(planned, monkeypatch):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")

    assert planned("--provider", "vllm")["notes"] == []


def test_a_person_reads_the_quote_and_the_prompts(live, planned):
    planned()

    shown = live.call("plan", *ASK)

    assert "11 in 1 batch(es)" in shown.stdout
    assert "about $" in shown.stdout
    assert "user: text 3" in shown.stdout
