"""The fixture in the hands of a stranger, and the page that tells of it."""

import os
import re
import subprocess
import sys
import time
import typing
from pathlib import Path

import msgspec
import pytest

from batch_assets import sandbox
from batch_assets.sandbox import Script, ScriptedFaults, scripted_sandbox
from batch_assets.sandbox.batch_faults import AnyBatchFault
from batch_assets.sandbox.call_faults import AnyCallFault
from batch_assets.sandbox.item_faults import AnyItemFault

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "howto" / "test-offline.md").read_text()
RULES = re.findall(r"^\| `(faults\..*?)` \|", PAGE, flags=re.MULTILINE)
KINDS = [
    kind for union in (AnyCallFault, AnyBatchFault, AnyItemFault) for kind in typing.get_args(union)
]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(PROJECT)}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("source", blocks("python"), ids=["client", "inference"])
def test_the_examples_of_the_page_pass_as_they_are(source, tmp_path):
    (tmp_path / "test_mine.py").write_text(source)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert ran.returncode == 0, ran.stdout
    assert re.search(r"[1-9] passed", ran.stdout)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_of_the_page_is_a_rule(rule):
    names = {name: getattr(sandbox, name) for name in sandbox.__all__}
    made = eval(rule, names | {"faults": ScriptedFaults()})
    assert made.hits == 0


def test_the_page_has_an_example_of_every_fault():
    told = "\n".join(RULES)
    assert [kind.__name__ for kind in KINDS if f"{kind.__name__}(" not in told] == []


def test_the_script_of_the_page_is_a_script():
    [source] = blocks("json")
    script = msgspec.json.decode(source, type=Script)
    assert (len(script.calls), len(script.batches), len(script.items)) == (1, 1, 1)


def test_every_fault_can_be_imported_from_the_sandbox():
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in sandbox.__all__] == []
    assert all(getattr(sandbox, kind.__name__) is kind for kind in KINDS)


def test_a_pytest_that_needs_no_sandbox_imports_none():
    check = (
        "import sys, batch_assets.sandbox.pytest_plugin;"
        "print({'dagster', 'starlette', 'uvicorn', 'msgspec', 'openai'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    assert said.stdout == "set()\n"


def test_each_test_finds_the_sandbox_as_new():
    with scripted_sandbox() as mine:
        mine.change_settings(latency=5.0)
        mine.faults.calls("*", sandbox.ConnectionCut(), times=None)
        mine.clock.advance(1e9)
        mine.reset()
        assert mine.state.settings.latency == 30.0
        assert mine.faults.to_json()["calls"] == []
        assert mine.clock.now() < 1e9 + 1.7e9
        assert set(mine.executions().values()) == {0}


def test_the_sandbox_of_a_test_has_the_time_of_its_callers(batch_sandbox):
    assert abs(batch_sandbox.clock.now() - time.time()) < 300
