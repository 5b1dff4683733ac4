"""look: batches and files at the provider, and what the ledger knows of them."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from batch_assets.domain.batch import FINAL, Account, Batch, BatchState
from batch_assets.domain.errors import BatchUnknown
from batch_assets.domain.provider import Provider, ProviderBatch, RemoteFile
from batch_assets.ledger import Ledger

#: What `Provider.submit` takes as a key.
_KEY = re.compile(r"[0-9a-f]{32}")

_MONTH = timedelta(days=30)


class Whose(StrEnum):
    """To whom a batch at the provider belongs."""

    #: The ledger has it.
    OURS = "ours"
    #: It carries a key of ours that the ledger does not have: another ledger's, or made directly.
    KEYED = "keyed"
    OTHERS = "others"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A batch at the provider, and the ledger's row of it where it has one."""

    batch: ProviderBatch
    ours: Batch | None

    @property
    def whose(self) -> Whose:
        if self.ours is not None:
            return Whose.OURS
        return Whose.OTHERS if self.batch.key is None else Whose.KEYED


def seen(ledger: Ledger, account: Account, batches: Sequence[ProviderBatch]) -> list[Seen]:
    """The batches with what the ledger knows of them: by the provider's id, or by the key."""
    by_id = ledger.batches_by_provider_id(account, [batch.id for batch in batches])
    by_key = ledger.batches_by_key([batch.key for batch in batches if batch.key is not None])
    return [
        Seen(batch=batch, ours=by_id.get(batch.id) or by_key.get(batch.key or ""))
        for batch in batches
    ]


def batch_at(provider: Provider, name: str, *, now: datetime) -> ProviderBatch:
    """The batch of that id, however old, or one of the last month that carries it as its key.

    Raises BatchUnknown where the provider has none.
    """
    try:
        # Of any age: the list is not read back to it.
        [found] = provider.poll([name], since=now)
    except BatchUnknown:
        carrying = provider.find(name, since=now - _MONTH) if _KEY.fullmatch(name) else None
        if carrying is None:
            raise
        return carrying
    return found


def needed_files(ledger: Ledger) -> Mapping[str, Batch]:
    """The files at the provider that batches of the ledger still need, by their ids and, of
    batches in doubt, by the names that requests are uploaded under.
    """
    found: dict[str, Batch] = {}
    for batch in ledger.batches(states=set(BatchState) - FINAL - {BatchState.PLANNED}):
        ids = (batch.input_file_id, batch.output_file_id, batch.error_file_id)
        found |= {each: batch for each in (*ids, f"{batch.key}.jsonl") if each is not None}
    return found


def files_at(provider: Provider, ids: Collection[str]) -> Mapping[str, RemoteFile]:
    """Those of the files that the provider has. Raises RequestRefused where it has no list."""
    missing, found = set(ids), {}
    for file in provider.files():
        if file.id in missing:
            missing.remove(file.id)
            found[file.id] = file
        if not missing:
            break
    return found
