"""Cutting and hanging under both of uvicorn's HTTP implementations, and the end of the server."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from batch_assets.sandbox import (
    ConnectionCut,
    HalfDownload,
    Hang,
    LostReply,
    RateLimited,
    ScriptedFaults,
    TruncatedDownload,
    create_app,
    running_sandbox,
)
from batch_assets.sandbox.connection import cuttable
from batch_assets.sandbox.thread import served

SERVER = """
import sys, pathlib
from batch_assets.sandbox import serve
serve("127.0.0.1", 0, pathlib.Path(sys.argv[1]))
"""
HANG = {"calls": [{"route": "models.list", "fault": {"kind": "hang"}}]}


@pytest.fixture
def script():
    return ScriptedFaults()


@pytest.fixture(params=[H11Protocol, HttpToolsProtocol])
def client(request, script, tmp_path):
    """The SDK in front of a sandbox that speaks HTTP by one of uvicorn's two implementations."""
    app = create_app(tmp_path, faults=script)
    with (
        served(app, cuttable(request.param)) as origin,
        openai.OpenAI(api_key="k", base_url=f"{origin}/v1", max_retries=0) as client,
    ):
        yield client


@pytest.mark.parametrize("fault", [LostReply(), ConnectionCut()])
def test_a_cut_connection_has_no_answer(script, client, fault):
    script.calls("batches.list", fault)
    with pytest.raises(openai.APIConnectionError) as cut:
        client.batches.list()
    assert "Server disconnected without sending a response" in str(cut.value.__cause__)
    assert client.batches.list().data == []


def test_a_hanging_call_ends_with_its_client(script, client):
    script.calls("batches.list", Hang())
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).batches.list()
    assert client.batches.list().data == []


def test_a_truncated_body_breaks_off(script, client):
    script.calls("models.list", TruncatedDownload())
    with pytest.raises(openai.APIConnectionError) as cut:
        client.models.list()
    assert "peer closed connection" in str(cut.value.__cause__)
    assert client.models.list().data


def test_a_half_body_ends_as_if_it_were_whole(script, client):
    script.calls("models.list", HalfDownload())
    with pytest.raises(json.JSONDecodeError):
        client.models.list()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (RateLimited(), openai.RateLimitError),
        (ConnectionCut(), openai.APIConnectionError),
        (LostReply(), openai.APIConnectionError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_large_upload_meets_its_fault_too(script, client, fault, error):
    lines = io.BytesIO(b"x" * 5_000_000)
    script.calls("files.create", fault)
    with pytest.raises(error):
        client.files.create(file=("in.jsonl", lines), purpose="batch")
    assert len(client.files.list().data) == isinstance(fault, LostReply)


@pytest.mark.parametrize("work_done", [False, True])
def test_a_server_that_stops_cuts_what_hangs(work_done):
    reached = threading.Event()

    class Telling(ScriptedFaults):
        def on_call(self, route):
            reached.set()
            return Hang(work_done)

    threads = set(threading.enumerate())
    with ThreadPoolExecutor(1) as pool:
        with running_sandbox(faults=Telling()) as sandbox:
            call = urllib.request.Request(
                f"{sandbox.base_url}/models", headers={"authorization": "Bearer k"}
            )
            hanging = pool.submit(urllib.request.urlopen, call)
            assert reached.wait(10)
        assert isinstance(hanging.exception(10), ConnectionError)
    left = set(threading.enumerate()) - threads
    for thread in left:
        thread.join(10)
    assert not any(thread.is_alive() for thread in left)


def test_a_sandbox_in_a_process_of_its_own_stops_though_a_call_hangs(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with process, ThreadPoolExecutor(1) as pool:
        origin = next(
            found[0] for said in process.stderr if (found := re.search(r"http://[\d.:]+", said))
        )
        script = json.dumps(HANG).encode()
        urllib.request.urlopen(f"{origin}/sandbox/faults", data=script).close()
        call = urllib.request.Request(f"{origin}/v1/models", headers={"authorization": "Bearer k"})
        hanging = pool.submit(urllib.request.urlopen, call)
        while not _shown(f"{origin}/sandbox/faults")["calls"][0]["hits"]:
            pass
        process.send_signal(signal.SIGTERM)
        assert isinstance(hanging.exception(10), ConnectionError)
        process.communicate(timeout=10)


def _shown(url):
    with urllib.request.urlopen(url) as reply:
        return json.load(reply)
