"""What a person can write on a batch: pairs of texts, as many and as long as its provider takes."""

from collections.abc import Mapping
from dataclasses import dataclass

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.provider import KEY_METADATA

#: Characters of a batch's key.
_KEY_LENGTH = 32


@dataclass(frozen=True, kw_only=True)
class MetadataLimits:
    """What of our words a batch can carry, our key among them. None is no limit.

    OpenAI's (`batch_create_params.py`), unless declared.
    """

    pairs: int | None = 16
    #: Characters of a name, and of a value.
    name: int | None = 64
    value: int | None = 512
    #: Of all names and values together, in UTF-8.
    bytes: int | None = None

    def check(self, metadata: Mapping[str, str], provider: str) -> None:
        """Raise DeclarationError for what a batch cannot carry beside our key."""
        check_own_name(metadata)
        if self.pairs is not None and len(metadata) >= self.pairs:
            raise DeclarationError(
                f"metadata has {len(metadata)} pairs; the API takes {self.pairs - 1} beside our "
                "own: leave some out"
            )
        for name, value in metadata.items():
            too_long = _exceeds(name, self.name) or _exceeds(value, self.value)
            if not name or too_long:
                raise DeclarationError(
                    f"metadata {name[:64]!r}: the API takes names of 1 to {self.name} characters "
                    f"and values of {self.value} at most: shorten it"
                )
        whole = {**metadata, KEY_METADATA: "0" * _KEY_LENGTH}
        size = sum(len(text.encode()) for pair in whole.items() for text in pair)
        if self.bytes is not None and size > self.bytes:
            raise DeclarationError(
                f"metadata has {size:,} bytes with our key; {provider} takes {self.bytes:,} in "
                "all: shorten it"
            )


def check_own_name(metadata: Mapping[str, str]) -> None:
    """Raise DeclarationError where a person's words would stand in the place of our key."""
    if KEY_METADATA in metadata:
        raise DeclarationError(
            f"metadata has {KEY_METADATA}, by which batches are recognised: choose another name"
        )


def _exceeds(text: str, limit: int | None) -> bool:
    return limit is not None and len(text) > limit
