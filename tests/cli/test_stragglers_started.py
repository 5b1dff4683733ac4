"""`batch-assets start` with stragglers: asked live when it is time, by whoever goes on with it."""

import hashlib
import json
from datetime import timedelta

import pytest
from command_answers import rows_of

ASK = (
    *("--input", "words.csv", "--id-field", "id", "--prompt-field", "word"),
    *("--model", "gpt-5-mini", "--run-id", "words"),
)
#: Less than two seconds.
LATE = ("--stragglers-provider", "openai_live", "--stragglers-after", "0.0005")
WAIT = ("--wait", "--every", "0.1", "-o", "json")
ROWS = 20


@pytest.fixture
def words(live):
    """Rows of words, and a provider of batches that never answers."""
    live.write("words.csv", "id,word\n" + "".join(f"{n},word {n}\n" for n in range(ROWS)))
    live.sandbox.state.change_settings({"latency": 10.0**9, "cancel_delay": 0.1})
    return live


def asked_once(live) -> bool:
    counted = live.sandbox.state.executions()
    return counted["requests_executed"] == counted["distinct_bodies"] == ROWS


def test_start_waits_and_asks_live_what_was_not_answered_in_time(words):
    [row] = rows_of(words.call("start", *ASK, *LATE, *WAIT), "start/1")

    assert (row["fate"], row["outcomes"]) == ("resolved", {"ok": ROWS})
    assert asked_once(words)
    assert words.faults.called.count("live.create") == ROWS


def test_who_goes_on_by_the_name_alone_asks_live_too(words):
    words.call("start", *ASK, *LATE)
    words.let_pass(timedelta(minutes=1))

    [row] = rows_of(words.call("start", "--run-id", "words", *WAIT), "start/1")

    assert row["outcomes"] == {"ok": ROWS}
    assert words.faults.called.count("live.create") == ROWS


def test_a_declaration_with_stragglers_is_another_one_than_without(words):
    words.call("start", *ASK)

    refused = words.call("start", *ASK, *LATE)

    assert refused.exit_code == 2
    assert (
        '--stragglers-provider is null there and "openai_live" here; '
        "--stragglers-after is null there and 0.0005 here" in refused.stderr
    )


def test_a_declaration_that_was_stored_before_there_were_stragglers_is_gone_on_with(words):
    words.call("start", *ASK)
    stored = words.store / "started-inferences" / "words.json"
    kept = json.loads(stored.read_text())
    declared = {**kept["declared"], "folder": ""}
    del declared["stragglers_provider"], declared["stragglers_after"]
    canonical = json.dumps(declared, sort_keys=True, separators=(",", ":"))
    kept = {**kept, "declared": declared, "digest": hashlib.sha256(canonical.encode()).hexdigest()}
    stored.write_text(json.dumps(kept))

    gone_on = words.call("start", *ASK)

    assert gone_on.exit_code == 0, gone_on.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (LATE[:2], "give both --stragglers-provider and --stragglers-after, or neither"),
        (LATE[2:], "give both --stragglers-provider and --stragglers-after, or neither"),
        ((*LATE[:3], "0"), "0.0 is not in the range x>0"),
        ((*LATE[:3], "1e9"), "give hours above 0 and below the provider's window"),
        (("--stragglers-provider", "openai", *LATE[2:]), "which has them: name a lane"),
        (("--stragglers-provider", "gemini", *LATE[2:]), "gemini, which is no lane"),
        (("--stragglers-provider", "no_one", *LATE[2:]), "--stragglers-provider no_one: there is"),
        (
            ("--stragglers-provider", "anthropic_live", *LATE[2:]),
            "takes no requests of /v1/chat/completions",
        ),
    ],
    ids=["no hours", "no provider", "0", "too long", "itself", "no lane", "nobody", "other wire"],
)
def test_stragglers_that_cannot_be_asked_are_wrong_use(words, given, said):
    refused = words.call("start", *ASK, *given)

    assert refused.exit_code == 2, refused.output
    assert said in refused.stderr
    assert words.sandbox.state.executions()["batches_created"] == 0


def test_a_lane_without_its_key_is_told_before_anything_is_sent(words, monkeypatch):
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test-0123456789")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    late = ("--provider", "anthropic", "--stragglers-provider", "openai_live", *LATE[2:])

    refused = words.call("start", *ASK, *late)

    assert refused.exit_code == 6, refused.output
    assert "there is no key for openai_live: set OPENAI_API_KEY; nothing was sent" in refused.stderr


BOUNDED = ("--set", "max_completion_tokens=100")


def test_a_plan_says_what_all_of_it_would_cost_live_at_most(words):
    [row] = rows_of(words.call("plan", *ASK, *LATE, *BOUNDED, "-o", "json"), "plan/1")
    shown = words.call("plan", *ASK, *LATE, *BOUNDED).stdout

    # The standard price is twice that of a batch.
    assert row["live_most_usd"] == pytest.approx(2 * row["most_usd"])
    assert row["live_prompts_usd"] == pytest.approx(2 * row["prompts_usd"])
    assert row["live_quote"] == (
        f"${row['live_most_usd']:.6f} at most if all of it were asked live "
        "(after 0.0005 h by openai_live)"
    )
    assert "standard price of openai gpt-5-mini" in row["live_price_source"]
    assert row["live_quote"] in " ".join(shown.split())


def test_a_plan_without_stragglers_has_no_live_price(words):
    [row] = rows_of(words.call("plan", *ASK, "-o", "json"), "plan/1")

    assert {name: row[name] for name in row if name.startswith("live_")} == dict.fromkeys(
        ("live_usd", "live_prompts_usd", "live_most_usd", "live_quote", "live_price_source")
    )


def test_an_approval_says_what_all_of_it_would_cost_live_at_most(words):
    words.call("start", *ASK, *LATE, *BOUNDED, "--approval")

    [row] = rows_of(words.call("approve", "words", "--dry-run", "-o", "json"), "approve/1")
    shown = words.call("approve", "words", "--dry-run").stdout

    assert row["stragglers"] == "after 0.0005 h by openai_live"
    assert row["live_most_usd"] > 0
    assert row["quote"].endswith(
        f"${row['live_most_usd']:.6f} at most if all of it were asked live "
        "(after 0.0005 h by openai_live)"
    )
    assert "at most if all of it were asked live" in " ".join(shown.split())


def test_two_that_wait_for_it_at_once_ask_nothing_twice(words):
    """Two processes on one deployment; each ends when the results are there."""
    words.call("start", *ASK, *LATE)
    waits = ("wait", "words", "--every", "0.1", "-o", "json")

    with words.process(*waits) as one, words.process(*waits) as other:
        said = [process.communicate() for process in (one, other)]

    assert [one.returncode, other.returncode] == [0, 0], said
    assert [json.loads(out)["rows"][0]["ok"] for out, _ in said] == [ROWS] * 2
    assert asked_once(words)
    assert words.faults.called.count("live.create") == ROWS
