"""Settings of an inference: what an endpoint takes beside the prompt, by name and by value.

Ranges are those of OpenAI's API reference and of the docstrings of its SDK's types.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from batch_assets.domain.errors import DeclarationError

#: Settings by name, each with the type its value must have.
Known = Mapping[str, Any]

#: Settings of the API that are not a user's to give, each with the reason.
Reserved = Mapping[str, str]

#: The one setting that is no name of the API's: fields that are put into each body unchecked.
EXTRA_BODY = "extra_body"

_Text = Annotated[str, Meta(min_length=1)]

Count = Annotated[int, Meta(ge=1)] | None
Flag = bool | None
Metadata = (
    Annotated[
        dict[
            Annotated[str, Meta(min_length=1, max_length=64)],
            Annotated[str, Meta(max_length=512)],
        ],
        Meta(max_length=16),
    ]
    | None
)
LogitBias = dict[str, Annotated[int, Meta(ge=-100, le=100)]] | None
Penalty = Annotated[float, Meta(ge=-2, le=2)] | None
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None
SafetyIdentifier = Annotated[str, Meta(max_length=64)] | None
Seed = int | None
Stop = str | Annotated[list[str], Meta(min_length=1, max_length=4)] | None
Temperature = Annotated[float, Meta(ge=0, le=2)] | None
TopLogprobs = Annotated[int, Meta(ge=0, le=20)] | None
TopP = Annotated[float, Meta(ge=0, le=1)] | None
User = str
Verbosity = Literal["low", "medium", "high"] | None

#: How a provider is to cache prompts; the same for chat completions and responses.
PROMPT_CACHE: Known = {
    "prompt_cache_key": _Text | None,
    "prompt_cache_options": dict[str, Any],
    "prompt_cache_retention": Literal["in_memory", "24h"] | None,
}


def as_called_here(settings: Mapping[str, Any], aliases: Mapping[str, str]) -> Mapping[str, Any]:
    """The settings by an endpoint's own names. Raises DeclarationError for one given twice."""
    for name, own in aliases.items():
        if name in settings and own in settings:
            raise DeclarationError(f"settings {name!r} and {own!r} are the same: give one of them")
    return {aliases.get(name, name): value for name, value in settings.items()}


def check_settings(settings: Mapping[str, Any], url: str, known: Known, reserved: Reserved) -> None:
    """Raise DeclarationError for a setting that cannot be sent, naming it and the reason."""
    for name, value in settings.items():
        if name == EXTRA_BODY:
            continue
        if name in reserved:
            raise DeclarationError(f"setting {name!r} cannot be given: {reserved[name]}")
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise DeclarationError(
                f"setting {name!r} is unknown to {url}; it knows {names}. What only your server "
                f"knows goes into {EXTRA_BODY}"
            )
        _check_json(name, value)
        try:
            msgspec.convert(value, known[name])
        except msgspec.ValidationError as error:
            raise refused_value(name, value, error) from error


def refused_value(name: str, value: Any, error: msgspec.ValidationError) -> DeclarationError:
    """The refusal of a setting's value."""
    return DeclarationError(f"setting {name!r} cannot be {value!r}: {error}")


def extra_fields(settings: Mapping[str, Any], taken: Iterable[str]) -> Mapping[str, Any]:
    """What `extra_body` adds to each body. Raises DeclarationError for a name that is taken."""
    extra = settings.get(EXTRA_BODY, {})
    if not isinstance(extra, Mapping) or not all(isinstance(name, str) for name in extra):
        raise DeclarationError(f"setting {EXTRA_BODY!r} must be a mapping of names to values")
    _check_json(EXTRA_BODY, extra)
    for name in sorted(extra.keys() & set(taken)):
        raise DeclarationError(
            f"setting {EXTRA_BODY!r} cannot have {name!r}, which stands in each body already"
        )
    return extra


def _check_json(name: str, value: Any) -> None:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise DeclarationError(
            f"setting {name!r} cannot be written as JSON ({error}): give it a plain value"
        ) from error
