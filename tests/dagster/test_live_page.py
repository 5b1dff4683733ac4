"""The page about lanes: its Python runs, and its YAML names providers that there are."""

import re
from pathlib import Path

import yaml

import batch_assets as ba
from batch_assets.domain.kinds import BUILT_IN

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "live.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_resources_of_the_page_can_be_declared() -> None:
    found: dict[str, object] = {}
    for block in blocks("python"):
        if "Stragglers(" not in block:  # it has a corpus of the reader's
            exec(block, found)

    made = found["resources"]
    assert isinstance(made["our_vllm"], ba.LiveResource)
    assert made["groq_live"].requests_per_minute == 900
    assert isinstance(found["local"], ba.VllmResource)


def test_the_providers_of_the_page_are_those_of_every_deployment() -> None:
    named = {yaml.safe_load(block)["attributes"]["provider"] for block in blocks("yaml")}

    assert named == {"openai_live", "vllm"}
    assert named <= set(BUILT_IN)


def test_the_stragglers_of_the_page_are_declared_alike_in_both_ways() -> None:
    [python] = [block for block in blocks("python") if "Stragglers(" in block]
    [spelled] = re.findall(r"`(stragglers: \{.*?\})`", PAGE)
    [line] = [line for line in python.splitlines() if line.startswith("late = ")]
    found: dict[str, object] = {"ba": ba}
    exec(line, found)

    assert found["late"] == ba.Stragglers(**yaml.safe_load(spelled)["stragglers"])


def test_the_settings_of_the_page_are_settings() -> None:
    fields = {*ba.LiveResource.model_fields, *ba.VllmResource.model_fields}
    named = {"concurrency", "requests_per_minute", "tokens_per_minute", "max_retries"}

    assert {name for name in named if f"`{name}`" in PAGE} == named
    assert named | {"work_folder", "price_list", "wire", "command"} <= fields
