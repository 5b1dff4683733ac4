"""The page on outputs says what the code does."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "outputs.md").read_text()


def test_the_example_of_the_page_runs():
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

    names = {"__name__": "outputs_page"}
    exec(compile(example, "outputs.md", "exec"), names)

    assert names["output"].arrow_type.names == ["kind", "words", "century", "confidence"]
