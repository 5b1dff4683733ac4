"""`batch-assets wait` asks stragglers live, as the sensor's runs do."""

from pathlib import Path

import pytest
from command_answers import rows_of

LANE = """
"openai_live": ba.LiveResource(
    api_key="sk-test", base_url="{base_url}", account="openai-live", concurrency=1
),
"openai": OpenAIResource(
"""

LATE = 'stragglers=ba.Stragglers(provider="openai_live", after_hours=20),'


@pytest.fixture
def with_stragglers(code_location, tmp_path, sandbox) -> str:
    """The code location whose inference has stragglers."""
    file: Path = tmp_path / f"{code_location}.py"
    source = file.read_text().replace("output=Kind,", f"output=Kind, {LATE}")
    lane = LANE.format(base_url=sandbox.base_url)
    file.write_text(source.replace('"openai": OpenAIResource(', lane))
    sandbox.state.change_settings({"latency": 10**9})
    return code_location


def test_waiting_brings_what_the_provider_has_not_answered_in_time(
    a_world, call, with_stragglers, clock
):
    """The command's own clock is years ahead of the provider's here."""
    world = a_world(3)
    world.submit()

    first = call("wait", "words", "--timeout", 0, "-m", with_stragglers)
    cancelled = world.batch
    clock.advance(60)
    [row] = rows_of(
        call("wait", "words", "--timeout", 0, "-m", with_stragglers, "-o", "json"), "wait/1"
    )

    assert first.exit_code == 7
    assert cancelled.rescued_at is not None
    assert (row["fate"], row["ok"]) == ("resolved", 3)
    assert [str(batch.account) for batch in world.batches] == ["openai", "openai-live"]
    assert world.executions["max_executions_of_one_body"] == 1
