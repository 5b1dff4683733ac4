"""The sandbox as other servers: what each wire does otherwise than OpenAI's, seen over HTTP."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest

from batch_assets.sandbox import ManualClock, RunningSandbox, ScriptedFaults, ServerError
from batch_assets.sandbox import running_sandbox as started
from batch_assets.sandbox.compatible_oddities import Oddities
from batch_assets.sandbox.compatible_wire import COMPATIBLE

ENDPOINT = "/v1/chat/completions"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def faults() -> ScriptedFaults:
    return ScriptedFaults()


@pytest.fixture
def sandbox(clock: ManualClock, faults: ScriptedFaults) -> Iterator[RunningSandbox]:
    with started(clock=clock, faults=faults, latency=100.0) as running:
        yield running


@pytest.fixture
def client(sandbox: RunningSandbox) -> Iterator[Callable[[str], httpx2.Client]]:
    """Of a server, by its path."""
    made: list[httpx2.Client] = []

    def make(path: str, **headers: str) -> httpx2.Client:
        key = {"authorization": "Bearer somebody"}
        made.append(httpx2.Client(base_url=sandbox.origin + path, headers=key | headers))
        return made[-1]

    yield make
    for each in made:
        each.close()


def a_line(number: int = 0, url: str = ENDPOINT) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": f"Word: oak {number}"}]}
    return {"custom_id": f"r-{number}", "method": "POST", "url": url, "body": body}


def content(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines or [a_line()])


def uploaded(client: httpx2.Client, lines: bytes = content(), **form: str) -> httpx2.Response:
    path = form.pop("path", "/files")
    return client.post(path, data={"purpose": "batch", **form}, files={"file": ("a.jsonl", lines)})


def created(client: httpx2.Client, file_id: str, **order: Any) -> httpx2.Response:
    body = {"input_file_id": file_id, "endpoint": ENDPOINT, "completion_window": "24h"}
    return client.post("/batches", json=body | order)


def a_batch(client: httpx2.Client, **order: Any) -> dict[str, Any]:
    batch: dict[str, Any] = created(client, uploaded(client).json()["id"], **order).json()
    return batch


def test_a_wire_shows_neither_batches_nor_files_of_another(sandbox, client):
    groq, deepinfra = client("/groq/openai/v1"), client("/deepinfra/v1/openai")
    batch = a_batch(groq)

    assert deepinfra.get("/batches").json()["data"] == []
    assert deepinfra.get("/files").json()["data"] == []
    assert deepinfra.get(f"/batches/{batch['id']}").status_code == 404
    assert deepinfra.get(f"/files/{batch['input_file_id']}").status_code == 404
    assert groq.get(f"/batches/{batch['id']}").status_code == 200


@pytest.mark.parametrize("wire", [wire for wire in COMPATIBLE if wire.name != "azure-2024-10-21"])
def test_keys_that_begin_as_wrong_are_refused_everywhere(client, wire):
    path = wire.prefix + ("/proj_1/v1" if wire.name == "xerotier" else "")
    wrong = client(path, authorization="Bearer sk-wrong")

    assert wrong.get("/batches").status_code == 401


def test_one_script_of_faults_is_for_all(client, faults):
    faults.calls("batches.list", ServerError())

    assert client("/together/v1").get("/batches").status_code == 500
    assert client("/together/v1").get("/batches").status_code == 200


def test_together_takes_uploads_at_a_route_and_for_a_purpose_of_its_own(client):
    together = client("/together/v1")
    ours = {"path": "/files/upload", "purpose": "batch-api", "file_name": "b.jsonl"}

    assert uploaded(together).status_code == 405
    assert uploaded(together, path="/files/upload").status_code == 400
    assert uploaded(together, **{**ours, "file_name": ""}).status_code == 400
    assert uploaded(together, **ours).json()["filename"] == "b.jsonl"


def test_together_takes_equal_files_for_one(client):
    together = client("/together/v1")
    ours = {"path": "/files/upload", "purpose": "batch-api", "file_name": "b.jsonl"}

    first, second = uploaded(together, **ours), uploaded(together, **ours)

    assert (second.status_code, second.json()["file_id"]) == (409, first.json()["id"])


def test_together_shows_batches_in_its_own_way(client, clock):
    together = client("/together/v1")
    ours = {"path": "/files/upload", "purpose": "batch-api", "file_name": "b.jsonl"}
    file_id = uploaded(together, **ours).json()["id"]

    assert created(together, file_id, metadata={"a": "b"}).status_code == 400
    batch = created(together, file_id).json()["job"]
    clock.advance(100)
    [listed] = together.get("/batches").json()

    assert (batch["status"], listed["status"], listed["progress"]) == (
        "VALIDATING",
        "COMPLETED",
        100.0,
    )
    assert listed["created_at"].endswith("Z")
    assert not listed.keys() & {"metadata", "request_counts", "usage"}


@pytest.mark.parametrize(("window", "status"), [("24h", 200), ("7d", 200), ("8d", 400), ("x", 400)])
def test_groq_takes_windows_of_a_day_to_a_week(client, window, status):
    groq = client("/groq/openai/v1")

    found = created(groq, uploaded(groq).json()["id"], completion_window=window)

    assert found.status_code == status


def test_azures_older_api_wants_a_version_and_a_key_of_its_own(client):
    bearer = client("/azure/openai")
    own = client("/azure/openai", **{"api-key": "somebody"})

    assert bearer.get("/batches?api-version=2024-10-21").status_code == 401
    assert own.get("/batches").status_code == 404
    assert own.get("/batches?api-version=2024-10-21").json()["data"] == []


def test_azures_older_api_spells_urls_without_v1(client, clock):
    azure = httpx2.QueryParams({"api-version": "2024-10-21"})
    own = client("/azure/openai", **{"api-key": "somebody"})
    own.params = azure
    file_id = uploaded(own, content(a_line(url="/chat/completions"))).json()["id"]
    clock.advance(10)

    assert created(own, file_id).status_code == 400
    batch = created(own, file_id, endpoint="/chat/completions").json()
    clock.advance(100)
    ended = own.get(f"/batches/{batch['id']}").json()

    assert (ended["status"], ended["endpoint"]) == ("completed", "/chat/completions")
    assert ended["input_file_id"] == file_id


def test_azure_refuses_a_batch_of_a_file_that_it_still_reads(client, clock):
    azure = client("/azure/openai/v1")
    file = uploaded(azure).json()

    assert azure.get(f"/files/{file['id']}").json()["status"] == "pending"
    assert created(azure, file["id"]).status_code == 400
    clock.advance(7)
    assert azure.get(f"/files/{file['id']}").json()["status"] == "processed"
    assert created(azure, file["id"]).status_code == 200


def test_a_file_that_is_too_large_for_xerotier_fails_when_it_is_validated(client, clock, sandbox):
    oddities = Oddities(max_batch_bytes=50)
    sandbox.state.change_settings({"compatible": oddities})
    server = client("/compatible/v1")

    batch = a_batch(server)
    clock.advance(100)

    assert server.get(f"/batches/{batch['id']}").json()["status"] == "failed"


def test_a_list_in_no_order_has_each_batch_once(client):
    xerotier = client("/xerotier/proj_1/my-endpoint/v1")
    ids = {a_batch(xerotier)["id"] for _ in range(25)}
    pages, after = [], None
    while True:
        query = {"limit": 10, **({"after": after} if after else {})}
        page = xerotier.get("/batches", params=query).json()
        pages += [batch["id"] for batch in page["data"]]
        if not page["has_more"]:
            break
        after = page["last_id"]

    assert (len(pages), set(pages)) == (25, ids)


def test_metadata_of_xerotier_may_be_long_and_not_too_long(client):
    xerotier = client("/xerotier/proj_1/v1")
    file_id = uploaded(xerotier).json()["id"]

    assert created(xerotier, file_id, metadata={"a": "x" * 16_000}).status_code == 200
    assert created(xerotier, file_id, metadata={"a": "x" * 16_384}).status_code == 400


def test_oddities_of_the_sandbox_are_set_over_http(sandbox, client, clock):
    chosen = {"compatible": {"statuses": "upper", "errors": "list", "text_bodies": True}}
    httpx2.post(f"{sandbox.control_url}/settings", json=chosen).raise_for_status()
    server = client("/compatible/v1")

    batch = a_batch(server)
    clock.advance(100)
    ended = server.get(f"/batches/{batch['id']}").json()
    [line] = server.get(f"/files/{ended['output_file_id']}/content").text.splitlines()

    assert (ended["status"], ended["errors"]) == ("COMPLETED", [])
    assert isinstance(json.loads(line)["response"]["body"], str)


def test_an_oddity_that_there_is_not_is_refused(sandbox):
    found = httpx2.post(f"{sandbox.control_url}/settings", json={"compatible": {"colour": "red"}})

    assert found.status_code == 400


def test_openais_sdk_works_on_every_wire_that_needs_no_more(sandbox, clock):
    with openai.OpenAI(api_key="any", base_url=f"{sandbox.origin}/deepinfra/v1/openai") as client:
        file = client.files.create(file=("a.jsonl", content()), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h"
        )
        clock.advance(100)

        assert client.batches.retrieve(batch.id).request_counts.completed == 1
