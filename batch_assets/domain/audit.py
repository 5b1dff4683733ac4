"""audit: what a provider has, held against what the ledger says of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from batch_assets.domain.batch import Batch, BatchId, BatchState
from batch_assets.domain.provider import ProviderBatch, RemoteFile


class FindingKind(StrEnum):
    """What provider and ledger disagree about."""

    #: A batch at the provider that the ledger does not know.
    UNKNOWN = "unknown"
    #: A second batch for requests that another one has: they are paid for twice.
    TWIN = "twin"
    #: A batch or a request file of ours that the ledger has no hold of.
    ORPHAN = "orphan"
    #: A batch that the ledger follows, and that the provider does not have.
    MISSING = "missing"
    #: A file that the provider still keeps of a batch whose answers lie in the store.
    REMAINS = "remains"


class Case(StrEnum):
    """What was found, exactly."""

    #: It carries no key of ours, and no row of the ledger has its id.
    NO_KEY = "no_key"
    #: It carries a key of ours that no row of this ledger has.
    FOREIGN_KEY = "foreign_key"
    #: Another batch carries the same key.
    SAME_KEY = "same_key"
    #: The ledger gave it up, and its shard was offered again.
    OFFERED_AGAIN = "offered_again"
    #: Its row is reserved and in doubt: its reply was lost, or the process that sent it died.
    LOST_REPLY = "lost_reply"
    #: Its row is planned again, since the provider was thought not to have it.
    RELEASED = "released"
    #: The ledger gave it up, and no other batch has its shard so far.
    GIVEN_UP = "given_up"
    #: A request file under the key of a row whose batch was made of another one, or of none.
    UNUSED_FILE = "unused_file"
    #: A request file under a key that no row of this ledger has, and that no batch was made of.
    FOREIGN_FILE = "foreign_file"
    #: The provider, asked about it alone, does not know it.
    GONE = "gone"
    #: It is not in the provider's list; there were too many to ask about each alone.
    NOT_LISTED = "not_listed"
    #: The requests of a batch that is over.
    REQUESTS = "requests"
    #: Answers or errors of a batch that is collected.
    ANSWERS = "answers"

    @property
    def kind(self) -> FindingKind:
        return _KINDS[self]


_KINDS: Mapping[Case, FindingKind] = {
    Case.NO_KEY: FindingKind.UNKNOWN,
    Case.FOREIGN_KEY: FindingKind.UNKNOWN,
    Case.SAME_KEY: FindingKind.TWIN,
    Case.OFFERED_AGAIN: FindingKind.TWIN,
    Case.LOST_REPLY: FindingKind.ORPHAN,
    Case.RELEASED: FindingKind.ORPHAN,
    Case.GIVEN_UP: FindingKind.ORPHAN,
    Case.UNUSED_FILE: FindingKind.ORPHAN,
    Case.FOREIGN_FILE: FindingKind.ORPHAN,
    Case.GONE: FindingKind.MISSING,
    Case.NOT_LISTED: FindingKind.MISSING,
    Case.REQUESTS: FindingKind.REMAINS,
    Case.ANSWERS: FindingKind.REMAINS,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that a person should look at."""

    case: Case
    #: The batch as the provider describes it; None for one that it does not have, and of a file.
    batch: ProviderBatch | None = None
    file: RemoteFile | None = None
    #: The ledger's row that it belongs to; None where there is none.
    row: Batch | None = None
    #: Id of the batch that a twin is one too many beside.
    twin_of: str | None = None


def case_of(found: ProviderBatch, row: Batch | None, *, is_doubtful: bool) -> Case | None:
    """What one batch at the provider is, taken alone; None where all is as it should be.

    `row` has its key, or its id; `is_doubtful` says whether that row is in nobody's hands.
    """
    if row is None:
        return Case.NO_KEY if found.key is None else Case.FOREIGN_KEY
    if row.provider_id is not None:
        if row.provider_id != found.id:
            return Case.SAME_KEY
        # One that was given up after it had ended is no loss: nothing of it ran, or is left.
        is_lost = row.state is BatchState.ABANDONED and row.ended_at is None
        return Case.GIVEN_UP if is_lost else None
    match row.state:
        case BatchState.RESERVED:
            return Case.LOST_REPLY if is_doubtful else None
        case BatchState.PLANNED:
            return Case.RELEASED
        case _:
            return Case.GIVEN_UP


def findings_of(
    odd: Sequence[ProviderBatch],
    rows: Mapping[str, Batch],
    *,
    doubtful: frozenset[BatchId],
    others: Mapping[BatchId, str],
) -> Iterator[Finding]:
    """What the batches are that do not simply agree with the ledger; twins among them are told.

    `rows` has the ledger's row of each by the batch's id, where there is one, `doubtful` the
    numbers of rows that are in nobody's hands, and `others` the id of a further attempt's batch by
    the number of the row that was given up for it.
    """
    first = _first_by_key(odd)
    for found in odd:
        row = rows.get(found.id)
        case = case_of(found, row, is_doubtful=row is not None and row.id in doubtful)
        beside: str | None = None
        if row is not None and row.provider_id is not None:
            beside = row.provider_id if case is Case.SAME_KEY else None
        elif found.key is not None and first[found.key] is not found:
            case, beside = Case.SAME_KEY, first[found.key].id
        if case is Case.GIVEN_UP and row is not None and row.id in others:
            case, beside = Case.OFFERED_AGAIN, others[row.id]
        if case is not None:
            yield Finding(case=case, batch=found, row=row, twin_of=beside)


def _first_by_key(odd: Sequence[ProviderBatch]) -> Mapping[str, ProviderBatch]:
    """The newest batch of each key: it is the one that a search for the key finds."""
    first: dict[str, ProviderBatch] = {}
    for found in odd:
        if found.key is not None:
            known = first.setdefault(found.key, found)
            if found.created_at > known.created_at:
                first[found.key] = found
    return first
