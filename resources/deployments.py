"""The deployments: named sets of resources, made of what the environment says."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from batch_assets.prompt.endpoints.kinds import ProviderKind, kinds
from batch_assets.prompt.import_path import imported
from batch_assets.resources.environment import (
    FILES_ROOT,
    LEDGER_URL,
    PRODUCTION,
    SANDBOX,
    Environment,
    chosen_environment,
)
from batch_assets.resources.io_managers import BatchFilesIOManager
from batch_assets.resources.ledger import LedgerResource

#: The sandbox finishes in seconds; a provider takes minutes to hours.
_SANDBOX_POLL_SECONDS = 5
_POLL_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class NamedDeployment:
    """Resources by key, and how often the provider is asked."""

    name: str
    resources: Mapping[str, Any]
    poll_seconds: int


def chosen_deployment() -> NamedDeployment:
    """The deployment that the environment names; `local` where it names none.

    Raises DeclarationError for one that there is not.
    """
    environment = chosen_environment()
    in_sandbox = environment.name == SANDBOX
    return NamedDeployment(
        name=environment.name,
        resources={**_state(environment), **_providers(environment)},
        poll_seconds=_SANDBOX_POLL_SECONDS if in_sandbox else _POLL_SECONDS,
    )


def _state(environment: Environment) -> dict[str, Any]:
    if environment.name == PRODUCTION:
        # Read by the process that uses them, as Dagster's settings are.
        ledger_url, files_root = dg.EnvVar(LEDGER_URL), dg.EnvVar(FILES_ROOT)
    else:
        ledger_url = environment.required_ledger_url()
        files_root = environment.required_files_root()
    return {
        "batch_ledger": LedgerResource(url=ledger_url),
        "batch_files": BatchFilesIOManager(root=files_root),
    }


def _providers(environment: Environment) -> dict[str, Any]:
    """A resource of each kind that is known, under its name: an inference chooses by that."""
    made = {}
    for name, kind in kinds():
        given = _fields(environment, kind)
        if given is not None:
            made[name] = imported(kind.resource, f"the resource of {name}")(**kind.fields, **given)
    return made


def _fields(environment: Environment, kind: ProviderKind) -> dict[str, Any] | None:
    """What the deployment gives a kind's resource; None where it has no such provider."""
    if environment.name == SANDBOX:
        if kind.sandbox_prefix is None:
            return None
        # It charges nothing; what the same would cost at the provider is worth seeing.
        address = f"{environment.sandbox_origin}{kind.sandbox_prefix}"
        return {"api_key": "sandbox", "base_url": address, "price_list": kind.price_list}
    key = dg.EnvVar(kind.key_variable)
    if kind.address_variable is None:
        return {"api_key": key}
    address = os.environ.get(kind.address_variable)
    return {"api_key": key, "base_url": address} if address else None
