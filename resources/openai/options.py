"""What a batch and its files are created with, beside the requests themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.provider import KEY_METADATA
from batch_assets.resources.openai.profile import OPENAI, Profile

_WINDOW = re.compile(r"([1-9][0-9]{0,2})([hd])")
_HOURS = {"h": 1, "d": 24}

#: Characters of a batch's key.
_KEY_LENGTH = 32


@dataclass(frozen=True, kw_only=True)
class CreateOptions:
    """The options of one account. Raises DeclarationError for one that no batch could have."""

    completion_window: str = "24h"
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: None leaves it at the provider's own.
    input_expires_after_seconds: int | None = None
    output_expires_after_seconds: int | None = None
    profile: Profile = OPENAI

    def __post_init__(self) -> None:
        self._check_window()
        self._check_expiry("input_expires_after_seconds", self.input_expires_after_seconds)
        self._check_expiry("output_expires_after_seconds", self.output_expires_after_seconds)
        self._check_metadata()

    def metadata_with(self, key: str) -> Mapping[str, str] | None:
        """What the batch of that key carries; None at a server that keeps none."""
        return None if self.profile.metadata is None else {**self.metadata, KEY_METADATA: key}

    def _check_window(self) -> None:
        window = self.completion_window
        found = _WINDOW.fullmatch(window)
        if not found:
            raise DeclarationError(
                f"completion_window is {window!r}; write hours or days, as 24h, "
                "the only one that OpenAI takes"
            )
        hours = self.profile.window_hours
        if hours is not None and int(found[1]) * _HOURS[found[2]] not in hours:
            raise DeclarationError(
                f"completion_window is {window}; {self.profile.name} takes {_in_words(hours)}"
            )

    def _check_expiry(self, name: str, seconds: int | None) -> None:
        if seconds is None:
            return
        if self.profile.expiry_seconds is None:
            raise DeclarationError(
                f"{name} is {seconds}, and {self.profile.name} is not known to take a time for "
                "which files are kept: leave it out"
            )
        least, most = self.profile.expiry_seconds
        if not least <= seconds <= most:
            raise DeclarationError(
                f"{name} is {seconds}; the API takes {least} to {most}, "
                f"{_in_time(least)} to {_in_time(most)}"
            )

    def _check_metadata(self) -> None:
        limits = self.profile.metadata
        if KEY_METADATA in self.metadata:
            raise DeclarationError(
                f"metadata has {KEY_METADATA}, by which batches are recognised: choose another name"
            )
        if limits is None:
            if self.metadata:
                raise DeclarationError(
                    f"metadata is given, and batches of {self.profile.name} carry none: leave it "
                    "out"
                )
            return
        if limits.pairs is not None and len(self.metadata) >= limits.pairs:
            raise DeclarationError(
                f"metadata has {len(self.metadata)} pairs; the API takes {limits.pairs - 1} beside "
                "our own: leave some out"
            )
        for name, value in self.metadata.items():
            too_long = _exceeds(name, limits.name) or _exceeds(value, limits.value)
            if not name or too_long:
                raise DeclarationError(
                    f"metadata {name[:64]!r}: the API takes names of 1 to "
                    f"{limits.name} characters and values of {limits.value} at most: shorten it"
                )
        whole = {**self.metadata, KEY_METADATA: "0" * _KEY_LENGTH}
        size = sum(len(text.encode()) for pair in whole.items() for text in pair)
        if limits.bytes is not None and size > limits.bytes:
            raise DeclarationError(
                f"metadata has {size:,} bytes with our key; {self.profile.name} takes "
                f"{limits.bytes:,} in all: shorten it"
            )


def _exceeds(text: str, limit: int | None) -> bool:
    return limit is not None and len(text) > limit


def _in_words(hours: tuple[int, ...]) -> str:
    if len(hours) > 3:
        return f"{min(hours)}h to {max(hours)}h"
    return " or ".join(f"{each}h" for each in hours)


def _in_time(seconds: int) -> str:
    return f"{seconds // 3_600}h" if seconds < 86_400 else f"{seconds // 86_400} days"
