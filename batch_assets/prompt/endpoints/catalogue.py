"""The endpoints that a batch may address, by the names they are declared by.

Those of OpenAI stand here, since every compatible server has them too; others are their kind's.
"""

from collections.abc import Mapping
from typing import Any

from batch_assets.domain.errors import DeclarationError, about
from batch_assets.domain.import_path import imported
from batch_assets.domain.kinds import endpoints_of_kinds
from batch_assets.prompt.endpoints.chat import ChatEndpoint
from batch_assets.prompt.endpoints.completions import CompletionsEndpoint
from batch_assets.prompt.endpoints.embeddings import EmbeddingsEndpoint
from batch_assets.prompt.endpoints.endpoint import Endpoint
from batch_assets.prompt.endpoints.images import ImagesEndpoint
from batch_assets.prompt.endpoints.moderations import ModerationsEndpoint
from batch_assets.prompt.endpoints.responses import ResponsesEndpoint
from batch_assets.prompt.output import Output
from batch_assets.prompt.prompt import Prompt

ENDPOINTS: Mapping[str, type[Endpoint]] = {
    "chat": ChatEndpoint,
    "responses": ResponsesEndpoint,
    "embeddings": EmbeddingsEndpoint,
    "moderations": ModerationsEndpoint,
    "completions": CompletionsEndpoint,
    "images": ImagesEndpoint,
}

_BY_URL = {kind.url: kind for kind in ENDPOINTS.values()}


def endpoint_named(name: str) -> type[Endpoint]:
    """The endpoint of that name or URL. Raises DeclarationError for one that is not known."""
    found = ENDPOINTS.get(name) or _BY_URL.get(name)
    if found is not None:
        return found
    others = endpoints_of_kinds()
    if name in others:
        return _imported(name, others[name])
    for other, path in others.items() if name.startswith("/") else ():
        kind = _imported(other, path)
        # One whose path names the model has none as a class.
        if getattr(kind, "url", None) == name:
            return kind
    raise DeclarationError(
        f"endpoint {name!r} is unknown: give one of {', '.join([*ENDPOINTS, *others])}, or the "
        "URL of one"
    )


def _imported(name: str, path: str) -> type[Endpoint]:
    kind: type[Endpoint] = imported(path, f"the endpoint {name}")
    return kind


def compile_endpoint(
    name: str, *, model: str, prompt: Prompt, output: Output, settings: Mapping[str, Any]
) -> Endpoint:
    """One inference's requests and answers at an endpoint, named as in ENDPOINTS or by its URL.

    Raises DeclarationError for a setting, a prompt or an output that the endpoint does not take.
    """
    with about("endpoint"):
        kind = endpoint_named(name)
    compiled = kind(model=model, prompt=prompt, output=output, settings=settings)
    # What a call writes is known when it is called.
    if prompt.call is None:
        with about("prompt"):
            output.check_prompt(prompt.texts())
    return compiled
