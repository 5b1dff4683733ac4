"""audit: hold what a provider has of an account against the ledger.

It only reads, at both ends, while others go on working. So the ledger is asked for its open batches
before the provider's list, and for everything else after it: a row is there before its batch is.
Of a batch that agrees with its row nothing is kept.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from batch_assets.domain.audit import Case, Finding, FindingKind, case_of, findings_of
from batch_assets.domain.batch import FINAL, Batch, BatchId, BatchState
from batch_assets.domain.errors import BatchUnknown, ProviderUnavailable, RequestRefused
from batch_assets.domain.provider import Phase, ProviderBatch, RemoteFile, Upload
from batch_assets.ledger.queries import NOBODY
from batch_assets.stages.read_back import Listed, read_back
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.recover import AGO
from batch_assets.stages.sweep import is_orphan

#: Batches or files that the ledger is asked about at once.
PORTION = 500

#: Batches, missing from a list or in doubt, that the provider is asked about one by one.
MOST_ASKED = 100


class Audit:
    """One account's batches and files that were created at `since` or later.

    What it counts is whole once all findings were taken.
    """

    def __init__(
        self, deployment: Deployment, *, since: datetime, kinds: frozenset[FindingKind]
    ) -> None:
        self._ledger, self._provider = deployment.ledger, deployment.provider
        self._account = deployment.provider.account
        self._since, self._kinds = since, kinds
        #: Batches and files that the provider lists.
        self.batches = self.files = 0
        #: Batches that have ended there and are open in the ledger: the next look at them tells.
        self.not_asked_yet = 0
        #: Open batches of the ledger that were offered before `since`.
        self.older = 0
        #: Files of batches that are over, and their bytes, as far as the provider tells.
        self.remaining_files = self.remaining_bytes = 0
        #: What could not be looked at, in sentences.
        self.unread: list[str] = []
        #: Batches that do not simply agree with their rows.
        self._odd: list[ProviderBatch] = []

    def findings(self) -> Iterator[Finding]:
        """What is found, of the kinds that are asked for: batches, then files.

        Raises the provider's errors; that it has no list is none, and stands in `unread`.
        """
        for finding in self._all():
            if finding.case.kind in self._kinds:
                yield finding

    def _all(self) -> Iterator[Finding]:
        missing = self._open_since()
        is_listed = True
        try:
            for portion in _portions(read_back(self._provider.batches(), self._since)):
                self._take(portion, missing)
        except RequestRefused as error:
            self.unread.append(error.message)
            is_listed = False
        yield from self._judged()
        yield from self._missing(missing, is_listed=is_listed)
        try:
            yield from self._of_files(is_listed=is_listed)
        except RequestRefused as error:
            self.unread.append(error.message)

    def _open_since(self) -> dict[str, datetime]:
        """The ledger's open batches that the list must have, with when each was offered."""
        found = self._ledger.audits.open_ids(self._account)
        recent = {id_: at for id_, at in found.items() if at >= self._since}
        self.older = len(found) - len(recent)
        return recent

    def _take(self, portion: Sequence[ProviderBatch], missing: dict[str, datetime]) -> None:
        rows = self._rows(portion)
        for found in portion:
            missing.pop(found.id, None)
            if found.created_at < self._since:
                continue
            self.batches += 1
            row = rows.get(found.id)
            if row is None or row.provider_id is None or case_of(found, row, is_doubtful=False):
                self._odd.append(replace(found, metadata={}, problems=(), usage=None))
            elif found.phase is Phase.ENDED and row.state is BatchState.SUBMITTED:
                self.not_asked_yet += 1

    def _rows(self, batches: Iterable[ProviderBatch]) -> Mapping[str, Batch]:
        """The ledger's row of each, by the provider's id: by the key, else by the id itself."""
        keys = {each.id: each.key for each in batches}
        by_key = self._ledger.batches_by_key([key for key in keys.values() if key is not None])
        found = {id_: by_key[key] for id_, key in keys.items() if key and key in by_key}
        others = [id_ for id_ in keys if id_ not in found]
        return {**found, **self._ledger.audits.by_provider_id(self._account, others)}

    def _judged(self) -> Sequence[Finding]:
        """What the odd ones are, by the ledger as it stands now that the list is read."""
        rows = self._rows(self._odd)
        doubtful = frozenset(row.id for row in rows.values() if self._is_doubtful(row))
        given_up = [row for row in rows.values() if row.state is BatchState.ABANDONED]
        others = {row.id: other for row in given_up if (other := self._other_attempt(row))}
        found = list(findings_of(self._odd, rows, doubtful=doubtful, others=others))
        return self._lost_without_key(found)

    def _is_doubtful(self, row: Batch) -> bool:
        if row.state is not BatchState.RESERVED or row.lease_until is None:
            return False
        return row.lease_owner == NOBODY or row.lease_until < self._ledger.clock()

    def _other_attempt(self, row: Batch) -> str | None:
        """The provider's id of a later batch of the same shard."""
        of_wave = self._ledger.batches(request_set=row.request_set.id, wave=row.wave)
        later = [x for x in of_wave if x.shard == row.shard and x.attempt > row.attempt]
        return next((each.provider_id for each in later if each.provider_id is not None), None)

    def _lost_without_key(self, found: list[Finding]) -> Sequence[Finding]:
        """The same, where a batch without a key is seen to be the one of a row in doubt.

        The provider is asked as `recover` asks it, and nothing is recorded.
        """
        bare = {
            finding.batch.id: at
            for at, finding in enumerate(found)
            if finding.case is Case.NO_KEY and finding.batch is not None
        }
        told = {finding.row.id for finding in found if finding.row is not None}
        rows = self._ledger.doubtful_batches(self._account) if bare else ()
        for row in [each for each in rows if each.id not in told][:MOST_ASKED]:
            assert row.reserved_at is not None
            try:
                batch = self._provider.find(
                    row.key,
                    since=row.reserved_at,
                    requests=row.reservation.requests,
                    besides=self._ledger.provider_ids(self._account, since=row.reserved_at - AGO),
                )
            except (ProviderUnavailable, RequestRefused) as error:
                self.unread.append(error.message)
                continue
            if batch is not None and batch.id in bare:
                found[bare[batch.id]] = Finding(case=Case.LOST_REPLY, batch=batch, row=row)
        return found

    def _missing(self, missing: Mapping[str, datetime], *, is_listed: bool) -> Iterator[Finding]:
        """The open batches that the list did not have, and that are still open in the ledger.

        A list may leave some out, so the provider is asked about each; but not about thousands.
        """
        asked = list(missing)[:MOST_ASKED]
        suspects = dict.fromkeys(self._unknown(asked, missing), Case.GONE)
        others = list(missing)[MOST_ASKED:]
        if is_listed:
            suspects.update(dict.fromkeys(others, Case.NOT_LISTED))
        elif others:
            self.unread.append(f"{len(others):,} open batches were not asked about one by one")
        rows = self._ledger.audits.by_provider_id(self._account, suspects)
        for id_, row in rows.items():
            if row.state is BatchState.SUBMITTED:
                yield Finding(case=suspects[id_], row=row)

    def _unknown(self, ids: Sequence[str], offered: Mapping[str, datetime]) -> Iterable[str]:
        """Those of the ids that the provider does not know."""
        if not ids:
            return ()
        newest_first = sorted(ids, key=lambda id_: offered[id_], reverse=True)
        try:
            for _ in self._provider.poll(ids, since=offered[newest_first[-1]], among=newest_first):
                pass
        except BatchUnknown as error:
            return error.ids
        return ()

    def _of_files(self, *, is_listed: bool) -> Iterator[Finding]:
        """Request files that no batch came of, and files of batches that are over."""
        keys = {each.id: each.key for each in self._provider.uploads(since=self._since)}
        numbers = self._ledger.audits.answer_files(self._account)
        used = {batch.input_file_id for batch in self._odd}
        for portion in _portions(read_back(self._provider.files(), self._since)):
            files = [each for each in portion if (each.created_at or self._since) >= self._since]
            self.files += len(files)
            for finding in self._of_portion(files, keys, numbers):
                assert finding.file is not None
                if finding.case.kind is FindingKind.REMAINS:
                    self.remaining_files += 1
                    self.remaining_bytes += finding.file.bytes or 0
                elif finding.file.id in used or not (is_listed or finding.row):
                    continue  # a batch was seen to have it, or may have it
                yield finding

    def _of_portion(
        self,
        files: Sequence[RemoteFile],
        keys: Mapping[str, str],
        numbers: Mapping[str, BatchId],
    ) -> Iterator[Finding]:
        """`keys` has the keys of our request files, `numbers` the rows of our files of answers."""
        by_key = self._ledger.batches_by_key([keys[each.id] for each in files if each.id in keys])
        by_number = self._ledger.audits.of_numbers(
            {numbers[each.id] for each in files if each.id in numbers}
        )
        for file in files:
            if file.id in keys:
                row = by_key.get(keys[file.id])
                case = _case_of_upload(Upload(id=file.id, key=keys[file.id]), row)
                if case is not None:
                    yield Finding(case=case, file=file, row=row)
            elif file.id in numbers:
                yield Finding(case=Case.ANSWERS, file=file, row=by_number.get(numbers[file.id]))


def _case_of_upload(upload: Upload, row: Batch | None) -> Case | None:
    """What a request file is that no batch of another's was made of; `row` has its key."""
    if row is None:
        return Case.FOREIGN_FILE
    if is_orphan(upload, row):
        return Case.UNUSED_FILE
    return Case.REQUESTS if row.state in FINAL else None


def _portions(listed: Iterable[Listed]) -> Iterator[Sequence[Listed]]:
    entries = iter(listed)
    while portion := list(islice(entries, PORTION)):
        yield portion
