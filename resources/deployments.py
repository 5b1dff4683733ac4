"""The deployments: named sets of resources. The one place that names environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from batch_assets.domain.errors import DeclarationError
from batch_assets.resources.io_managers import BatchFilesIOManager
from batch_assets.resources.ledger import LedgerResource
from batch_assets.resources.openai import OpenAIResource

#: Which deployment a process uses: local, sandbox or production.
DEPLOYMENT = "BATCH_ASSETS_DEPLOYMENT"
#: The provider's key, for local and production.
API_KEY = "OPENAI_API_KEY"
#: Where the sandbox listens.
SANDBOX_URL = "BATCH_ASSETS_SANDBOX_URL"
#: Where local and sandbox keep ledger and files.
HOME = "BATCH_ASSETS_HOME"
#: Root of the files in production: a folder or a bucket URL.
FILES_ROOT = "BATCH_ASSETS_FILES_ROOT"
#: SQLAlchemy URL of the ledger in production.
LEDGER_URL = "BATCH_ASSETS_LEDGER_URL"

_DEFAULT_HOME = ".batch_assets"
_DEFAULT_SANDBOX_URL = "http://127.0.0.1:8750/v1"

#: The sandbox finishes in seconds; a provider takes minutes to hours.
_SANDBOX_POLL_SECONDS = 5
_POLL_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class NamedDeployment:
    """Resources by key, and how often the provider is asked."""

    name: str
    resources: Mapping[str, Any]
    poll_seconds: int

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger. Raises DeclarationError where the environment has none."""
        if self.name != "production":
            return str(self.resources["batch_ledger"].url)
        url = os.environ.get(LEDGER_URL)
        if not url:
            raise DeclarationError(
                f"the ledger of production is not named: set {LEDGER_URL} to its SQLAlchemy URL"
            )
        return url


def chosen_deployment() -> NamedDeployment:
    """The deployment that the environment names; `local` where it names none."""
    name = os.environ.get(DEPLOYMENT, "local")
    makers = {"local": _local, "sandbox": _sandbox, "production": _production}
    if name not in makers:
        raise DeclarationError(f"{DEPLOYMENT} is {name!r}; it can be {', '.join(sorted(makers))}")
    return makers[name]()


def _local() -> NamedDeployment:
    return NamedDeployment(
        name="local",
        resources={**_state_at_home("local"), "openai": OpenAIResource(api_key=dg.EnvVar(API_KEY))},
        poll_seconds=_POLL_SECONDS,
    )


def _sandbox() -> NamedDeployment:
    # It charges nothing; what the same would cost at OpenAI is worth seeing.
    provider = OpenAIResource(
        api_key="sandbox",
        base_url=os.environ.get(SANDBOX_URL, _DEFAULT_SANDBOX_URL),
        price_list="openai",
    )
    return NamedDeployment(
        name="sandbox",
        resources={**_state_at_home("sandbox"), "openai": provider},
        poll_seconds=_SANDBOX_POLL_SECONDS,
    )


def _production() -> NamedDeployment:
    return NamedDeployment(
        name="production",
        resources={
            "batch_ledger": LedgerResource(url=dg.EnvVar(LEDGER_URL)),
            "batch_files": BatchFilesIOManager(root=dg.EnvVar(FILES_ROOT)),
            "openai": OpenAIResource(api_key=dg.EnvVar(API_KEY)),
        },
        poll_seconds=_POLL_SECONDS,
    )


def _state_at_home(name: str) -> dict[str, Any]:
    """Ledger and files of one deployment: what the sandbox answered never passes for the real."""
    home = Path(os.environ.get(HOME, _DEFAULT_HOME)).absolute() / name
    return {
        "batch_ledger": LedgerResource(url=f"sqlite:///{home}/ledger.db"),
        "batch_files": BatchFilesIOManager(root=f"{home}/files"),
    }
