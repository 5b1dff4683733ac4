"""The providers that are known by name: which endpoints each has, and which resource vends it.

An inference names the resource key of its provider; where that is the name of a kind, the kind says
which endpoint is meant where none is declared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.import_path import imported

#: The entry points by which a package of somebody else's adds a kind: NAME = "package.module:KIND".
GROUP = "batch_assets.providers"


@dataclass(frozen=True, kw_only=True)
class ProviderKind:
    """A provider as it is registered: import paths, so that nothing is imported to list it."""

    #: Of the ConfigurableResource, `package.module:Class`.
    resource: str
    #: Fields of the resource that this kind gives it.
    fields: Mapping[str, Any] = field(default_factory=dict)
    #: The variable that holds the key, by the provider's custom.
    key_variable: str
    #: Endpoints of its own, by the names they are declared by: import paths of their classes.
    endpoints: Mapping[str, str] = field(default_factory=dict)
    #: The endpoint of an inference that declares none.
    default_endpoint: str = "chat"
    #: The variable that holds the address, where every account has its own; without it our own
    #: deployments have no such provider.
    address_variable: str | None = None
    #: Where the sandbox speaks as the provider does: a path below its address.
    sandbox_prefix: str | None = None
    #: What an answer of the sandbox would cost: the price library's name of the provider.
    price_list: str | None = None


BUILT_IN: Mapping[str, ProviderKind] = {
    "openai": ProviderKind(
        resource="batch_assets.resources.openai:OpenAIResource",
        key_variable="OPENAI_API_KEY",
        sandbox_prefix="/v1",
        price_list="openai",
    ),
}


def kind_named(name: str) -> ProviderKind | None:
    """The kind of that name; None where there is none, as for a resource key of the user's own.

    Raises DeclarationError where an entry point of that name leads to something else.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    return _registered(name)


def kinds() -> Iterator[tuple[str, ProviderKind]]:
    """All kinds by name: the built-in ones, then those that other packages register."""
    yield from BUILT_IN.items()
    for entry in _entries():
        found = None if entry.name in BUILT_IN else _registered(entry.name)
        if found is not None:
            yield entry.name, found


def endpoints_of_kinds() -> Mapping[str, str]:
    """The endpoints that are one kind's own: their import paths by their names."""
    return {name: path for _, kind in kinds() for name, path in kind.endpoints.items()}


def default_endpoint(provider: str) -> str:
    """The endpoint of an inference that declares none, by the resource key of its provider."""
    kind = kind_named(provider)
    return "chat" if kind is None else kind.default_endpoint


@cache
def _entries() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


@cache
def _registered(name: str) -> ProviderKind | None:
    entry = next((each for each in _entries() if each.name == name), None)
    if entry is None:
        return None
    found = imported(entry.value, f"the provider {name}")
    if not isinstance(found, ProviderKind):
        raise DeclarationError(
            f"the entry point {name} of {GROUP} leads to {entry.value}, which is no ProviderKind: "
            "correct the package that registers it"
        )
    return found
