"""What an audit found, as a row: with what to do about it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from batch_assets.cli.render import Row
from batch_assets.domain.audit import Case, Finding
from batch_assets.domain.batch import Account
from batch_assets.domain.provider import Phase

if TYPE_CHECKING:
    from batch_assets.stages.audit_cost import ExpectedCosts

_DELETE = "`batch-assets files delete {id} {at}`"

#: What can be done at the provider about a batch that is open, or has ended.
_STOP = "to stop it: `batch-assets batches cancel {id} {at}`"
_BRING = "it has ended; its answers: `batch-assets batches download {id} {at}`"

#: What to do about each case; `{end}` is what can be done at the provider.
_TODO: Mapping[Case, str] = {
    Case.NO_KEY: "made without batch-assets: ask who did; {end}",
    Case.FOREIGN_KEY: "made from another ledger, which --db-path names, or by `batch-assets "
    "batches create`; where nobody knows it, {end}",
    Case.SAME_KEY: "paid for beside {other}: see what sends beside the ledger; {end}",
    Case.OFFERED_AGAIN: "its shard was sent again as {other}, and is paid for twice; {end}",
    Case.LOST_REPLY: "nothing: the sensor's next look takes it up, as `batch-assets wait "
    "{inference}{m}` does; where it cannot: `batch-assets decide {number} adopt --provider-id "
    "{id}{m}`",
    Case.RELEASED: "its shard waits to be sent again, which `batch-assets pause {inference} "
    "--reason audit` prevents; {end}",
    Case.GIVEN_UP: "nobody brings its answers in; {end}",
    Case.UNUSED_FILE: f"nothing: the sensor deletes it within the hour; where it stays: {_DELETE}",
    Case.FOREIGN_FILE: "of another ledger, or of a `batches create` that failed; where nobody "
    f"knows it: {_DELETE}",
    Case.GONE: "have its shard sent again: `batch-assets decide {number} offer_again{m}`; or "
    "`give_up`",
    Case.NOT_LISTED: "see that the key is of the account {account}: many of its batches are not "
    "in the list",
    Case.REQUESTS: f"{_DELETE}; `keeps_remote: false` has it done by itself",
    Case.ANSWERS: f"{_DELETE}; `keeps_remote: false` has it done by itself",
}


class Audited(Row, frozen=True, kw_only=True):
    """Something that the provider and the ledger do not agree about."""

    #: unknown, twin, orphan, missing or remains.
    kind: str
    #: What exactly: no_key, foreign_key; same_key, offered_again; lost_reply, released, given_up,
    #: unused_file, foreign_file; gone, not_listed; requests, answers.
    case: str
    #: The resource that it was asked by, and the account as the ledger has it.
    provider: str
    account: str
    #: The provider's id of the batch, or else of the file that it is about.
    batch_id: str | None = None
    file_id: str | None = None
    #: Our key that it carries, or under which it was sent.
    key: str | None = None
    #: Of a twin: the batch that it is one too many beside.
    twin_of: str | None = None
    #: The ledger's batch that it belongs to: its number, where it stands, and what it asks.
    number: int | None = None
    state: str | None = None
    inference: str | None = None
    partition: str | None = None
    wave: int | None = None
    shard: int | None = None
    #: The provider's own word for where the batch stands, or for what the file is for.
    status: str | None = None
    #: By the provider's clock: ISO 8601.
    created_at: str | None = None
    #: Requests of the batch.
    requests: int | None = None
    #: Of a file.
    bytes: int | None = None
    #: What the batch was expected to cost, where the ledger and the store know it.
    estimated_usd: float | None = None
    #: In a sentence, with the command.
    todo: str


class AuditLine(Row, frozen=True, kw_only=True):
    """The same for a person."""

    kind: str
    case: str
    provider: str
    id: str
    of: str | None
    status: str | None
    created_at: str | None
    requests: int | None
    usd: float | None


def audited(
    finding: Finding, *, name: str, account: Account, module: str | None, costs: "ExpectedCosts"
) -> Audited:
    """The row of a finding; `name` is the provider's resource, of the `module` if there is one."""
    batch, file, row = finding.batch, finding.file, finding.row
    listed = file if batch is None else batch
    created = None if listed is None else listed.created_at
    usd = None if row is None or file is not None else costs.of(row)
    found = Audited(
        kind=finding.case.kind,
        case=finding.case,
        provider=name,
        account=account,
        batch_id=batch.id if batch else row.provider_id if row and not file else None,
        file_id=None if file is None else file.id,
        key=row.key if row else batch.key if batch else None,
        twin_of=finding.twin_of,
        number=None if row is None else row.id,
        state=None if row is None else row.state,
        inference=None if row is None else row.request_set.inference,
        partition=None if row is None else row.request_set.partition_key,
        wave=None if row is None else row.wave,
        shard=None if row is None else row.shard,
        status=batch.status if batch else file.purpose if file else None,
        created_at=None if created is None else created.isoformat(timespec="seconds"),
        requests=_requests(finding),
        bytes=None if file is None else file.bytes,
        estimated_usd=None if usd is None else float(usd),
        todo="",
    )
    return msgspec.structs.replace(found, todo=_todo(finding, found, module))


def line_of(row: Audited) -> AuditLine:
    """The same for a person."""
    where = None if row.inference is None else f"{row.inference} ({row.partition})"
    return AuditLine(
        kind=row.kind,
        case=row.case,
        provider=row.provider,
        id=row.batch_id or row.file_id or "",
        of=where,
        status=row.status,
        created_at=row.created_at and row.created_at[:16].replace("T", " "),
        requests=row.requests,
        usd=row.estimated_usd,
    )


def todos_of(rows: Sequence[Audited]) -> Iterator[str]:
    """What to do, for a person: of findings of one case the first one's."""
    by_case: dict[str, list[Audited]] = {}
    for row in rows:
        by_case.setdefault(row.case, []).append(row)
    for case, some in by_case.items():
        more = "" if len(some) == 1 else f" (and so with {len(some) - 1:,} more)"
        yield f"{case}: {some[0].todo}{more}"


def _requests(finding: Finding) -> int | None:
    """Of the batch; the provider may not have counted them."""
    if finding.file is not None:
        return None
    told = None if finding.batch is None else finding.batch.total
    return finding.row.reservation.requests if finding.row is not None else told


def _todo(finding: Finding, found: Audited, module: str | None) -> str:
    """What ids a provider gives away is text of others: it is quoted for the shell."""
    located = "" if module is None else f" -m {shlex.quote(module)}"
    ended = finding.batch is not None and finding.batch.phase is Phase.ENDED
    values = {
        "id": shlex.quote(found.batch_id or found.file_id or ""),
        "at": f"--provider {shlex.quote(found.provider)}{located}",
        "m": located,
        "other": found.twin_of,
        "inference": shlex.quote(found.inference or ""),
        "number": found.number,
        "account": found.account,
    }
    end = (_BRING if ended else _STOP).format(**values)
    return _TODO[finding.case].format(end=end, **values)
