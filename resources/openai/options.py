"""What a batch and its files are created with, beside the requests themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.provider import KEY_METADATA

#: Seconds that files may be kept: `file_create_params.py` and `batch_create_params.py`.
EXPIRY_SECONDS = range(3_600, 2_592_001)

#: Pairs of metadata, of which one is our key, and characters of a name and of a value
#: (`batch_create_params.py`).
MOST_METADATA = 15
LONGEST_NAME = 64
LONGEST_VALUE = 512

_WINDOW = re.compile(r"[1-9][0-9]{0,2}[hd]")


@dataclass(frozen=True, kw_only=True)
class CreateOptions:
    """The options of one account. Raises DeclarationError for one that no batch could have."""

    completion_window: str = "24h"
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: None leaves it at the provider's own.
    input_expires_after_seconds: int | None = None
    output_expires_after_seconds: int | None = None

    def __post_init__(self) -> None:
        if not _WINDOW.fullmatch(self.completion_window):
            raise DeclarationError(
                f"completion_window is {self.completion_window!r}; write hours or days, as 24h, "
                "the only one that OpenAI takes"
            )
        self._check_expiry("input_expires_after_seconds", self.input_expires_after_seconds)
        self._check_expiry("output_expires_after_seconds", self.output_expires_after_seconds)
        self._check_metadata()

    def _check_expiry(self, name: str, seconds: int | None) -> None:
        if seconds is not None and seconds not in EXPIRY_SECONDS:
            raise DeclarationError(
                f"{name} is {seconds}; the API takes {EXPIRY_SECONDS[0]} to "
                f"{EXPIRY_SECONDS[-1]}, an hour to thirty days"
            )

    def _check_metadata(self) -> None:
        if KEY_METADATA in self.metadata:
            raise DeclarationError(
                f"metadata has {KEY_METADATA}, by which batches are recognised: choose another name"
            )
        if len(self.metadata) > MOST_METADATA:
            raise DeclarationError(
                f"metadata has {len(self.metadata)} pairs; the API takes {MOST_METADATA} beside "
                "our own: leave some out"
            )
        for name, value in self.metadata.items():
            if not name or len(name) > LONGEST_NAME or len(value) > LONGEST_VALUE:
                raise DeclarationError(
                    f"metadata {name[:LONGEST_NAME]!r}: the API takes names of 1 to "
                    f"{LONGEST_NAME} characters and values of {LONGEST_VALUE} at most: shorten it"
                )
