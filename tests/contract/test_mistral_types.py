"""Mistral's endpoints, held against its SDK's types and carried through the sandbox."""

import io
import json
import typing
from typing import Any, Literal

import dagster as dg
import msgspec
import numpy as np
import pyarrow as pa
import pytest
from factories import Kind
from mistralai.client.models import ChatCompletionRequest, CreateBatchJobRequest, EmbeddingRequest

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.outcome import Outcome
from batch_assets.prompt import Audio, File, Image, OutputType, Prompt
from batch_assets.prompt.endpoints import Endpoint, compile_endpoint
from batch_assets.prompt.endpoints.catalogue import endpoint_named
from batch_assets.prompt.output import JsonMode, TextOutput
from batch_assets.prompt.prompt import Example
from batch_assets.resources.mistral import MistralResource

SDK_TYPES: dict[str, Any] = {
    "mistral_chat": ChatCompletionRequest,
    "mistral_embeddings": EmbeddingRequest,
}
KEY = "0123456789abcdef" * 2


def fields_of(name: str) -> dict[str, Any]:
    """The types of a request's fields by their names on the wire."""
    found = SDK_TYPES[name].model_fields
    hints = typing.get_type_hints(SDK_TYPES[name])
    return {field.alias or own: hints[own] for own, field in found.items()}


def choices(hint: Any) -> set[Any]:
    """The values of the literals at the top of a type, behind its other names too."""
    if typing.get_origin(hint) is Literal:
        return set(typing.get_args(hint))
    return {value for part in typing.get_args(hint) for value in choices(part)}


@pytest.mark.parametrize("name", SDK_TYPES)
def test_every_setting_of_the_sdk_is_free_or_has_a_reason_not_to_be(name):
    kind = endpoint_named(name)

    assert fields_of(name).keys() == kind.known_settings.keys() | kind.reserved_settings.keys()
    assert not kind.known_settings.keys() & kind.reserved_settings.keys()


CHOICES = [
    (name, setting, value)
    for name in SDK_TYPES
    for setting in endpoint_named(name).known_settings
    for value in choices(fields_of(name)[setting])
]


@pytest.mark.parametrize(("name", "setting", "value"), sorted(CHOICES, key=str))
def test_every_value_that_the_sdk_names_is_taken(name, setting, value):
    kind = endpoint_named(name).known_settings[setting]

    assert msgspec.convert(value, kind) == value


#: A value of each setting, and one that is none.
VALUES: dict[str, tuple[Any, Any]] = {
    "frequency_penalty": (0.5, "x"),
    "guardrails": ([{"block_on_error": True}], "x"),
    "logprobs": (True, 3),
    "max_tokens": (10, 0),
    "metadata": ({"a": "b"}, "x"),
    "min_tokens": (0, -1),
    "presence_penalty": (0.5, "x"),
    "prompt_cache_key": ("k", 3),
    "prompt_mode": ("reasoning", "thinking"),
    "random_seed": (7, "x"),
    "reasoning_effort": ("high", "very"),
    "repetition_penalty": (1.1, "x"),
    "safe_prompt": (True, "x"),
    "stop": (["a", "b"], 3),
    "temperature": (0.7, -1),
    "top_k": (5, "x"),
    "top_logprobs": (2, -1),
    "top_p": (0.9, 2),
}


def compiled(name: str = "mistral_chat", **declared: Any) -> Endpoint:
    facts: dict[str, Any] = {
        "model": "mistral-small-latest",
        "prompt": Prompt(user="JSON, please: {{ word }}"),
        "output": TextOutput(),
        "settings": {},
    }
    return compile_endpoint(name, **facts | declared)


def body_of(endpoint: Endpoint, word: str = "oak") -> dict[str, Any]:
    [body] = endpoint.bodies(pa.RecordBatch.from_pydict({"word": [word]}), str)
    found: dict[str, Any] = json.loads(body)
    return found


def test_every_setting_of_chat_has_a_value_here():
    assert VALUES.keys() == endpoint_named("mistral_chat").known_settings.keys()


@pytest.mark.parametrize("setting", VALUES)
def test_a_settings_value_is_one_of_the_sdks_and_what_is_none_is_refused(setting):
    good, bad = VALUES[setting]

    sent = body_of(compiled(settings={setting: good}))

    assert sent[setting] == good
    ChatCompletionRequest.model_validate(sent, strict=True)
    with pytest.raises(DeclarationError, match=f"setting '{setting}'"):
        compiled(settings={setting: bad})


@pytest.mark.parametrize(
    ("name", "own"), [("max_output_tokens", "max_tokens"), ("seed", "random_seed")]
)
def test_neutral_names_are_mistrals_own(name, own):
    assert body_of(compiled(settings={name: 5}))[own] == 5


def test_openais_names_are_refused_with_what_there_is():
    with pytest.raises(DeclarationError, match=r"'max_completion_tokens' is unknown .* max_tokens"):
        compiled(settings={"max_completion_tokens": 5})


EXAMPLE = Example(user="elm", assistant={"label": "plant"})


@pytest.mark.parametrize(
    ("prompt", "output"),
    [
        (Prompt(user="{{ word }}"), TextOutput()),
        (Prompt(system="Brief.", user="{{ word }}", examples=[EXAMPLE]), OutputType(Kind)),
        (Prompt(user="JSON of {{ word }}"), JsonMode()),
        (Prompt(user=["See.", Image(url="https://a.test/{{ word }}.png")]), TextOutput()),
    ],
)
def test_a_body_is_a_request_of_the_sdks_type(prompt, output):
    body = body_of(compiled(prompt=prompt, output=output))

    request = ChatCompletionRequest.model_validate(body)
    assert body.keys() <= fields_of("mistral_chat").keys()
    assert request.model_dump(by_alias=True, exclude_unset=True) == body


def test_a_line_names_the_id_and_the_body_alone():
    endpoint = compiled()
    line = json.loads(endpoint.line("r-0", b'{"model":"m"}'))

    assert line == {"custom_id": "r-0", "body": {"model": "m"}}
    assert endpoint.url in choices(CreateBatchJobRequest.model_fields["endpoint"].annotation)


@pytest.mark.parametrize(
    "part", [File(url="https://a.test/a.pdf"), Audio(path="{{ word }}.mp3", root="/tmp")]
)
def test_parts_that_have_another_form_are_refused(part):
    with pytest.raises(DeclarationError, match="parts are not written in Mistral's form"):
        compiled(prompt=Prompt(user=["Hear.", part]))


def line_of(**choice: Any) -> bytes:
    body = {
        "model": "m",
        "choices": [choice],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
    }
    return json.dumps({"custom_id": "r-0", "response": {"status_code": 200, "body": body}}).encode()


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}


@pytest.mark.parametrize(
    ("choice", "outcome", "text"),
    [
        ({"message": {"content": "Oak."}, "finish_reason": "stop"}, Outcome.OK, "Oak."),
        (
            {"message": {"content": [THOUGHT, {"type": "text", "text": "Oak."}]}},
            Outcome.OK,
            "Oak.",
        ),
        ({"message": {"content": [THOUGHT]}}, Outcome.INVALID, None),
        ({"message": {"content": None}}, Outcome.INVALID, None),
        ({"message": {"content": "O"}, "finish_reason": "length"}, Outcome.TRUNCATED, "O"),
        ({"message": {"content": "O"}, "finish_reason": "model_length"}, Outcome.TRUNCATED, "O"),
        ({"message": {"content": "O"}, "finish_reason": "error"}, Outcome.INVALID, None),
    ],
)
def test_an_answer_is_read_with_what_the_model_thought_left_out(choice, outcome, text):
    endpoint = compiled()
    [line] = endpoint.read_lines(line_of(**choice) + b"\n")

    verdict = endpoint.judge(line)

    assert (verdict.outcome, verdict.answer) == (outcome, text)
    assert (verdict.input_tokens, verdict.output_tokens, verdict.executions) == (9, 3, 1)


@pytest.fixture
def judged(sandbox, clock, tmp_path) -> Any:
    """The verdicts on a batch of the words at the sandbox, in their order."""

    def run(endpoint: Endpoint, words: list[str]) -> list[Any]:
        shard = tmp_path / "shard.jsonl"
        rows = pa.RecordBatch.from_pydict({"word": words})
        bodies = enumerate(endpoint.bodies(rows, str))
        shard.write_bytes(b"".join(endpoint.line(f"r-{n}", body) for n, body in bodies))
        resource = MistralResource(api_key="any", base_url=f"{sandbox.origin}/mistral")
        provider = resource.create_resource(dg.build_init_resource_context())
        batch = provider.submit(shard, endpoint=endpoint.url, key=KEY)
        clock.advance(100)
        [ended] = provider.poll([batch.id], since=batch.created_at)
        assert ended.problems == ()
        sink = io.BytesIO()
        for file_id in filter(None, (ended.output_file_id, ended.error_file_id)):
            provider.download(file_id, sink)
        provider.close()
        lines = sorted(endpoint.read_lines(sink.getvalue()), key=lambda line: line.custom_id or "")
        return [endpoint.judge(line) for line in lines]

    return run


def test_typed_answers_come_back(judged):
    endpoint = compiled(output=OutputType(Kind), settings={"max_output_tokens": 500})

    verdicts = judged(endpoint, ["a deciduous tree", "a wading bird"])

    assert [verdict.outcome for verdict in verdicts] == [Outcome.OK] * 2
    assert {verdict.output["label"] for verdict in verdicts} <= {"plant", "animal", "other"}


def test_a_reasoning_models_answer_comes_back(judged):
    [verdict] = judged(compiled(settings={"prompt_mode": "reasoning"}), ["a tree"])

    assert (verdict.outcome, verdict.answer[:9]) == (Outcome.OK, "In short:")


def test_what_the_provider_refuses_comes_back_as_an_error(judged):
    [verdict] = judged(compiled(settings={"extra_body": {"tempo": 3}}), ["a tree"])

    assert verdict.outcome is Outcome.ERRORED
    assert "tempo" in verdict.error_message


def test_vectors_come_back(judged):
    endpoint = compiled(
        "mistral_embeddings",
        model="mistral-embed",
        prompt=Prompt(field="word"),
        settings={"dimensions": 64},
    )

    [verdict] = judged(endpoint, ["a tree"])

    assert (verdict.outcome, np.asarray(verdict.output).shape) == (Outcome.OK, (64,))


def test_the_length_of_vectors_is_declared():
    prompt = Prompt(field="word")
    made = compiled(
        "mistral_embeddings",
        model="mistral-embed",
        prompt=prompt,
        settings={"vector_length": 1_024},
    )

    assert made.arrow_type == pa.list_(pa.float32(), 1_024)
    assert "output_dimension" not in body_of(made)
    with pytest.raises(DeclarationError, match="the length of mistral-embed's vectors"):
        compiled("mistral_embeddings", model="mistral-embed", prompt=prompt)
