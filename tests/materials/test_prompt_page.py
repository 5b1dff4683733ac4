"""The examples of docs/howto/prompts.md work as they stand there."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from batch_assets.prompt import Prompt

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "prompts.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

#: The columns that each prompt of the page reads.
READS = {
    "whole": ("question",),
    "template": ("gloss", "word"),
    "few_shot": ("word",),
    "photos": ("photo", "product", "second_photo_url"),
    "letters": ("scan",),
    "shortened": ("paragraphs", "title"),
}


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of all that the page says."""
    module = ModuleType("the_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("\n".join(EXAMPLES), module.__dict__)
    return module


def test_every_prompt_of_the_page_reads_the_columns_it_seems_to(page):
    found = {name: value for name, value in vars(page).items() if isinstance(value, Prompt)}

    assert {name: prompt.fields() for name, prompt in found.items()} == READS


@pytest.mark.parametrize("name", sorted(READS))
def test_every_prompt_of_the_page_can_be_sent_to_chat_completions(page, name):
    compiled = getattr(page, name).compiled("chat")

    assert compiled.fields == READS[name]
