"""Wires of servers that speak OpenAI's Batch API with oddities of their own.

Sources: learn.microsoft.com, how-to "Azure OpenAI batch deployments" and the REST reference;
the types of groq-python 1.7 and together-python 3.1 and Together's API reference;
docs.deepinfra.com/batch; the models of doublewordai/control-layer; xerotier.ai/docs/batch;
novita.ai's guide to its Batch API. What they do not say is as at OpenAI.
"""

from starlette.datastructures import Headers, MutableHeaders

from batch_assets.sandbox.compatible_oddities import Oddities
from batch_assets.sandbox.compatible_routes import CompatibleRoutes
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.openai_wire import key_complaint, refused
from batch_assets.sandbox.wire import Wire

_CHAT, _COMPLETIONS = "/v1/chat/completions", "/v1/completions"
_EMBEDDINGS, _RESPONSES = "/v1/embeddings", "/v1/responses"


def azure_key_complaint(headers: Headers) -> ApiError | None:
    """Azure's older API wants the key in a header of its own."""
    if "api-key" not in headers:
        message = "Access denied due to missing subscription key."
        return ApiError(401, message, code="401")
    given = MutableHeaders({"authorization": f"Bearer {headers['api-key']}"})
    return key_complaint(given)


AZURE = Oddities(endpoints=(_CHAT, _EMBEDDINGS, _RESPONSES), pending_seconds=7.0)

AZURE_2024 = Oddities(
    endpoints=(_CHAT, _EMBEDDINGS),
    versioned=False,
    pending_seconds=7.0,
    keeps_for=False,
    api_version="2024-10-21",
)

GROQ = Oddities(
    endpoints=(_CHAT,),
    window_hours=tuple(range(24, 169)),
    keeps_for=False,
    usage=False,
    listing="whole",
)

TOGETHER = Oddities(
    purpose="batch-api",
    upload_path="/files/upload",
    names_file=True,
    equal_files="refused",
    keeps_for=False,
    endpoints=(_CHAT,),
    metadata="refused",
    created_in="job",
    statuses="upper",
    status_words={"finalizing": "in_progress", "cancelling": "in_progress"},
    times="iso",
    errors="text",
    counts=False,
    usage=False,
    listing="array",
)

DEEPINFRA = Oddities(endpoints=(_CHAT, _COMPLETIONS, _EMBEDDINGS))

DOUBLEWORD = Oddities(window_hours=(1, 24), keeps_for=False, usage=False)

XEROTIER = Oddities(
    endpoints=(_CHAT, _EMBEDDINGS, _RESPONSES),
    metadata_bytes=16_384,
    max_batch_bytes=100_000_000,
    keeps_for=False,
    listing="shuffled",
)

NOVITA = Oddities(
    endpoints=(_CHAT, _COMPLETIONS),
    window_hours=(24, 48),
    metadata="dropped",
    keeps_for=False,
    statuses="upper",
    status_words={"in_progress": "progress", "finalizing": "progress"},
    times="digits",
    errors="text",
    usage=False,
)


def _wire(name: str, prefix: str, oddities: Oddities, *, below: str = "") -> Wire:
    calls = CompatibleRoutes(name, lambda sandbox: oddities)
    return Wire(
        name=name,
        prefix=prefix,
        routes=calls.routes(below, oddities.upload_path),
        refused=refused,
        key_complaint=key_complaint if oddities.api_version is None else azure_key_complaint,
    )


#: Whose oddities are a setting of the sandbox, but for those of keys and routes.
ANY = Wire(
    name="compatible",
    prefix="/compatible/v1",
    routes=CompatibleRoutes("compatible", lambda sandbox: sandbox.settings.compatible).routes(
        "", "/files"
    ),
    refused=refused,
    key_complaint=key_complaint,
)

COMPATIBLE: tuple[Wire, ...] = (
    ANY,
    # The second prefix is the beginning of the first.
    _wire("azure", "/azure/openai/v1", AZURE),
    _wire("azure-2024-10-21", "/azure/openai", AZURE_2024),
    _wire("groq", "/groq/openai/v1", GROQ),
    _wire("together", "/together/v1", TOGETHER),
    _wire("deepinfra", "/deepinfra/v1/openai", DEEPINFRA),
    _wire("doubleword", "/doubleword/v1", DOUBLEWORD),
    _wire("xerotier", "/xerotier", XEROTIER, below="/{slug:path}/v1"),
    _wire("novita", "/novita/openai/v1", NOVITA),
)
