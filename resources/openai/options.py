"""What a batch and its files are created with, beside the requests themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.provider import KEY_METADATA
from batch_assets.resources.metadata import check_own_name
from batch_assets.resources.openai.profile import OPENAI, Profile

_WINDOW = re.compile(r"([1-9][0-9]{0,2})([hd])")
_HOURS = {"h": 1, "d": 24}


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

    def adding(self, metadata: Mapping[str, str]) -> Self:
        """These options for a batch that carries more words. Raises DeclarationError."""
        return replace(self, metadata={**self.metadata, **metadata})

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
        if limits is not None:
            limits.check(self.metadata, self.profile.name)
            return
        check_own_name(self.metadata)
        if self.metadata:
            raise DeclarationError(
                f"metadata is given, and batches of {self.profile.name} carry none: leave it out"
            )


def _in_words(hours: tuple[int, ...]) -> str:
    if len(hours) > 3:
        return f"{min(hours)}h to {max(hours)}h"
    return " or ".join(f"{each}h" for each in hours)


def _in_time(seconds: int) -> str:
    return f"{seconds // 3_600}h" if seconds < 86_400 else f"{seconds // 86_400} days"
