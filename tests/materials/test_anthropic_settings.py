"""What settings the endpoint `messages` takes, held to the official SDK's types."""

import re
import typing
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from anthropic.types import message_create_params, output_config_param
from anthropic_bodies import ONE, body_of
from factories import Kind
from pydantic import TypeAdapter

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.kinds import default_endpoint
from batch_assets.prompt import Image, OutputType, Prompt
from batch_assets.prompt.endpoints.anthropic import GONE, MessagesEndpoint
from batch_assets.prompt.output import TextOutput
from batch_assets.prompt.prompt import Example

SDK_TYPE = message_create_params.MessageCreateParamsNonStreaming
HINTS = typing.get_type_hints(SDK_TYPE)


def test_every_setting_of_the_sdk_is_free_or_has_a_reason_not_to_be():
    """Row 44: what an endpoint takes is what the official SDK says it takes."""
    known, reserved = MessagesEndpoint.known_settings, MessagesEndpoint.reserved_settings

    assert HINTS.keys() == known.keys() | (reserved.keys() - GONE.keys())
    assert not known.keys() & reserved.keys()
    assert not (known.keys() | reserved.keys()) & MessagesEndpoint.own_settings.keys()
    assert not GONE.keys() & HINTS.keys()


def test_the_settings_of_the_page_are_taken():
    page = Path(__file__).parents[2] / "docs" / "howto" / "anthropic.md"
    [declared] = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    attributes = yaml.safe_load(declared)["attributes"]

    body = body_of(Prompt(system="Be brief.", user="{{ word }}"), **attributes["settings"])

    assert default_endpoint(attributes["provider"]) == "messages"
    assert (body["max_tokens"], body["system"][0]["cache_control"]["ttl"]) == (1_000, "1h")


def choices(hint: Any) -> set[Any]:
    """The values of the literals in a type."""
    if typing.get_origin(hint) is Literal:
        return set(typing.get_args(hint))
    return {value for part in typing.get_args(hint) for value in choices(part)}


def test_every_effort_and_way_of_thinking_of_the_sdk_is_taken():
    efforts = choices(typing.get_type_hints(output_config_param.OutputConfigParam)["effort"])
    for effort in efforts:
        assert body_of(output_config={"effort": effort})["output_config"] == {"effort": effort}
    for thinking in (
        {"type": "enabled", "budget_tokens": 1_024, "display": "omitted"},
        {"type": "adaptive", "display": "summarized"},
        {"type": "disabled"},
    ):
        assert body_of(thinking=thinking)["thinking"] == thinking


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 5, "max_output_tokens": 5}, "are the same"),
        ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "thinking"),
        ({"thinking": {"type": "sometimes"}}, "thinking"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 4_096}},
            "give max_tokens more than budget_tokens",
        ),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config"),
        ({"output_config": {"effort": "huge"}}, "output_config"),
        ({"cache_prefix": "2h"}, "cache_prefix"),
        ({"cache_control": {"type": "ephemeral", "ttl": "2h"}}, "cache_control"),
        ({"structured_output": "prefill"}, "structured_output"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"metadata": {"user_id": "x" * 257}}, "metadata"),
        ({"temperature": 0.5}, "knows it no more"),
        ({"stream": False}, "does not stream"),
        ({"system": "x"}, "comes from the prompt"),
        ({"service_tier": "auto"}, "a tier of its own"),
        ({"workspace_id": "w"}, "declare it in the resource"),
        ({"extra_body": {"system": "x"}}, "'system', which stands in each body already"),
        ({"extra_body": {"messages": []}}, "'messages'"),
        ({"seed": 7}, "unknown to /v1/messages"),
    ],
)
def test_a_setting_that_cannot_be_sent_is_refused_with_its_name(settings, complaint):
    with pytest.raises(DeclarationError, match=complaint) as refused:
        body_of(**settings)
    assert refused.value.setting == "settings"


def test_a_model_that_must_call_a_tool_cannot_think_before():
    thinking = {"type": "adaptive"}

    with pytest.raises(DeclarationError, match="cannot think before"):
        body_of(output=OutputType(Kind), structured_output="tool", thinking=thinking)
    assert body_of(structured_output="tool", thinking=thinking)["thinking"] == thinking


@pytest.mark.parametrize(
    ("prompt", "output", "settings"),
    [
        (ONE, TextOutput(), {"stop_sequences": ["x"], "metadata": {"user_id": "u"}}),
        (ONE, TextOutput(), {"cache_control": {"type": "ephemeral"}, "inference_geo": "eu"}),
        (ONE, OutputType(Kind), {"thinking": {"type": "adaptive"}}),
        (ONE, OutputType(Kind), {"structured_output": "tool"}),
        (
            Prompt(
                system="Be brief.",
                user=["{{ word }}", Image(url="https://x.test/{{ word }}.png")],
                examples=[Example(user="elm", assistant={"label": "plant"})],
            ),
            OutputType(Kind),
            {"cache_prefix": "1h"},
        ),
    ],
)
def test_a_body_is_a_request_of_the_sdks_type(prompt, output, settings):
    body = body_of(prompt, output, **settings)

    TypeAdapter(SDK_TYPE).validate_python(body)
    assert body.keys() <= HINTS.keys()
