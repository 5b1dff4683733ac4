"""carry_out: have a lane ask what a partition's open batches ask, and put the answers in the store.

Each answer is safe as soon as it is there, so a process that dies loses nothing of what it was
answered: whoever takes its batch up goes on behind it. What was on its way at that moment, as many
requests as the lane sends at once, is asked again.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Lock

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.errors import AccountRefused, BatchAssetsError, StaleMove
from batch_assets.domain.lane import CANCELLED, COMPLETED, Ask, Carrying, Lane, Order
from batch_assets.domain.provider import Phase, ProviderBatch
from batch_assets.files.answers_log import AnswersLog, open_log
from batch_assets.ledger import Ledger
from batch_assets.prompt.envelope import Envelope
from batch_assets.stages.control import stop_account
from batch_assets.stages.lease import LEASE, kept_by
from batch_assets.stages.plan import layout_of, shard_on_disk
from batch_assets.stages.recipe import Deployment, Recipe

#: How often the one who carries a batch out looks for orders, and says how far it is.
LOOK_EVERY = timedelta(seconds=1)


def carry_out(
    deployment: Deployment,
    recipe: Recipe,
    partition_key: str,
    *,
    look_every: timedelta = LOOK_EVERY,
) -> int:
    """Carry out the partition's batches that nobody else has in hand; how many have ended by it.

    None where no provider is a lane. Those of a request set that was replaced, or cancelled, end
    with what they have. Raises the lane's errors, and what was answered before stays.
    """
    ended = 0
    for own in deployment.by_provider:
        if isinstance(lane := own.provider, Lane):
            submitted = own.ledger.batches(
                partition=(recipe.inference, partition_key),
                account=lane.account,
                states={BatchState.SUBMITTED},
            )
            ended += sum(_carry(own, lane, recipe, batch, look_every) for batch in submitted)
    return ended


def _carry(
    deployment: Deployment, lane: Lane, recipe: Recipe, batch: Batch, look_every: timedelta
) -> bool:
    """Carry one batch out, unless another has it in hand; whether it has ended."""
    hands, owner = deployment.ledger.hands, deployment.owner
    holder = f"{owner}/{secrets.token_hex(4)}"
    if not hands.take(batch, holder=holder, lease=LEASE):
        return False
    folder, writer = layout_of(batch.request_set).answers(batch), secrets.token_hex(8)
    log = open_log(deployment.files, folder, writer=writer)
    try:
        with kept_by(lambda: hands.keep(batch, holder=holder, lease=LEASE), LEASE):
            work = _Work(deployment.ledger, batch, holder, log, recipe.packing.envelope, look_every)
            work.look()
            if work.order is Order.GO_ON:
                with shard_on_disk(deployment.files, batch) as shard, work.on(shard):
                    _have_asked(deployment, lane, work, batch)
            return _end(deployment, work, batch, holder)
    finally:
        log.close()
        hands.let_go(batch, holder=holder)


def _have_asked(deployment: Deployment, lane: Lane, work: "_Work", batch: Batch) -> None:
    try:
        lane.carry_out(work, endpoint=batch.endpoint)
    except AccountRefused as error:
        raise stop_account(deployment, error.message) from error
    except BatchAssetsError as error:
        deployment.ledger.note(batch, error.message)
        raise


def _end(deployment: Deployment, work: "_Work", batch: Batch, holder: str) -> bool:
    """Put what there is in its place, where nothing more is to come."""
    work.log.close()
    if work.order is Order.GO_ON:
        status = COMPLETED
    elif work.order is Order.END:
        status = CANCELLED
    else:
        return False
    path = layout_of(batch.request_set).raw_output(batch)
    has_lines = work.log.copy_to(path) > 0
    found = ProviderBatch(
        id=batch.key,
        phase=Phase.ENDED,
        status=status,
        created_at=batch.created_at,
        output_file_id=batch.key if has_lines else None,
    )
    try:
        deployment.ledger.hands.finish(batch, found, holder=holder, owner=deployment.owner)
    except StaleMove:
        return False  # another took it over, and finds the same answers
    work.log.delete()
    return True


class _Work(Carrying):
    """One batch in our hands."""

    def __init__(
        self,
        ledger: Ledger,
        batch: Batch,
        holder: str,
        log: AnswersLog,
        envelope: Envelope,
        look_every: timedelta,
    ) -> None:
        self._ledger = ledger
        self._batch = batch
        self._holder = holder
        self._envelope = envelope
        self._look_every = look_every.total_seconds()
        self._lock = Lock()
        self._heard = self._looked = time.monotonic()
        self._shard: Path | None = None
        self._answered: set[str] = set()
        self._count = self._failed = 0
        self.log = log
        self.order = Order.LEAVE

    @contextmanager
    def on(self, shard: Path) -> Iterator[None]:
        """With the requests of the shard, those apart that were answered before."""
        self._shard = shard
        self._answered = set(filter(None, map(self._whose, self.log.lines())))
        self._count = len(self._answered)
        try:
            yield
        finally:
            self._shard = None

    def _whose(self, line: bytes) -> str:
        try:
            return self._envelope.custom_id_of(line)
        except ValueError:  # msgspec's errors are of that type
            return ""

    def asks(self) -> Iterator[Ask]:
        assert self._shard is not None
        with self._shard.open("rb") as lines:
            for line in lines:
                if not line.strip():
                    continue
                custom_id, body = self._envelope.read(line)
                if custom_id not in self._answered:
                    yield Ask(custom_id=custom_id, body=body, line=line)

    def answered(self, line: bytes, *, failed: bool = False) -> None:
        self.log.add(line)
        with self._lock:
            self._count += not failed
            self._failed += failed

    def goes_on(self) -> bool:
        with self._lock:
            is_due = time.monotonic() - self._looked >= self._look_every
            if is_due:
                self._looked = time.monotonic()
        if is_due and self.order is Order.GO_ON:
            self.look()
        return self.order is Order.GO_ON

    def look(self) -> None:
        """Hear what is to be done, and say how far it is.

        A ledger that is away for longer than the lease may have given the batch to another.
        """
        hands = self._ledger.hands
        order = hands.order(self._batch, holder=self._holder)
        if order is not None:
            self._heard = time.monotonic()
        elif time.monotonic() - self._heard < LEASE.total_seconds():
            return
        self.order = order or Order.LEAVE
        hands.report(self._batch, holder=self._holder, completed=self._count, failed=self._failed)
