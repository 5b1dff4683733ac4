"""Ready-made request files from the folder to the results, over HTTP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import openai
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import batch_assets as ba
from batch_assets.corpus.request_files import RequestFileCorpus
from batch_assets.files.layout import results_path

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"


def a_chat_body(text: str) -> str:
    """As another program writes it: spaces, an order and an escape of its own."""
    message = f'{{"role": "user", "content": "{text}, h\\u00e4user 🏘"}}'
    return f'{{ "messages": [{message}],  "model":"gpt-4.1-mini", "temperature": 1.0 }}'


def an_embedding_body(text: str) -> str:
    return f'{{"input":"{text}" , "model":"text-embedding-3-small","dimensions":8}}'


def a_line(custom_id: str, body: str, url: str = CHAT) -> str:
    return f'{{"custom_id":"{custom_id}","method":"POST","url":"{url}","body":{body}}}'


def write(world: Any, key: str, lines: Sequence[str]) -> Path:
    path = world.folder / "requests" / f"{key}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def declare(world: Any, **over: Any) -> RequestFileCorpus:
    corpus = RequestFileCorpus(path=str(world.folder / "requests"), **over)
    world.declare(ba.Inference(name="words", corpus=corpus))
    return corpus


def uploaded(world: Any) -> list[str]:
    """The bodies of all requests that the provider has, as they came over the wire."""
    with openai.OpenAI(api_key="sk-test", base_url=world.sandbox.base_url) as client:
        ids = [client.batches.retrieve(str(b.provider_id)) for b in world.ledger.batches()]
        contents = [client.files.content(batch.input_file_id).text for batch in ids]
    return [line.split('"body":', 1)[1][:-1] for text in contents for line in text.splitlines()]


def failure(result: dg.ExecuteInProcessResult) -> str:
    [failed] = [event for event in result.all_events if event.is_step_failure]
    return str(failed.step_failure_data.user_failure_data.description)


def discover(world: Any) -> list[str | None]:
    """A tick of the discovery sensor and its runs: the partition of each."""
    sensor = world.defs.resolve_sensor_def("words_discovery")
    with dg.build_sensor_context(
        instance=world.instance, definitions=world.defs, resources=dict(world.defs.resources or {})
    ) as context:
        requests = sensor.evaluate_tick(context).run_requests
    for request in requests:
        # In this process Dagster finds a dynamic partition by its tag only.
        launched = dg.RunRequest(job_name=request.job_name, tags=request.tags)
        assert world.launch(launched).success
    return [request.partition_key for request in requests]


def results(world: Any, partition: str) -> pa.Table:
    """The partition's results."""
    return pq.read_table(world.folder / "files" / results_path("words", partition))


@pytest.mark.parametrize(
    ("url", "body"), [(CHAT, a_chat_body), (EMBEDDINGS, an_embedding_body)], ids=["chat", "vectors"]
)
def test_bodies_are_sent_byte_for_byte(world, url, body):
    bodies = [body(f"oak {number}") for number in range(3)]
    write(world, "a", [a_line(f"r/{n}", each, url) for n, each in enumerate(bodies)])
    declare(world)

    result = world.run("requests", "batches", partition="a")

    assert result.success
    assert uploaded(world) == bodies
    [batch] = world.ledger.batches()
    assert batch.endpoint == url


def test_chat_requests_have_their_answers_by_custom_id(world):
    lines = [a_line(f"a request: {n}", a_chat_body(f"oak {n}")) for n in range(3)]
    write(world, "a", lines)
    declare(world)

    world.run("requests", "batches", partition="a")
    [collecting] = world.collect()

    assert collecting.success
    found = results(world, "a")
    assert found["item_id"].to_pylist() == ["a request: 0", "a request: 1", "a request: 2"]
    assert set(found["outcome"].to_pylist()) == {"ok"}
    assert all(found["output"].to_pylist())


def test_embeddings_come_as_vectors_of_the_size_that_was_asked_for(world):
    write(world, "a", [a_line(f"r-{n}", an_embedding_body(f"{n}"), EMBEDDINGS) for n in range(3)])
    declare(world)

    world.run("requests", "batches", partition="a")
    [collecting] = world.collect()

    assert collecting.success, failure(collecting)
    found = results(world, "a")
    assert set(found["outcome"].to_pylist()) == {"ok"}
    assert [len(vector) for vector in found["output"].to_pylist()] == [8, 8, 8]


def test_vectors_of_two_lengths_are_refused_before_anything_is_sent(world):
    bodies = [an_embedding_body("oak"), an_embedding_body("elm").replace(":8}", ":16}")]
    write(world, "a", [a_line(f"r-{n}", body, EMBEDDINGS) for n, body in enumerate(bodies)])
    declare(world)

    result = world.run("requests", "batches", partition="a")

    assert "line 2: url and model are /v1/embeddings" in failure(result)
    assert "16 dimensions" in failure(result)
    assert world.sent() == 0


BAD = {
    "blank": ("", "the line is blank"),
    "no json": ('{"custom_id": "r-1", ', "line 2"),
    "equal ids": (a_line("r-0", a_chat_body("elm")), "r-0"),
    "another url": (a_line("r-1", a_chat_body("elm"), EMBEDDINGS), EMBEDDINGS),
    "another model": (a_line("r-1", a_chat_body("elm").replace("mini", "nano")), "gpt-4.1-nano"),
}


@pytest.mark.parametrize(("line", "said"), BAD.values(), ids=BAD)
def test_a_bad_line_is_refused_with_its_file_before_anything_is_sent(world, line, said):
    write(world, "a", [a_line("r-0", a_chat_body("oak"))])
    path = write(world, "b", [a_line("r-0", a_chat_body("oak")), line])
    declare(world)

    result = world.run("requests", "batches", partition="b")

    assert not result.success
    assert str(path) in failure(result)
    assert said in failure(result)
    assert world.sent() == 0


def test_a_bad_file_of_many_fails_alone(world):
    for key in ("a", "b", "c"):
        write(world, key, [a_line("r-0", a_chat_body(key))])
    write(world, "b", ["no request"])
    declare(world)

    result = world.run("requests", "batches", between=("a", "c"))
    world.collect()

    assert not result.success
    assert world.materialized("results") == {"a", "c"}


def test_files_that_come_later_are_discovered(world):
    write(world, "a", [a_line("r-0", a_chat_body("oak"))])
    declare(world, partitions="discovered")
    world.clock.advance(3600)

    first = discover(world)
    write(world, "b", [a_line("r-0", a_chat_body("elm"))])
    world.clock.advance(3600)
    second = discover(world)
    world.collect()

    assert [first, second] == [["a"], ["b"]]
    assert world.materialized("results") == {"a", "b"}
