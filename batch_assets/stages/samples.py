"""A few requests of a request set, for a person to look at."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.request import custom_id_prefix, ordinal_of
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest
from batch_assets.files.parquet import stream_parquet
from batch_assets.prompt.envelope import Envelope
from batch_assets.prompt.shown import prompt_text

#: Items that metadata shows as a sample: the first ones, in the corpus's order.
SAMPLE_ITEMS = 5


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """An item, and the request that asks about it."""

    item_id: str
    #: Empty where no batch can hold the item.
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        return prompt_text(self.body)


def sample_requests(
    files: Files, manifest: Manifest, envelope: Envelope, *, items: int = SAMPLE_ITEMS
) -> Sequence[SampleRequest]:
    """The first items of a request set and their requests; items of one pack have the same one.

    Raises ArtifactError where the item index is missing or damaged.
    """
    ids: list[str] = []
    ordinals: list[int | None] = []
    columns = ["item_id", "ordinal"]
    for rows in stream_parquet(files, manifest.layout.items, columns=columns):
        ids = rows.column("item_id").slice(0, items).to_pylist()
        ordinals = rows.column("ordinal").slice(0, items).to_pylist()
        break
    bodies = _bodies(
        files,
        manifest,
        envelope,
        max((each for each in ordinals if each is not None), default=-1),
    )
    # A pack's line has the ordinal of its first item.
    lines = [
        None if wanted is None else max((each for each in bodies if each <= wanted), default=None)
        for wanted in ordinals
    ]
    return [
        SampleRequest(item_id=item_id, body={} if line is None else bodies[line])
        for item_id, line in zip(ids, lines, strict=True)
    ]


def first_body(files: Files, manifest: Manifest, envelope: Envelope) -> Mapping[str, Any]:
    """The body of the first request; empty where there is none."""
    return next(iter(_bodies(files, manifest, envelope, 0).values()), {})


def _bodies(
    files: Files, manifest: Manifest, envelope: Envelope, last: int
) -> Mapping[int, Mapping[str, Any]]:
    """The bodies of the first lines, by their ordinals, up to the one that asks the last.

    A shard that is missing or damaged has none: nothing fails for the sake of a look.
    """
    bodies: dict[int, Mapping[str, Any]] = {}
    prefix = custom_id_prefix(manifest.digest)
    for shard in manifest.shards:
        if shard.first_ordinal > last:
            break
        damaged = (ArtifactError, msgspec.DecodeError, UnicodeDecodeError)
        with suppress(*damaged), files.open(shard.path) as lines:
            for raw in lines:
                line = envelope.read(raw)
                ordinal = ordinal_of(line.custom_id, prefix)
                if ordinal is None or ordinal > last:
                    break
                bodies[ordinal] = _read(line.body)
    return bodies


def _read(body: bytes) -> Mapping[str, Any]:
    """The body; of a ready-made one that is no plain JSON, nothing is shown."""
    try:
        # Unlike msgspec it reads half of a surrogate pair, which ready-made bodies may have.
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
