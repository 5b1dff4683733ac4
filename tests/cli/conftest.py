"""Commands over partitions that the stages built: a real ledger and store, and the sandbox."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from direct_desk import Desk
from factories import a_corpus, a_recipe
from live_sandbox import LATENCY, Live, LiveFaults
from stage_world import LIMITS, Script, World, a_provider

from batch_assets.cli import main
from batch_assets.domain.provider import Provider
from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.sandbox import ManualClock, RunningSandbox, running_sandbox
from batch_assets.stages.recipe import Deployment

Call = Callable[..., Result]
AWorld = Callable[..., World]


@pytest.fixture
def own_provider(sandbox: RunningSandbox) -> Iterator[Provider]:
    """Of this test alone: what it learns of the account is not the next one's."""
    provider = a_provider(sandbox.base_url)
    yield provider
    provider.close()


@pytest.fixture
def a_world(
    tmp_path: Path,
    clock: ManualClock,
    sandbox: RunningSandbox,
    files: Files,
    ledger: Ledger,
    own_provider: Provider,
) -> AWorld:
    """A partition around a corpus of so many rows; keywords are a_recipe's or World's."""

    def make(rows: pa.Table | int = 3, *, via: Provider | None = None, **over: Any) -> World:
        of_world = {key: over.pop(key) for key in ("limits", "partition_key") if key in over}
        key = of_world.get("partition_key", "p")
        recipe = a_recipe(a_corpus(tmp_path / "corpus", rows, key=key), **over)
        return World(
            deployment=Deployment(
                ledger=ledger, files=files, provider=via or own_provider, owner="run-1"
            ),
            recipe=recipe,
            clock=clock,
            sandbox=sandbox,
            **{"limits": LIMITS, **of_world},
        )

    return make


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    """The file of the fixture `ledger`."""
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def call(db_path: Path, files: Files) -> Call:
    """A command over the test's ledger and store."""
    place = ["--db-path", str(db_path), "--root", files.root]
    return lambda name, *given: CliRunner().invoke(main, [name, *map(str, given), *place])


@pytest.fixture
def code_location(tmp_path: Path, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """The module of a code location that declares `words` as a_recipe does."""
    name = f"location_{abs(hash(str(tmp_path)))}"
    source = f"""
        import dagster as dg
        from factories import Kind

        import batch_assets as ba
        from batch_assets.resources.openai import OpenAIResource

        words = ba.Inference(
            name="words",
            corpus=ba.FileCorpus(path={str(tmp_path / "corpus")!r}, item_id="id"),
            prompt=ba.Prompt(user="Word: {{{{ word }}}}", system="Say what kind of thing it is."),
            model="gpt-5-mini",
            output=Kind,
        )
        defs = dg.Definitions.merge(
            ba.batch_inference(words),
            dg.Definitions(
                resources={{
                    "openai": OpenAIResource(
                        api_key="sk-test-0123456789",
                        base_url={sandbox.base_url!r},
                        account="openai",
                        max_retries=0,
                    ),
                }}
            ),
        )
        """
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.fixture(scope="session")
def served_live() -> Iterator[tuple[RunningSandbox, LiveFaults]]:
    """The session's sandbox on the real clock, with whatever an earlier test left in it."""
    faults = LiveFaults()
    with running_sandbox(faults=faults, latency=LATENCY) as running:
        yield running, faults


@pytest.fixture
def live(
    served_live: tuple[RunningSandbox, LiveFaults], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Live:
    """An empty deployment on it, which the environment chooses; the test is in its folder."""
    running, faults = served_live
    running.state.reset()
    running.state.change_settings({"latency": LATENCY})
    faults.clear()
    environment = {
        "BATCH_ASSETS_DEPLOYMENT": "sandbox",
        "BATCH_ASSETS_SANDBOX_URL": running.base_url,
        "BATCH_ASSETS_HOME": str(tmp_path / "home"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    # A class in that folder is found by it.
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Live(sandbox=running, faults=faults, folder=tmp_path, environment=environment)


@pytest.fixture
def desk(
    sandbox: RunningSandbox,
    script: Script,
    clock: ManualClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    """On the sandbox, which the environment chooses."""
    environment = {
        "BATCH_ASSETS_DEPLOYMENT": "sandbox",
        "BATCH_ASSETS_SANDBOX_URL": sandbox.base_url,
        "BATCH_ASSETS_HOME": str(tmp_path / "home"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    # A code location in that folder is found by it.
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Desk(
        sandbox=sandbox, faults=script, clock=clock, folder=tmp_path, environment=environment
    )
