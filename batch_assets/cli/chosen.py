"""The provider that a command asks directly: of the deployment, or of a code location."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from batch_assets.cli.declared import resources_of, with_declaration
from batch_assets.cli.place import Place
from batch_assets.domain.errors import DeclarationError
from batch_assets.stages.direct.time import Time

if TYPE_CHECKING:
    from batch_assets.domain.kinds import ProviderKind
    from batch_assets.domain.provider import Provider
    from batch_assets.ledger import Ledger

#: As of `start`.
DEFAULT_PROVIDER = "openai"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which provider, and where it is declared."""

    place: Place
    name: str
    module: str | None


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A provider that can be called, and the ledger beside it."""

    name: str
    provider: "Provider"
    #: None for a resource of the user's own.
    kind: "ProviderKind | None"
    place: Place
    resources: Mapping[str, Any]
    time: Time

    @contextmanager
    def open_ledger(self) -> Iterator["Ledger"]:
        """The code location's, unless another is named."""
        from batch_assets.assets.keys import LEDGER

        if self.place.ledger is not None or LEDGER not in self.resources:
            with self.place.open_ledger() as ledger:
                yield ledger
            return
        import dagster as dg

        with dg.build_resources({LEDGER: self.resources[LEDGER]}) as built:
            yield getattr(built, LEDGER)


def with_provider(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options that say which provider, after a `place`, as `asked`."""

    @with_declaration
    @click.option(
        "--provider",
        default=DEFAULT_PROVIDER,
        show_default=True,
        metavar="NAME",
        help="openai, anthropic, …; of a code location, the key of its resource.",
    )
    @wraps(command)
    def asking(place: Place, *given: Any, provider: str, module: str | None, **named: Any) -> Any:
        asked = Asked(place=place, name=provider, module=module)
        return command(asked, *given, **named)

    return asking


@contextmanager
def chosen(asked: Asked) -> Iterator[Chosen]:
    """The provider. Raises DeclarationError where there is none of that name, or no batches."""
    import dagster as dg

    from batch_assets.domain.lane import Lane

    resources = _resources(asked)
    resource = resources[asked.name]
    with dg.build_resources({"provider": resource}) as built:
        provider: Provider = built.provider
        if isinstance(provider, Lane):
            raise DeclarationError(
                f"{asked.name} asks without a batch at a provider: name another --provider"
            )
        yield Chosen(
            name=asked.name,
            provider=provider,
            kind=_kind(asked.name, resource),
            place=asked.place,
            resources=resources,
            time=click.get_current_context().find_object(Time) or Time(),
        )


def _resources(asked: Asked) -> Mapping[str, Any]:
    """The resources that there are, the provider among them."""
    if asked.module is None:
        return {asked.name: _of_deployment(asked)}
    from batch_assets.resources.provider_resource import ProviderResource

    found = resources_of(asked.module)
    names = [key for key, each in found.items() if isinstance(each, ProviderResource)]
    if asked.name not in names:
        raise DeclarationError(
            f"{asked.module} has no provider {asked.name}: name one of "
            f"{', '.join(sorted(names)) or 'none'}"
        )
    return found


def _of_deployment(asked: Asked) -> Any:
    from batch_assets.domain.kinds import kind_named, kinds
    from batch_assets.resources.deployments import provider_resource

    environment = asked.place.environment
    found = provider_resource(environment, asked.name)
    if found is not None:
        return found
    kind, deployment = kind_named(asked.name), f"the deployment {environment.name}"
    if kind is None:
        names = ", ".join(sorted(name for name, _ in kinds()))
        raise DeclarationError(
            f"{deployment} has no provider {asked.name}: name one of {names}; or with -m the "
            "code location that has it"
        )
    if kind.address_variable is None:
        raise DeclarationError(f"{deployment} has nobody who answers as {asked.name}")
    raise DeclarationError(
        f"{deployment} lacks the address of {asked.name}: set {kind.address_variable}"
    )


def _kind(name: str, resource: Any) -> "ProviderKind | None":
    """How the provider is registered: by the name, else by the class of its resource."""
    from batch_assets.domain.import_path import imported
    from batch_assets.domain.kinds import kind_named, kinds

    named = kind_named(name)
    if named is not None:
        return named
    for other, kind in kinds():
        if imported(kind.resource, f"the resource of {other}") is type(resource):
            return kind
    return None
