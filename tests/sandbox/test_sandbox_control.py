"""Who may call, what the sandbox counts, and what it keeps."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from batch_assets.sandbox import Faults, ManualClock, running_sandbox

SERVER = """
import sys, pathlib
from batch_assets.sandbox import serve
serve("127.0.0.1", 0, pathlib.Path(sys.argv[1]), latency=0.0)
"""


ORDER = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}


def client_of(running):
    return openai.OpenAI(api_key="sk-test", base_url=running.base_url, max_retries=0)


def call(url, changes=None):
    """The status code and the JSON body, without an SDK and without a key."""
    data = json.dumps(changes).encode() if changes is not None else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data)) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


@pytest.mark.parametrize("key", ["sk-wrong", "sk-wrong-0123456789"])
def test_a_wrong_key_is_refused_and_not_shown(sandbox, key):
    client = openai.OpenAI(api_key=key, base_url=sandbox.base_url, max_retries=0)
    with client, pytest.raises(openai.AuthenticationError) as refused:
        client.batches.list()
    assert refused.value.body["code"] == "invalid_api_key"
    assert refused.value.body["type"] == "invalid_request_error"
    assert refused.value.body["param"] is None
    assert "sk-wrong-0123456789" not in str(refused.value)


def test_a_missing_key_is_refused(sandbox):
    status_code, body = call(f"{sandbox.base_url}/batches")
    assert (status_code, body["error"]["code"]) == (401, "invalid_api_key")


def test_every_response_has_a_request_id(client):
    first, second = client.models.with_raw_response.list(), client.models.with_raw_response.list()
    assert first.headers["x-request-id"].startswith("req_")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    with pytest.raises(openai.NotFoundError) as missing:
        client.batches.retrieve("batch_unknown")
    assert missing.value.request_id.startswith("req_")


def test_models_are_listed(client):
    assert "gpt-4.1-mini" in [model.id for model in client.models.list()]


def test_an_unknown_route_is_refused_in_the_shape_of_the_api(client):
    with pytest.raises(openai.NotFoundError, match=r"Invalid URL \(GET /v1/unknown\)"):
        client.get("/unknown", cast_to=object)


def test_the_sandbox_says_that_it_is_there(sandbox):
    assert call(f"{sandbox.control_url}/health") == (200, {"status": "ok"})


def test_each_request_is_executed_once_however_often_one_looks(
    sandbox, client, submit, finish, some_requests
):
    batch = finish(submit(some_requests(10)))
    client.batches.retrieve(batch.id)
    client.batches.list()
    status_code, counted = call(f"{sandbox.control_url}/executions")
    assert status_code == 200
    assert counted == {
        "requests_executed": 10,
        "distinct_bodies": 10,
        "max_executions_of_one_body": 1,
        "bodies_executed_more_than_once": 0,
        "batches_created": 1,
        "files_uploaded": 1,
    }


def test_a_batch_is_executed_once_by_all_who_look_at_the_same_time(
    sandbox, client, submit, some_requests, clock
):
    batch = submit(some_requests(200))
    clock.advance(1000)
    with ThreadPoolExecutor(8) as pool:
        looks = list(pool.map(client.batches.retrieve, [batch.id] * 8))
    assert {look.request_counts.completed for look in looks} == {200}
    assert sandbox.state.executions()["requests_executed"] == 200


def test_a_request_bought_twice_is_noticed(sandbox, submit, finish, a_request):
    body = {"temperature": 0, "seed": 1}
    again = {"seed": 1, "temperature": 0}
    finish(submit([a_request("a", **body), a_request("b")]))
    finish(submit([a_request("c", **again)]))
    counted = sandbox.state.executions()
    assert counted["requests_executed"] == 3
    assert counted["max_executions_of_one_body"] == 2
    assert counted["bodies_executed_more_than_once"] == 1
    assert sandbox.state.executions_of("a") == sandbox.state.executions_of("c") == 1


def test_a_request_without_an_answer_is_not_an_execution(
    sandbox, client, submit, a_request, some_requests, clock
):
    batch = submit([*some_requests(10), a_request("bad", creativity=1)])
    clock.advance(500)
    client.batches.cancel(batch.id)
    clock.advance(60)
    batch = client.batches.retrieve(batch.id)
    executed = sandbox.state.executions()["requests_executed"]
    assert executed == batch.request_counts.completed
    assert executed + batch.request_counts.failed == 5


def test_a_reset_forgets_everything(sandbox, client, submit, finish, some_requests):
    finish(submit(some_requests(2)))
    status_code, counted = call(f"{sandbox.control_url}/reset", {})
    assert (status_code, set(counted.values())) == (200, {0})
    assert client.batches.list().data == []
    assert client.files.list().data == []


def test_settings_can_be_changed_while_it_runs(sandbox, submit, some_requests):
    _, settings = call(f"{sandbox.control_url}/settings", {"latency": 0})
    assert (settings["latency"], settings["cancel_delay"]) == (0, 60)
    assert submit(some_requests(1)).status == "completed"


@pytest.mark.parametrize("changes", [{"latency": -1}, {"latency": "slow"}, {"colour": "red"}])
def test_settings_that_make_no_sense_are_refused(sandbox, changes):
    status_code, body = call(f"{sandbox.control_url}/settings", changes)
    assert (status_code, body["error"]["type"]) == (400, "invalid_request_error")
    assert sandbox.state.settings.latency == 1000


def test_a_restart_keeps_files_batches_and_counts(tmp_path, a_request):
    clock = ManualClock()
    line = json.dumps(a_request()).encode()
    with running_sandbox(tmp_path, clock=clock, latency=100.0) as first, client_of(first) as client:
        file = client.files.create(file=("in.jsonl", line), purpose="batch")
        done = client.batches.create(input_file_id=file.id, **ORDER)
        clock.advance(100)
        done = client.batches.retrieve(done.id)
        waiting = client.batches.create(input_file_id=file.id, **ORDER)
    clock.advance(100)
    with running_sandbox(tmp_path, clock=clock) as second, client_of(second) as client:
        assert client.files.retrieve(file.id) == file
        assert client.batches.retrieve(done.id) == done
        assert client.batches.retrieve(waiting.id).status == "completed"
        assert second.state.executions()["requests_executed"] == 2


def test_a_killed_server_loses_nothing_it_answered(tmp_path, a_request):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        port = next(
            found[1] for said in process.stderr if (found := re.search(r"127\.0\.0\.1:(\d+)", said))
        )
        with openai.OpenAI(
            api_key="sk-test", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0
        ) as client:
            line = json.dumps(a_request()).encode()
            file = client.files.create(file=("in.jsonl", line), purpose="batch")
            batch = client.batches.create(input_file_id=file.id, **ORDER)
        process.send_signal(signal.SIGKILL)
    with running_sandbox(tmp_path) as restarted, client_of(restarted) as client:
        assert client.batches.retrieve(batch.id) == batch
        assert client.files.content(batch.output_file_id).content
        assert restarted.state.executions()["max_executions_of_one_body"] == 1


def test_faults_are_asked_at_every_route_and_item(tmp_path, a_request):
    asked = []

    class Listening(Faults):
        def on_route(self, route):
            asked.append(route)

        def on_item(self, batch_id, custom_id):
            asked.append(custom_id)

    with running_sandbox(tmp_path, faults=Listening(), latency=0.0) as running:
        line = json.dumps(a_request("r1")).encode()
        with client_of(running) as client:
            file = client.files.create(file=("in.jsonl", line), purpose="batch")
            client.batches.create(input_file_id=file.id, **ORDER)
    assert asked == ["files.create", "batches.create", "r1"]


def test_importing_the_sandbox_does_not_import_a_server():
    check = "import sys, batch_assets.sandbox; print('starlette' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    said = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, env=environment, check=True
    )
    assert said.stdout == "False\n"
