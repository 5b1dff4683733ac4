"""The example corpus through every provider of the sandbox, provider and model changed in its YAML.

Each way is a process of its own, against one sandbox process over HTTP, through the real SDK: all
six partitions, prepared, submitted, polled, collected and resolved. The seconds include the
sandbox's latency, `--latency` seconds for each batch.
"""

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

import batch_assets as ba
from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.resources.deployments import chosen_deployment
from batch_assets.stages.advance import advance
from batch_assets.stages.poll import poll
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.submit import submit

PROJECT = Path(__file__).parents[1]
EXAMPLE = PROJECT / "batch_assets" / "defs" / "glosses" / "defs.yaml"

#: What is changed in the example's file.
WAYS: dict[str, dict[str, str]] = {
    "openai chat": {},
    "openai responses": {"endpoint": "responses"},
    "anthropic": {"provider": "anthropic", "model_name": "claude-haiku-4-5"},
    "gemini": {"provider": "gemini", "model_name": "gemini-2.5-flash"},
    "mistral": {"provider": "mistral", "model_name": "mistral-small-latest"},
    "groq": {"provider": "groq", "model_name": "openai/gpt-oss-20b"},
    "together": {
        "provider": "together",
        "model_name": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    },
    "openai_live": {"provider": "openai_live"},
    "anthropic_live": {"provider": "anthropic_live", "model_name": "claude-haiku-4-5"},
}


@contextmanager
def a_sandbox(folder: Path, latency: float) -> Iterator[str]:
    """The address of a sandbox in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "batch_assets.cli", "sandbox", "serve", "--port", str(port)]
    options = ["--state-dir", str(folder), "--latency", str(latency)]
    process = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)
    origin = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{origin}/sandbox/health")
                break
            except OSError:
                time.sleep(0.05)
        yield origin
    finally:
        process.terminate()
        process.wait()


def carry(way: str, folder: Path) -> dict[str, Any]:
    """Take all partitions the whole way, in this process; what it took."""
    began = time.monotonic()
    attributes = yaml.safe_load(EXAMPLE.read_text())["attributes"] | WAYS[way]
    component = ba.BatchInferenceComponent.resolve_from_yaml(yaml.safe_dump(attributes))
    inference = component.inference(PROJECT)
    recipe = inference.recipe()
    files = Files(str(folder / "files"))
    made = chosen_deployment().resources[inference.provider]
    with (
        closing(Ledger.open(f"sqlite:///{folder}/ledger.db")) as ledger,
        closing(made.create_resource(dg.build_init_resource_context())) as provider,
    ):
        deployment = Deployment(ledger=ledger, files=files, provider=provider, owner="benchmark")
        resolutions = _resolved(deployment, recipe)
    spent = resource.getrusage(resource.RUSAGE_SELF)
    usage = [each.summary.usage for each in resolutions]
    bills = [each.bill.usd for each in resolutions]
    outcomes: dict[str, int] = {}
    for each in resolutions:
        for outcome, count in each.summary.outcomes.items():
            outcomes[str(outcome)] = outcomes.get(str(outcome), 0) + count
    return {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(spent.ru_utime + spent.ru_stime, 1),
        "peak_mib": spent.ru_maxrss // 1024,
        "outcomes": outcomes,
        "input_tokens": sum(each.input_tokens for each in usage),
        "output_tokens": sum(each.output_tokens for each in usage),
        "usd": None if None in bills else round(float(sum(filter(None, bills))), 4),
        "price": resolutions[0].bill.price.source,
    }


def _resolved(deployment: Deployment, recipe: Recipe) -> list[Resolution]:
    limits = deployment.provider.limits
    waiting = []
    for partition_key in recipe.corpus.partition_keys() or ():
        manifest = prepare(recipe, partition_key, files=deployment.files, limits=limits)
        waiting.append(submit(deployment, recipe, manifest).request_set)
    found: list[Resolution] = []
    while waiting:
        poll(deployment)
        for request_set in list(waiting):
            state = advance(deployment, recipe, request_set)
            if isinstance(state, Resolution):
                found.append(state)
                waiting.remove(request_set)
        time.sleep(0.2 if waiting else 0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=float, default=5.0, help="seconds of each batch")
    parser.add_argument("--way", choices=list(WAYS), help="only this one")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside is not None:
        print(json.dumps(carry(given.way, given.inside)))
        return
    for way in [given.way] if given.way else WAYS:
        with (
            tempfile.TemporaryDirectory() as folder,
            a_sandbox(Path(folder) / "sandbox", given.latency) as origin,
        ):
            variables = {
                "BATCH_ASSETS_DEPLOYMENT": "sandbox",
                "BATCH_ASSETS_SANDBOX_URL": f"{origin}/v1",
            }
            command = [sys.executable, "-m", "benchmarks.providers", "--way", way]
            said = subprocess.run(
                [*command, "--inside", folder],
                env=os.environ | variables,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            print(f"{way:18} {said.strip()}", flush=True)


if __name__ == "__main__":
    main()
