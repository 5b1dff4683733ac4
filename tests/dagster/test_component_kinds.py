"""Whatever Python declares a component file declares, too, and it is the same."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from component_files import (
    SCHEMA,
    TONES,
    WARNING,
    a_project,
    component,
    conforms,
    facts_of,
    in_python,
)
from factories import Kind

import batch_assets as ba

pytestmark = pytest.mark.filterwarnings(WARNING)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return a_project(tmp_path)


PROMPTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a field": ("prompt: {field: word}", {"prompt": ba.Prompt(field="word")}),
    "a system message and examples": (
        """
        prompt:
          system: Sort it.
          user: "{{ word }}"
          examples:
            - {user: oak, assistant: {label: plant}}
            - {user: [elk], assistant: animal}
        """,
        {
            "prompt": ba.Prompt(
                system="Sort it.",
                user="{{ word }}",
                examples=[
                    ba.Example(user="oak", assistant={"label": "plant"}),
                    ba.Example(user=["elk"], assistant="animal"),
                ],
            )
        },
    ),
    "parts": (
        """
        prompt:
          user:
            - "{{ word }}"
            - text: Look and listen.
            - image: {url: "https://a.b/{{ word }}", detail: low, optional: true}
            - audio: {column: sound, media_type: audio/mpeg}
        """,
        {
            "prompt": ba.Prompt(
                user=[
                    "{{ word }}",
                    "Look and listen.",
                    ba.Image(url="https://a.b/{{ word }}", detail="low", optional=True),
                    ba.Audio(column="sound", media_type="audio/mpeg"),
                ]
            )
        },
    ),
    "a call": (
        "prompt: {call: 'component_files:ask', columns: [word], system: Be short.}",
        {"prompt": ba.Prompt(call="component_files:ask", columns=["word"], system="Be short.")},
    ),
}

OUTPUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing": ("{}", {"output": None}),
    "text": ("output: text", {"output": None}),
    "a model": ("output: factories:Kind", {"output": Kind}),
    "a schema": (f"output: {json.dumps(SCHEMA)}", {"output": SCHEMA}),
    "a schema's file": ("output: code.json", {"output": SCHEMA}),
    # Digits in quotes stay a text.
    "labels": ('output: {labels: ["1", "2"]}', {"output": ba.Labels("1", "2")}),
    "several labels": (
        "output: {labels: [warm, cold], several: true}",
        {"output": ba.Labels("warm", "cold", several=True)},
    ),
    "labels of the project": ("output: component_files:TONES", {"output": TONES}),
    "JSON mode": (
        "output: json_object\nprompt: {user: 'JSON of {{ word }}'}",
        {"output": ba.JsonMode(), "prompt": ba.Prompt(user="JSON of {{ word }}")},
    ),
}

ENDPOINTS: dict[str, tuple[str, dict[str, Any]]] = {
    name: (
        f"endpoint: {name}\nprompt: {{field: word}}\nmodel_name: {model}\n"
        f"settings: {json.dumps(settings)}",
        {"endpoint": name, "prompt": ba.Prompt(field="word"), "model": model, "settings": settings},
    )
    for name, model, settings in (
        ("chat", "gpt-4.1-mini", {"metadata": {"version": "1.0"}, "stop": ["7"], "seed": 7}),
        ("responses", "gpt-4.1-mini", {"max_output_tokens": 20}),
        ("embeddings", "text-embedding-3-small", {"dimensions": 8}),
        ("moderations", "omni-moderation-latest", {"several_inputs": True}),
        ("completions", "davinci-002", {"max_tokens": 5}),
        ("images", "gpt-image-1", {}),
        ("/v1/responses", "gpt-4.1-mini", {}),
    )
}

POLICIES: dict[str, tuple[str, dict[str, Any]]] = {
    "packs": (
        "rows_per_request: 8\noutput: factories:Kind",
        {"rows_per_request": 8, "output": Kind},
    ),
    "no reuse": ("reuse: false", {"reuse": False}),
    "retries": (
        "retries: {max_waves: 2, ask_again: [expired]}",
        {"retries": ba.RetryPolicy(max_waves=2, ask_again=frozenset({"expired"}))},
    ),
}


@pytest.mark.parametrize(
    ("attributes", "over"),
    [
        pytest.param(*case, id=kind)
        for table in (PROMPTS, OUTPUTS, ENDPOINTS, POLICIES)
        for kind, case in table.items()
    ],
)
def test_what_is_asked_in_yaml_is_the_same_as_in_python(project, attributes, over):
    assert conforms(attributes)

    found = component(attributes).inference(project)

    assert facts_of(found) == facts_of(in_python(over, project))


def test_files_that_a_prompt_names_lie_below_the_project(project):
    prompt = (
        component("prompt: {user: ['{{ word }}', {file: {path: '{{ id }}.pdf', root: letters}}]}")
        .inference(project)
        .prompt
    )

    assert prompt == ba.Prompt(
        user=["{{ word }}", ba.File(path="{{ id }}.pdf", root=str(project / "letters"))]
    )


def test_a_schemas_file_beside_the_component_comes_before_the_projects(project):
    folder = project / "defs" / "words"
    folder.mkdir(parents=True)
    schema = SCHEMA | {"properties": {"code": {"type": "integer"}}}
    (folder / "code.json").write_text(json.dumps(schema))

    found = component("output: code.json").inference(project, folder)

    assert found.recipe().endpoint.arrow_type == pa.struct([("code", pa.int64())])


def test_texts_of_settings_are_templates_of_dagster_where_they_look_like_one(project, monkeypatch):
    monkeypatch.setenv("TEAM", "words")

    found = component("settings: {metadata: {team: '{{ env.TEAM }}', version: '1.0'}}")

    assert found.settings == {"metadata": {"team": "words", "version": "1.0"}}
