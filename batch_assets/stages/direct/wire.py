"""How a provider's request files look, by the kind of the provider."""

import re
from dataclasses import dataclass

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.import_path import imported
from batch_assets.domain.kinds import ProviderKind
from batch_assets.domain.request import CUSTOM_ID
from batch_assets.prompt.endpoints.catalogue import endpoint_named
from batch_assets.prompt.envelope import OPENAI, Envelope

#: Ids that requests of an endpoint may have, where it does not take any text.
_IDS = {"/v1/messages": CUSTOM_ID}


@dataclass(frozen=True, kw_only=True)
class Wire:
    """What a line of a request file is, and where its request goes."""

    envelope: Envelope
    #: The path that all requests are for, where the provider has but one.
    endpoint: str | None = None

    @property
    def ids(self) -> re.Pattern[str] | None:
        """What a request's id must be of; None for any text."""
        return _IDS.get(self.endpoint or "")


def wire_of(kind: ProviderKind | None) -> Wire:
    """The wire of a kind of provider; OpenAI's where the kind has none of its own, or is None."""
    if kind is None or not kind.endpoints:
        return Wire(envelope=OPENAI)
    found = [imported(path, f"the endpoint {name}") for name, path in kind.endpoints.items()]
    # One whose path names the model has none as a class.
    only = getattr(found[0], "url", None) if len(found) == 1 else None
    return Wire(envelope=found[0].envelope, endpoint=only)


def path_of_endpoint(name: str) -> str:
    """The path of an endpoint, which is given by itself or by its name.

    Raises DeclarationError for a name that there is not, or whose path is not known by it.
    """
    if name.startswith("/"):
        return name
    path: str | None = getattr(endpoint_named(name), "url", None)
    if path is None:
        raise DeclarationError(
            f"the path of the endpoint {name} names the model: give the path itself, as in "
            "/v1beta/models/gemini-2.5-flash:generateContent"
        )
    return path
