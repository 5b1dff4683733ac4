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
from batch_assets.domain.import_path import imported

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


def _compatible(
    profile: str,
    key_variable: str,
    *,
    sandbox_prefix: str,
    price_list: str | None,
    address_variable: str | None = None,
) -> ProviderKind:
    """A server of OpenAI's Batch API, by the name of its profile."""
    return ProviderKind(
        resource="batch_assets.resources.compatible:CompatibleResource",
        fields={"profile": profile},
        key_variable=key_variable,
        sandbox_prefix=sandbox_prefix,
        address_variable=address_variable,
        price_list=price_list,
    )


BUILT_IN: Mapping[str, ProviderKind] = {
    "openai": ProviderKind(
        resource="batch_assets.resources.openai:OpenAIResource",
        key_variable="OPENAI_API_KEY",
        sandbox_prefix="/v1",
        price_list="openai",
    ),
    "openai_live": ProviderKind(
        resource="batch_assets.resources.live:LiveResource",
        key_variable="OPENAI_API_KEY",
        sandbox_prefix="/v1",
        price_list="openai",
    ),
    "anthropic_live": ProviderKind(
        resource="batch_assets.resources.live:LiveResource",
        fields={"wire": "anthropic"},
        key_variable="ANTHROPIC_API_KEY",
        default_endpoint="messages",
        sandbox_prefix="/anthropic",
        price_list="anthropic",
    ),
    "vllm": ProviderKind(
        resource="batch_assets.resources.vllm:VllmResource", key_variable="VLLM_API_KEY"
    ),
    "anthropic": ProviderKind(
        resource="batch_assets.resources.anthropic:AnthropicResource",
        key_variable="ANTHROPIC_API_KEY",
        endpoints={"messages": "batch_assets.prompt.endpoints.anthropic:MessagesEndpoint"},
        default_endpoint="messages",
        sandbox_prefix="/anthropic",
        price_list="anthropic",
    ),
    "gemini": ProviderKind(
        resource="batch_assets.resources.gemini:GeminiResource",
        key_variable="GEMINI_API_KEY",
        endpoints={
            "generate_content": "batch_assets.prompt.endpoints.gemini:GenerateContentEndpoint"
        },
        default_endpoint="generate_content",
        sandbox_prefix="/gemini",
        price_list="google",
    ),
    "mistral": ProviderKind(
        resource="batch_assets.resources.mistral:MistralResource",
        key_variable="MISTRAL_API_KEY",
        endpoints={
            "mistral_chat": "batch_assets.prompt.endpoints.mistral:MistralChatEndpoint",
            "mistral_embeddings": "batch_assets.prompt.endpoints.mistral:MistralEmbeddingsEndpoint",
        },
        default_endpoint="mistral_chat",
        sandbox_prefix="/mistral",
        price_list="mistral",
    ),
    "azure": _compatible(
        "azure",
        "AZURE_OPENAI_API_KEY",
        sandbox_prefix="/azure/openai/v1",
        price_list="azure",
        address_variable="AZURE_OPENAI_ENDPOINT",
    ),
    "groq": _compatible(
        "groq", "GROQ_API_KEY", sandbox_prefix="/groq/openai/v1", price_list="groq"
    ),
    "together": _compatible(
        "together", "TOGETHER_API_KEY", sandbox_prefix="/together/v1", price_list="together"
    ),
    "deepinfra": _compatible(
        "deepinfra", "DEEPINFRA_API_KEY", sandbox_prefix="/deepinfra/v1/openai", price_list=None
    ),
    "doubleword": _compatible(
        "doubleword", "DOUBLEWORD_API_KEY", sandbox_prefix="/doubleword/v1", price_list="doubleword"
    ),
    "xerotier": _compatible(
        "xerotier",
        "XEROTIER_API_KEY",
        sandbox_prefix="/xerotier/proj_sandbox/v1",
        address_variable="XEROTIER_BASE_URL",
        price_list=None,
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
