"""Who is hit and how often, and scripts from another process."""

import json
import typing
import urllib.error
import urllib.request

import msgspec
import openai
import pytest

from batch_assets.sandbox import (
    Answer,
    Faults,
    ItemError,
    LostReply,
    MissingLine,
    NotJson,
    Refusal,
    ServerError,
    running_sandbox,
)
from batch_assets.sandbox.batch_faults import AnyBatchFault, BatchFault
from batch_assets.sandbox.call_faults import AnyCallFault, CallFault
from batch_assets.sandbox.fault_script import RouteName
from batch_assets.sandbox.item_faults import AnyItemFault, ItemFault
from batch_assets.sandbox.openai_wire import ROUTES


@pytest.fixture
def failed(submit, finish, lines_of):
    """The custom_ids that are in the error file of a batch."""

    def make(requests):
        batch = finish(submit(requests))
        return sorted(line["custom_id"] for line in lines_of(batch.error_file_id))

    return make


def call(method, url, changes=None):
    data = None if changes is None else json.dumps(changes).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data=data, method=method)
        ) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_an_item_is_hit_by_its_custom_id(faults, failed, some_requests):
    faults.items(ItemError(500), custom_id="r1")
    assert failed(some_requests(12)) == ["r1"]


def test_an_item_is_hit_by_what_its_prompt_contains(faults, failed, a_request):
    faults.items(ItemError(500), containing="naïve “oak”")
    requests = [a_request("a", "The naïve “oak” grows"), a_request("b", "The naïve elm")]
    assert failed(requests) == ["a"]


def test_an_item_is_hit_by_a_predicate_over_its_body(faults, failed, a_request):
    faults.items(ItemError(500), where=lambda body: body.get("temperature") == 0)
    assert failed([a_request("a", temperature=0), a_request("b", temperature=1)]) == ["a"]


def test_about_a_share_of_the_items_is_hit_and_always_the_same(faults, failed, some_requests):
    faults.items(ItemError(500), share=0.2)
    first = failed(some_requests(500))
    assert 70 <= len(first) <= 130
    assert failed(some_requests(500)) == first


def test_an_item_is_hit_only_by_a_rule_that_wholly_applies(faults, failed, some_requests):
    faults.items(ItemError(500), custom_id="r1", containing="oak 1")
    faults.items(ItemError(500), custom_id="r2", containing="oak 3")
    assert failed(some_requests(4)) == ["r1"]


def test_each_item_is_hit_as_often_as_the_script_says(faults, failed, some_requests):
    fault = faults.items(ItemError(500), times=2)
    assert failed(some_requests(2)) == failed(some_requests(2)) == ["r0", "r1"]
    assert failed(some_requests(2)) == []
    assert fault.hits == 4


def test_an_item_may_be_hit_later_only(faults, failed, some_requests):
    faults.items(ItemError(500), after=1, times=1)
    seen = [failed(some_requests(1)) for _ in range(3)]
    assert seen == [[], ["r0"], []]


def test_the_first_rule_for_an_item_has_it(faults, ask):
    first, second = faults.items(NotJson("first"), times=1), faults.items(Answer("second"))
    texts = [ask()["response"]["body"]["choices"][0]["message"]["content"] for _ in range(2)]
    assert texts == ["first", "second"]
    assert (first.hits, second.hits) == (1, 1)


def test_an_item_that_is_asked_again_was_executed_twice(faults, sandbox, failed, a_request):
    faults.items(MissingLine(), times=1)
    again = [a_request("r1"), a_request("r1", "Another")]
    failed(again[:1])
    failed(again[:1])
    failed(again[1:])
    assert sandbox.state.executions_of("r1") == 3
    assert sandbox.state.executions_of_body(again[0]["body"]) == 2
    assert call("GET", f"{sandbox.control_url}/executions/custom_ids") == (200, {"r1": 3})


def test_a_script_comes_from_another_process(faults, sandbox, client, ask):
    script = {
        "calls": [{"route": "batches.list", "fault": {"kind": "server_error", "status": 503}}],
        "batches": [{"faults": [{"kind": "lying_counts", "failed": 7}], "times": None}],
        "items": [{"fault": {"kind": "refusal"}, "custom_id": "r1"}],
    }
    status, shown = call("POST", f"{sandbox.control_url}/faults", script)
    assert (status, [rule["hits"] for rule in shown["calls"]]) == (200, [0])
    assert ask(custom_id="r1")["response"]["body"]["choices"][0]["message"]["refusal"]
    with pytest.raises(openai.InternalServerError):
        client.batches.list()
    [batch] = client.batches.list().data
    assert batch.request_counts.failed == 7
    _, shown = call("GET", f"{sandbox.control_url}/faults")
    assert [shown[kind][0]["hits"] for kind in ("calls", "batches", "items")] == [1, 1, 1]
    assert shown["calls"][0]["fault"] == {
        "kind": "server_error",
        "status": 503,
        "work_done": False,
    }
    assert shown["called"]["batches.list"] == 2


def test_a_script_is_cleared_from_another_process(faults, sandbox, client):
    faults.calls("batches.list", ServerError(), times=None)
    status, shown = call("DELETE", f"{sandbox.control_url}/faults")
    assert (status, shown) == (200, {"calls": [], "batches": [], "items": [], "called": {}})
    assert client.batches.list().data == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"calls": [{"route": "batches.make", "fault": {"kind": "lost_reply"}}]},
        {"calls": [{"route": "sandbox.reset", "fault": {"kind": "lost_reply"}}]},
        {"calls": [{"route": "*", "fault": {"kind": "earthquake"}}]},
        {"calls": [{"route": "*", "fault": {"kind": "lost_reply"}, "times": 0}]},
        {"calls": [{"route": "*", "fault": {"kind": "lost_reply", "share": 1}}]},
        {"batches": [{"faults": []}]},
        {"batches": [{"faults": [{"kind": "expires", "at": 1.5}]}]},
        {"items": [{"fault": {"kind": "refusal"}, "contains": "oak"}]},
        {"routes": []},
    ],
    ids=json.dumps,
)
def test_a_script_that_makes_no_sense_is_refused_as_a_whole(faults, sandbox, wrong):
    good = {"calls": [{"route": "*", "fault": {"kind": "lost_reply"}}]}
    merged = good | wrong | {"calls": good["calls"] + wrong.get("calls", [])}
    status, body = call("POST", f"{sandbox.control_url}/faults", merged)
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert faults.to_json()["calls"] == []


def test_a_wrong_rule_is_refused_where_it_is_written(faults):
    with pytest.raises(msgspec.ValidationError, match="Invalid enum value"):
        faults.calls("batches.make", LostReply())
    with pytest.raises(msgspec.ValidationError, match="<= 1"):
        faults.items(Refusal(), share=2)


def test_a_reset_forgets_the_script(faults, sandbox, client):
    faults.calls("batches.list", ServerError(), times=None)
    call("POST", f"{sandbox.control_url}/reset", {})
    assert client.batches.list().data == []


def test_a_sandbox_without_faults_of_its_own_takes_a_script():
    with running_sandbox() as running:
        assert call("GET", f"{running.control_url}/faults")[0] == 200


def test_a_sandbox_with_faults_of_its_own_takes_no_script():
    with running_sandbox(faults=Faults()) as running:
        assert call("GET", f"{running.control_url}/faults")[0] == 409


def test_every_route_of_the_provider_can_be_named():
    of_the_provider = {name.partition(":")[0] for name in ROUTES}
    assert set(typing.get_args(RouteName)) - {"*"} == of_the_provider


@pytest.mark.parametrize(
    ("union", "base"),
    [(AnyCallFault, CallFault), (AnyBatchFault, BatchFault), (AnyItemFault, ItemFault)],
)
def test_every_fault_can_be_written_as_json(union, base):
    def kinds(kind):
        return {kind, *(inner for direct in kind.__subclasses__() for inner in kinds(direct))}

    ours = {kind for kind in kinds(base) - {base} if kind.__module__ == base.__module__}
    public = {kind for kind in ours if not kind.__name__.startswith("_")}
    assert set(typing.get_args(union)) == public
