"""The deployments: named sets of resources, made of what the environment says."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from batch_assets.domain.import_path import imported
from batch_assets.domain.kinds import ProviderKind, kind_named, kinds
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
    return NamedDeployment(
        name=environment.name,
        resources={**_state(environment), **_providers(environment)},
        poll_seconds=poll_seconds(environment),
    )


def poll_seconds(environment: Environment) -> int:
    """How often the provider is asked."""
    return _SANDBOX_POLL_SECONDS if environment.name == SANDBOX else _POLL_SECONDS


def _state(environment: Environment) -> dict[str, Any]:
    if environment.name == PRODUCTION:
        # Read by the process that uses them, as Dagster's settings are.
        return {
            "batch_ledger": LedgerResource(url=dg.EnvVar(LEDGER_URL)),
            "batch_files": BatchFilesIOManager(root=dg.EnvVar(FILES_ROOT)),
        }
    return {
        "batch_ledger": LedgerResource(url=environment.required_ledger_url()),
        "batch_files": BatchFilesIOManager(root=environment.required_files_root()),
    }


def _providers(environment: Environment) -> dict[str, Any]:
    """A resource of each kind that is known, under its name: an inference chooses by that."""
    made = {name: provider_resource(environment, name) for name, _ in kinds()}
    return {name: resource for name, resource in made.items() if resource is not None}


def provider_resource(environment: Environment, name: str) -> Any | None:
    """The deployment's resource of that kind of provider; None where it has none."""
    kind = kind_named(name)
    given = None if kind is None else _fields(environment, kind)
    if kind is None or given is None:
        return None
    return imported(kind.resource, f"the resource of {name}")(**kind.fields, **given)


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
    own = os.environ.get(kind.address_variable)
    return {"api_key": key, "base_url": own} if own else None
