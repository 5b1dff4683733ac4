"""What a component file demands of answers, Python demands too; what cannot be names its line."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from component_files import WARNING, component, conforms
from pydantic import ValidationError

import batch_assets as ba

pytestmark = pytest.mark.filterwarnings(WARNING)

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "checks.md"

FILE = """\
name: words
model_name: gpt-4.1-mini
prompt:
  user: "{{ word }}"
corpus:
  path: words
  item_id: id
checks:
  coverage: 0.9
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def of_page() -> dict[str, Any]:
    """The attributes that the page has in YAML."""
    [block] = blocks("yaml")
    attributes: dict[str, Any] = yaml.safe_load(block)["attributes"]
    return attributes


@pytest.mark.parametrize(
    ("demanded", "same"),
    [
        ("{}", ba.Checks()),
        ("{coverage: 0.9}", ba.Checks(coverage=0.9)),
        # YAML reads off as false.
        ("{coverage: off}", ba.Checks(coverage="off")),
        ("{coverage: 'off'}", ba.Checks(coverage="off")),
        ("{coverage: {}}", ba.Checks()),
        (
            "{coverage: {at_least: 0.9, severity: error, blocking: true}}",
            ba.Checks(coverage=ba.Check(at_least=0.9, severity="error", blocking=True)),
        ),
        (
            "{token_estimate: {at_least: 0.1, at_most: 9}}",
            ba.Checks(token_estimate=ba.Check(at_least=0.1, at_most=9)),
        ),
        ("{label_drift: {min_items: 5}}", ba.Checks(label_drift=ba.Check(min_items=5))),
        (
            "{nothing_lost: {blocking: false}}",
            ba.Checks(nothing_lost=ba.Check(blocking=False)),
        ),
    ],
)
def test_a_component_file_and_python_demand_the_same(demanded, same):
    found = component(f"checks: {demanded}").checks.checks()

    assert found.rules == same.rules
    assert conforms(f"checks: {demanded}")


@pytest.mark.parametrize(
    ("line", "where", "said"),
    [
        (
            "  covrage: 0.9",
            "checks.covrage at <string>:10",
            "there is no such check; there are nothing_lost, coverage, invalid_share",
        ),
        (
            "  refused_share: {at_mst: 0.9}",
            "checks.refused_share.at_mst at <string>:10",
            "Extra inputs are not permitted",
        ),
        (
            "  refused_share: 2",
            "checks.refused_share at <string>:10",
            "checks: refused_share: at_most is 2, not a share of 0 to 1",
        ),
        (
            "  refused_share: {at_least: 0.2}",
            "checks.refused_share at <string>:10",
            "it has no at_least; set at_most, severity, blocking",
        ),
        (
            "  refused_share: often",
            "checks.refused_share at <string>:10",
            "it is 'often'; give a number for its threshold, 'off', or some of",
        ),
        (
            "  refused_share: on",
            "checks.refused_share at <string>:10",
            "it is True; give a number",
        ),
        (
            "  refused_share: {severity: fatal}",
            "checks.refused_share.severity at <string>:10",
            "Input should be 'warn' or 'error'",
        ),
        (
            "  refused_share: {severity: warn, blocking: true}",
            "checks.refused_share at <string>:10",
            "a check that only warns blocks nothing",
        ),
        (
            "min_coverage: 0.9",
            "min_coverage at <string>:10",
            "Extra inputs are not permitted",
        ),
    ],
)
def test_what_cannot_be_demanded_is_told_by_line_and_field(line, where, said):
    with pytest.raises(ValidationError) as refused:
        ba.BatchInferenceComponent.resolve_from_yaml(f"{FILE}{line}\n")

    assert where in str(refused.value).replace("`", "").splitlines()
    assert said in str(refused.value)


def test_what_the_page_declares_in_yaml_it_declares_in_python(tmp_path):
    (tmp_path / "data" / "tickets").mkdir(parents=True)
    table = pa.table({"id": ["t-1"], "text": ["Where is my parcel?"]})
    pq.write_table(table, tmp_path / "data" / "tickets" / "may.parquet")
    [block] = blocks("python")
    names: dict[str, Any] = {}
    exec(block, names)

    declared = ba.BatchInferenceComponent.resolve_from_yaml(yaml.safe_dump(of_page()))

    assert declared.inference(tmp_path).checks.rules == names["checks"].rules


def test_the_page_has_every_check_as_it_is_by_itself():
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    told = {name: said for name, said in rows if name in ba.Checks.__dataclass_fields__}

    assert list(told) == [rule.name for rule in ba.Checks().rules]
    for rule in ba.Checks().rules:
        said = told[rule.name]
        numbers = [x for x in (rule.at_least, rule.at_most, rule.min_items) if x is not None]
        assert re.findall(r"\d+(?:\.\d+)?", said) == [f"{x:g}" for x in numbers]
        assert ("warns" in said, "blocks" in said) == (not rule.blocking, rule.blocking)
