"""The servers of OpenAI's Batch API that are known by name, as data.

Each says where its facts are from. A limit that its server does not document is OpenAI's, and the
comment beside it says so. Where documents disagree, the smaller number stands.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.provider import Phase
from batch_assets.resources.metadata import MetadataLimits
from batch_assets.resources.openai.profile import OPENAI, PHASES, Listing, Profile

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
EMBEDDINGS, RESPONSES = "/v1/embeddings", "/v1/responses"

_DAY = (24,)

AZURE = Profile(
    name="azure",
    source=(
        "learn.microsoft.com, Foundry REST reference `/openai/v1/batches` and how-to "
        '"Azure OpenAI batch deployments", copies of 2026'
    ),
    base_url="https://{slug}.openai.azure.com/openai/v1",
    slug_is="the name of the Azure OpenAI resource",
    key_variable="AZURE_OPENAI_API_KEY",
    # 100,000 requests and 200 MB are what the how-to's table of limits is remembered to say; the
    # copy at hand leaves the table out, and the REST reference says 50,000: the smaller stands.
    max_requests=50_000,
    endpoints=(CHAT, RESPONSES, EMBEDDINGS),
    window_hours=_DAY,
    # The how-to's samples wait until an uploaded file is `processed`. Whether a batch of one that
    # is not is refused was not tried: waiting costs one call.
    waits_for_file=True,
    price_list="azure",
    # "Model" is a deployment's name there, which no price list knows unless it is the model's own.
    price_note="a deployment at Azure is priced by the model that it is named after",
)

AZURE_2024 = Profile(
    name="azure-2024-10-21",
    source=(
        "openai-python 3.54, `lib/azure.py` (header and query); the how-to's samples for the API "
        "version 2024-10-21, and curator's Azure processor, which spells /chat/completions"
    ),
    base_url="https://{slug}.openai.azure.com/openai",
    slug_is=AZURE.slug_is,
    key_variable=AZURE.key_variable,
    azure_api_version="2024-10-21",
    endpoints=(CHAT, EMBEDDINGS),
    window_hours=_DAY,
    waits_for_file=True,
    drops_version=True,
    # `expires_after` came with later versions of the API.
    expiry_seconds=None,
    price_list=AZURE.price_list,
    price_note=AZURE.price_note,
)

GROQ = Profile(
    name="groq",
    source="groq-python 1.7: `types/batch_create_params.py`, `resources/{batches,files}.py`",
    base_url="https://api.groq.com/openai/v1",
    key_variable="GROQ_API_KEY",
    # 50,000 lines are the documentation's; of bytes it has said 200 MB, and the SDK says 100 MB.
    max_bytes=100_000_000,
    endpoints=(CHAT,),
    # "Durations from `24h` to `7d` are supported."
    window_hours=tuple(range(24, 7 * 24 + 1)),
    # The SDK's create takes "optional custom metadata"; that its limits are OpenAI's is assumed.
    expiry_seconds=None,
    # The SDK's `list` has no parameters and its reply no `has_more`. Whether all batches are in it,
    # however many, is not documented.
    listing=Listing.WHOLE,
    price_list="groq",
    price_note="Groq's discount for batches has changed over time",
)

TOGETHER = Profile(
    name="together",
    source=(
        "together-python 3.1: `types/batch_job.py`, `types/batch_create_params.py`, "
        "`resources/batches.py`; docs.together.ai: reference `POST /files/upload`, batch overview"
    ),
    base_url="https://api.together.ai/v1",
    key_variable="TOGETHER_API_KEY",
    # 100 MB, of which some is left for the blanks that mark an upload.
    max_bytes=99_000_000,
    # Transcriptions and translations, which it takes too, are none of our endpoints.
    endpoints=(CHAT,),
    # "Defaults to 24h and cannot be changed; it is a best-effort target."
    window_hours=_DAY,
    metadata=None,
    expiry_seconds=None,
    purpose="batch-api",
    upload_path="/files/upload",
    upload_form={"file_name": "{filename}", "file_type": "jsonl"},
    # A file of equal content is answered with 409 and the id of the one that is there (`lib/
    # resources/files.py`), by whose name our batch would not be found. Seen in the SDK for the
    # other way to upload; not verified for this one.
    marks_uploads=True,
    # The reply of a creation is `{"job": ..., "warning": ...}`, that of a read is the batch.
    batch_field="job",
    phases={word.upper(): phase for word, phase in PHASES.items()},
    # The reply is a bare array, and `list` has no parameters. Whether it has all is not documented.
    listing=Listing.WHOLE,
    price_list="together",
    price_note="Together's discount for batches differs from model to model",
)

DEEPINFRA = Profile(
    name="deepinfra",
    source="docs.deepinfra.com/batch: introduction, batch endpoints, file endpoints (2026)",
    base_url="https://api.deepinfra.com/v1/openai",
    key_variable="DEEPINFRA_API_KEY",
    endpoints=(CHAT, COMPLETIONS, EMBEDDINGS),
    window_hours=_DAY,
    # Batches cost 20 % less than the standard price, says its page of 2026-06-19; the price library
    # does not have it.
)

DOUBLEWORD = Profile(
    name="doubleword",
    source="doublewordai/control-layer: `dwctl/src/api/models/{batches,files,pagination}.rs`",
    base_url="https://api.doubleword.ai/v1",
    key_variable="DOUBLEWORD_API_KEY",
    # "Allowed values are configured per instance": 24h and 1h are the examples.
    window_hours=(1, 24),
    # 16 pairs; that names and values are as long as at OpenAI is assumed. The creation of a batch
    # takes no time to keep its files, and what an upload takes was not looked up.
    expiry_seconds=None,
    price_list="doubleword",
)

XEROTIER = Profile(
    name="xerotier",
    source="xerotier.ai/docs/batch, copy of 2026; an older copy differs in rates only",
    base_url="https://api.xerotier.ai/{slug}/v1",
    slug_is="the project's id, or that and the endpoint's slug as proj_ABC123/my-endpoint",
    key_variable="XEROTIER_API_KEY",
    # Of requests no limit is documented. Files of up to 500 MB can be uploaded, and batches of more
    # than 100 MB fail when they are validated.
    max_bytes=100_000_000,
    endpoints=(CHAT, EMBEDDINGS, RESPONSES),
    window_hours=_DAY,
    metadata=MetadataLimits(pairs=None, name=None, value=None, bytes=16 * 1024),
    expiry_seconds=None,
    listing=Listing.ANY_ORDER,
    # "No batch-tier pricing discount is applied"; the price library does not have it.
)

NOVITA = Profile(
    name="novita",
    source="novita.ai/docs: guide llm-batch-api and reference create batch, copies of 2026",
    base_url="https://api.novita.ai/openai/v1",
    key_variable="NOVITA_API_KEY",
    # Of requests and bytes no limit is documented.
    endpoints=(CHAT, COMPLETIONS),
    # One copy of the guide says 24h, another 48h; neither can be adjusted.
    window_hours=(24, 48),
    # The reply has metadata, the request has none.
    metadata=None,
    expiry_seconds=None,
    phases={
        **{word.upper(): phase for word, phase in PHASES.items()},
        "PROGRESS": Phase.OPEN,
    },
    price_list="novita",
    price_note="Novita's batches may cost less than its standard price",
)

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        OPENAI,
        AZURE,
        AZURE_2024,
        GROQ,
        TOGETHER,
        DEEPINFRA,
        DOUBLEWORD,
        XEROTIER,
        NOVITA,
    )
}

#: What a user cannot change: it is what the profile is called, and why it is believed.
_FIXED = ("name", "source")


def profile_with(name: str, overrides: Mapping[str, Any]) -> Profile:
    """The profile of that name, and what a user knows better of the server.

    Raises DeclarationError for a profile or a field that is not known.
    """
    profile = PROFILES.get(name)
    if profile is None:
        raise DeclarationError(
            f"profile {name!r} is unknown: give one of {', '.join(PROFILES)}; a server that has "
            "none goes by openai and what you override of it"
        )
    known = msgspec.to_builtins(profile)
    for field in overrides:
        if field not in known or field in _FIXED:
            free = ", ".join(each for each in known if each not in _FIXED)
            raise DeclarationError(f"overrides has {field!r}, which is none of {free}")
    words = {**known["phases"], **overrides.get("phases", {})}
    try:
        return msgspec.convert({**known, **overrides, "phases": words}, Profile)
    except msgspec.ValidationError as error:
        raise DeclarationError(f"overrides of the profile {name}: {error}") from error
