"""`batch-assets start`: an inference from files, without Python, YAML or a daemon."""

import gzip
import json
import stat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_answers import rows_of

from batch_assets.ledger import Ledger
from batch_assets.sandbox import Refusal

ASK = ("--id-field", "id", "--prompt-field", "text", "--model", "gpt-5-mini")
WAIT = ("--wait", "--every", "0.1", "-o", "json")


@pytest.fixture
def two(live):
    """Inputs that both have an id 2."""
    live.write("orders.csv", "id,text\n1,one\n2,two\n")
    live.write("returns.jsonl", '{"id": 2, "text": "zwei"}\n{"id": 3, "text": "drei"}\n')
    return live


BOTH = ("--input", "orders.csv", "--input", "returns.jsonl")


def results_of(row):
    return pq.read_table(row["results"]).to_pylist()


# Inputs


def test_every_row_of_a_file_is_asked_and_answered(live):
    live.write("a.csv", "id,text\n1,hello\n2,world\n")

    [row] = rows_of(live.call("start", "--input", "a.csv", *ASK, *WAIT), "start/1")

    assert (row["inference"], row["partition"], row["fate"]) == ("a", "all", "resolved")
    assert row["outcomes"] == {"ok": 2}
    assert [each["item_id"] for each in results_of(row)] == ["1", "2"]


def test_inputs_of_all_formats_are_one_corpus_in_the_order_they_are_named(live):
    (live.folder / "z.csv.gz").write_bytes(gzip.compress(b"id,text\nz1,first\n"))
    live.write("m.tsv", "id\ttext\nm1\tsecond\n")
    live.write("b.jsonl", '{"id": "b1", "text": "third"}\n')
    pq.write_table(pa.table({"id": ["a1"], "text": ["fourth"]}), live.folder / "a.parquet")
    inputs = [f"--input={name}" for name in ("z.csv.gz", "m.tsv", "b.jsonl", "a.parquet")]

    [row] = rows_of(live.call("start", *inputs, *ASK, *WAIT), "start/1")

    assert [each["item_id"] for each in results_of(row)] == ["z1", "m1", "b1", "a1"]


def test_an_input_may_be_a_url(live):
    path = live.folder / "a.csv"
    path.write_text("id,text\n1,hello\n")

    [row] = rows_of(live.call("start", "--input", path.as_uri(), *ASK, *WAIT), "start/1")

    assert row["outcomes"] == {"ok": 1}


def test_an_id_that_two_inputs_have_is_refused_with_both_rows(two):
    refused = two.call("start", *BOTH, *ASK)

    assert refused.exit_code == 1
    assert f"{two.folder}/orders.csv, row 1; {two.folder}/returns.jsonl, row 0" in refused.stderr
    assert "--namespace, once for each --input" in refused.stderr
    assert two.sandbox.state.executions()["requests_executed"] == 0
    assert rows_of(two.call("status", "-o", "json"), "status/1") == []


def test_what_was_refused_can_be_started_with_namespaces_under_the_same_name(two):
    two.call("start", *BOTH, *ASK)

    [row] = rows_of(
        two.call("start", *BOTH, "--namespace=o", "--namespace=r", *ASK, *WAIT), "start/1"
    )

    assert [each["item_id"] for each in results_of(row)] == ["o:1", "o:2", "r:2", "r:3"]
    assert row["inference"] == "orders_returns"


# What is asked, and what an answer must be


def test_a_template_and_a_system_message_may_be_files(live):
    live.write("a.csv", "id,text\n1,hello\n")
    live.write("user.j2", "Say {{ text }} again.")
    live.write("system.txt", "You repeat.")
    ask = ("--id-field=id", "--prompt-template=@user.j2", "--system=@system.txt", "--model=gpt-5")

    [row] = rows_of(live.call("plan", "--input", "a.csv", *ask, "-o", "json"), "plan/1")

    assert row["prompts"] == [
        {"item_id": "1", "prompt": "system: You repeat.\nuser: Say hello again."}
    ]


def test_an_answer_may_be_a_class_of_the_working_directory(live):
    live.write("a.csv", "id,text\n1,hello\n")
    live.write(
        "mood_of_start.py",
        "from pydantic import BaseModel\n\n\nclass Mood(BaseModel):\n    happy: bool\n",
    )
    of_class = ("--structured-output-class", "mood_of_start:Mood")

    [row] = rows_of(live.call("start", "--input", "a.csv", *ASK, *of_class, *WAIT), "start/1")

    assert isinstance(results_of(row)[0]["output"]["happy"], bool)


def test_an_answer_may_be_a_json_schema(live):
    live.write("a.csv", "id,text\n1,hello\n")
    schema = {
        "type": "object",
        "properties": {"score": {"type": "integer"}},
        "required": ["score"],
        "additionalProperties": False,
    }
    live.write("score.json", json.dumps(schema))
    of_schema = ("--schema", "score.json", "--schema-name", "scored")

    [row] = rows_of(live.call("start", "--input", "a.csv", *ASK, *of_schema, *WAIT), "start/1")

    assert isinstance(results_of(row)[0]["output"]["score"], int)
    [shard] = (live.store / "a").rglob("wave-0-shard-00000.jsonl")
    asked = json.loads(shard.read_text().splitlines()[0])["body"]["response_format"]
    assert asked["json_schema"]["name"] == "scored"


def test_an_answer_may_be_one_of_some_labels(live):
    live.write("a.csv", "id,text\n1,hello\n")

    [row] = rows_of(
        live.call("start", "--input", "a.csv", *ASK, "--labels", "good, bad", *WAIT), "start/1"
    )

    assert results_of(row)[0]["output"] in ("good", "bad")


def test_settings_go_to_the_model_as_json_and_rows_share_a_request(live):
    live.write("a.csv", "id,text\n" + "".join(f"{n},t{n}\n" for n in range(4)))
    more = ("--set", "seed=7", "--set", "user=me", "--rows-per-request", 2, "--labels", "a,b")

    live.call("start", "--input", "a.csv", *ASK, *more)

    [shard] = (live.store / "a").rglob("wave-0-shard-00000.jsonl")
    bodies = [json.loads(line)["body"] for line in shard.read_text().splitlines()]
    assert [(body["seed"], body["user"]) for body in bodies] == [(7, "me"), (7, "me")]


@pytest.mark.parametrize(
    "of_provider",
    [
        ("--provider=anthropic", "--model=claude-haiku-4-5", "--set=max_tokens=100"),
        ("--provider=gemini", "--model=gemini-2.5-flash"),
        ("--provider=openai_live", "--model=gpt-5-mini"),
    ],
)
def test_other_providers_are_asked_in_their_own_way(live, of_provider):
    live.write("a.csv", "id,text\n1,hello\n2,world\n")
    ask = ("--input=a.csv", "--id-field=id", "--prompt-field=text", "--labels=a,b")

    [row] = rows_of(live.call("start", *ask, *of_provider, *WAIT), "start/1")

    assert row["outcomes"] == {"ok": 2}


# Its life


def test_without_wait_it_sends_and_says_how_to_go_on(live):
    live.write("a.csv", "id,text\n1,hello\n")

    started = live.call("start", "--input", "a.csv", *ASK, "-o", "json")

    [row] = rows_of(started, "start/1")
    assert (row["fate"], row["open_batches"], row["results"]) == ("pending", 1, None)
    assert "--run-id a" in started.stderr
    assert "batch-assets wait a" in started.stderr


def test_given_again_it_goes_on_and_asks_nothing_twice(live):
    live.write("a.csv", "id,text\n1,hello\n2,world\n")
    command = ("start", "--input", "a.csv", *ASK, "--run-id", "mine")
    live.call(*command)

    [row] = rows_of(live.call(*command, *WAIT), "start/1")
    [again] = rows_of(live.call("start", "--run-id", "mine", *WAIT), "start/1")

    assert row["outcomes"] == again["outcomes"] == {"ok": 2}
    assert live.sandbox.state.executions()["requests_executed"] == 2


def test_of_an_input_that_grew_only_the_new_rows_are_asked(live):
    live.write("a.csv", "id,text\n1,hello\n")
    live.call("start", "--input", "a.csv", *ASK, *WAIT)
    live.write("a.csv", "id,text\n1,hello\n2,world\n")

    [row] = rows_of(live.call("start", "--input", "a.csv", *ASK, *WAIT), "start/1")

    assert row["outcomes"] == {"ok": 2}
    assert live.sandbox.state.executions()["max_executions_of_one_body"] == 1


def test_other_options_under_a_name_that_is_there_are_refused_with_what_differs(live):
    live.write("a.csv", "id,text\n1,hello\n")
    live.call("start", "--input", "a.csv", *ASK)

    refused = live.call(
        "start", "--input", "a.csv", "--id-field=id", "--prompt-field=id", "--model=gpt-5"
    )

    assert refused.exit_code == 2
    assert '--prompt-field is "text" there and "id" here' in refused.stderr
    assert '--model is "gpt-5-mini" there and "gpt-5" here' in refused.stderr
    assert "--id-field" not in refused.stderr


def test_a_name_of_another_inference_in_the_ledger_is_refused(live):
    live.write("a.csv", "id,text\n1,hello\n")
    ledger = Ledger.open(live.ledger_url)
    ledger.request_sets.open("glosses", "p", "d1", origin="a run")
    ledger.close()

    refused = live.call("start", "--input", "a.csv", *ASK, "--run-id", "glosses")

    assert refused.exit_code == 2
    assert "glosses that was not started here" in refused.stderr


def test_a_declaration_is_for_its_owner_alone(live):
    live.write("a.csv", "id,text\n1,hello\n")
    live.call("start", "--input", "a.csv", *ASK)

    kept = live.store / "started-inferences" / "a.json"

    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_declaration_that_was_changed_is_refused(live):
    live.write("a.csv", "id,text\n1,hello\n")
    live.call("start", "--input", "a.csv", *ASK)
    kept = live.store / "started-inferences" / "a.json"
    kept.write_text(kept.read_text().replace("gpt-5-mini", "gpt-5"))

    refused = live.call("start", "--run-id", "a")

    assert refused.exit_code == 1
    assert "started-inferences/a.json is not what was stored" in refused.stderr


def test_items_that_were_refused_end_it_with_4(live):
    live.write("a.csv", "id,text\n1,hello\n2,world\n")
    live.faults.items(Refusal(), containing="world")

    [row] = rows_of(live.call("start", "--input", "a.csv", *ASK, *WAIT), "start/1", code=4)

    assert row["outcomes"] == {"ok": 1, "refused": 1}


def test_a_wait_that_is_over_too_early_ends_it_with_7(live):
    live.write("a.csv", "id,text\n1,hello\n")
    live.sandbox.state.change_settings({"latency": 3600.0})

    ended = live.call("start", "--input", "a.csv", *ASK, *WAIT, "--timeout", 0)

    assert rows_of(ended, "start/1", code=7)[0]["fate"] == "pending"
    assert "batch-assets wait a" in ended.stderr


def test_nothing_is_sent_before_an_approval(live):
    live.write("a.csv", "id,text\n1,hello\n")
    command = ("start", "--input", "a.csv", *ASK, "--approval", *WAIT)

    waiting = live.call(*command)
    live.call("approve", "a", "--by", "ada")
    [row] = rows_of(live.call(*command), "start/1")

    assert rows_of(waiting, "start/1", code=5)[0]["open_batches"] == 0
    assert "batch-assets approve a" in waiting.stderr
    assert row["outcomes"] == {"ok": 1}


def test_a_dry_run_quotes_and_sends_nothing(live):
    live.write("a.csv", "id,text\n1,hello\n")

    [row] = rows_of(
        live.call("start", "--input", "a.csv", *ASK, "--dry-run", "-o", "json"), "plan/1"
    )

    assert row["requests_to_pay"] == 1
    assert rows_of(live.call("status", "-o", "json"), "status/1") == []
    assert not (live.store / "started-inferences").exists()


# Wrong use


A = ("--input", "a.csv")
ID, MODEL, FIELD = ("--id-field", "id"), ("--model", "gpt-5-mini"), ("--prompt-field", "text")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "give --input, --id-field, --model too"),
        ((*A, *MODEL, *FIELD), "give --id-field too"),
        ((*A, *ID, *MODEL), "either --prompt-field or --prompt-template"),
        ((*A, *ID, *MODEL, *FIELD, "--prompt-template", "{{ text }}"), "not both"),
        ((*A, *A, *ID, *MODEL, *FIELD), "--input a.csv is given twice"),
        ((*A, *ID, *MODEL, *FIELD, "--labels=a", "--schema=s.json"), "--schema and --labels"),
        ((*A, *ID, *MODEL, *FIELD, "--schema-name=s"), "there is none"),
        ((*A, *ID, *MODEL, *FIELD, "--schema=no.json"), "there is no file no.json"),
        ((*A, *ID, *MODEL, *FIELD, "--schema=a.csv"), "a.csv is no JSON"),
        ((*A, *ID, *MODEL, "--prompt-template=@no.j2"), "there is no file no.j2"),
        ((*A, *ID, *MODEL, "--prompt-template={{ text"), "template"),
        ((*A, *ID, *MODEL, "--prompt-template={{ txet }}"), "txet"),
        ((*A, *ID, *MODEL, "--prompt-template=hello"), "reads no field"),
        ((*A, "--id-field=uid", *MODEL, *FIELD), "no column 'uid'"),
        ((*A, *ID, *MODEL, *FIELD, "--structured-output-class=no.such:Thing"), "no.such"),
        ((*A, *ID, *MODEL, *FIELD, "--labels=a,a"), "given twice"),
        ((*A, *ID, *MODEL, *FIELD, "--set=seed"), "name=value"),
        ((*A, *ID, *MODEL, *FIELD, "--set=seed=1", "--set=seed=2"), "--set seed is given twice"),
        ((*A, *ID, *MODEL, *FIELD, "--set=temprature=1"), "temprature"),
        ((*A, *ID, *MODEL, *FIELD, "--rows-per-request=0"), "1 row at least"),
        ((*A, *ID, *MODEL, *FIELD, "--run-id=my run"), "letters, digits and underscores"),
        ((*A, *ID, *MODEL, *FIELD, "--namespace=a", "--namespace=b"), "one for each"),
        ((*A, *ID, *MODEL, *FIELD, "--namespace=a:b"), "namespace 'a:b'"),
        ((*A, *ID, *MODEL, *FIELD, "--provider=nobody"), "no such one"),
        ((*A, *ID, *MODEL, *FIELD, "--endpoint=chit"), "chit"),
        ((*A, *ID, *MODEL, *FIELD, "--timeout=3"), "are for --wait"),
        ((*A, *ID, *MODEL, *FIELD, "--dry-run", "--wait"), "nothing to --wait for"),
        (("--input=no.csv", *ID, *MODEL, *FIELD), "there is no file or folder no.csv"),
        (("--run-id", "nothing"), "nothing was started here as nothing"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_wrong_use_is_one_clear_line_and_nothing_is_written(live, given, said):
    live.write("a.csv", "id,text\n1,hello\n")

    refused = live.call("start", *given)

    [line] = refused.stderr.splitlines()
    assert line.startswith("Error: ")
    assert said in line
    assert refused.exit_code == (3 if "there is no file" in said or "nothing was" in said else 2)
    assert refused.stdout == ""
    assert not (live.folder / "home").exists()


def test_without_a_key_nothing_is_written(live, monkeypatch):
    live.write("a.csv", "id,text\n1,hello\n")
    monkeypatch.setenv("BATCH_ASSETS_DEPLOYMENT", "local")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    refused = live.call("start", "--input", "a.csv", *ASK)

    assert refused.exit_code == 6
    assert refused.stderr == (
        "Error: there is no key for openai: set OPENAI_API_KEY; nothing was sent\n"
    )
    assert not (live.folder / "home").exists()


def test_a_provider_that_cannot_be_reached_ends_it_with_6_and_later_it_goes_on(
    live, monkeypatch, closed_port
):
    live.write("a.csv", "id,text\n1,hello\n")
    with monkeypatch.context() as away:
        away.setenv("BATCH_ASSETS_SANDBOX_URL", f"http://127.0.0.1:{closed_port}/v1")
        refused = live.call("start", "--input", "a.csv", *ASK)

    [row] = rows_of(live.call("start", "--input", "a.csv", *ASK, *WAIT), "start/1")

    assert refused.exit_code == 6
    assert row["outcomes"] == {"ok": 1}
