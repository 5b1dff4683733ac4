"""What can go wrong with a whole batch, each fault a type with its own facts.

They are settled when the batch is created, and kept with it: a restart of the sandbox changes
nothing. One batch may have several.
"""

from typing import Annotated, Any, Literal

import msgspec

from batch_assets.sandbox.call_faults import Share, snake_case
from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.validation import batch_error, enqueued_token_message

Shown = dict[str, Any]
Looks = Annotated[int, msgspec.Meta(ge=0)]
Line = Annotated[int, msgspec.Meta(ge=1)]
FILE_IDS = ("output_file_id", "error_file_id")


class BatchFault(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=snake_case
):
    """One misbehaviour of a batch; what is not said here is as it would have been."""

    @property
    def most(self) -> float:
        """The share of the requests beyond which none is executed."""
        return 1.0

    def check_creation(self, model: str) -> None:
        """Raises ApiError where the batch is refused at once."""

    def errors(self) -> list[dict[str, Any]]:
        """Those of a batch that fails validation."""
        return []

    def shown(self, batch: Shown, *, looks: int, now: float) -> Shown:
        """The batch object as the API shows it, after `looks` at which `counts_look` held."""
        return batch

    def counts_look(self, batch: Shown) -> bool:
        return False


class Expires(BatchFault, frozen=True):
    """Ends as `expired` when it would have completed, with `at` of its requests executed.

    Its window is shortened to that, so that no test has to wait for 24 hours.
    """

    at: Share = 0.5

    @property
    def most(self) -> float:
        return self.at


class CancelledOutside(BatchFault, frozen=True):
    """Somebody else cancels it when `at` of its requests are executed."""

    at: Share = 0.5

    @property
    def most(self) -> float:
        return self.at

    def moment(self, created_at: float, latency: float) -> float:
        """A little after the share is reached, which is then held."""
        return created_at + latency * (0.101 + 0.8 * self.at)


class FailsValidation(BatchFault, frozen=True):
    """Ends as `failed` and executes nothing.

    One error for each of `lines`, counted from 1; without lines one error that names none.
    """

    code: str = "invalid_request"
    message: str = "The batch input file could not be validated."
    lines: tuple[Line, ...] = ()
    param: str | None = None

    def errors(self) -> list[dict[str, Any]]:
        return [
            batch_error(self.code, self.message, line=line, param=self.param)
            for line in self.lines or (None,)
        ]


class Stuck(BatchFault, frozen=True):
    """Stays in `status` for ever; a cancel still ends it.

    In `in_progress`, `at` of its requests are executed. A batch stuck in `cancelling` gets there by
    a cancel, which then never ends.
    """

    status: Literal["validating", "in_progress", "finalizing", "cancelling"] = "in_progress"
    at: Share = 0.5

    @property
    def most(self) -> float:
        return self.at if self.status == "in_progress" else 1.0


class StatusWord(BatchFault, frozen=True):
    """Says `word` where the API would say `instead_of`; at the first `looks` only, or always."""

    word: str
    instead_of: str = "in_progress"
    looks: Looks | None = None

    def counts_look(self, batch: Shown) -> bool:
        return self.looks is not None and batch["status"] == self.instead_of

    def shown(self, batch: Shown, *, looks: int, now: float) -> Shown:
        if batch["status"] != self.instead_of or (self.looks is not None and looks >= self.looks):
            return batch
        return batch | {"status": self.word}


class LateFiles(BatchFault, frozen=True):
    """`completed` without file ids: for `looks` looks, for `seconds`, or for ever without both."""

    looks: Looks | None = None
    seconds: float | None = None

    def counts_look(self, batch: Shown) -> bool:
        return self.looks is not None and batch["status"] == "completed"

    def shown(self, batch: Shown, *, looks: int, now: float) -> Shown:
        if batch["status"] != "completed" or self._there(batch, looks, now):
            return batch
        return batch | dict.fromkeys(FILE_IDS)

    def _there(self, batch: Shown, looks: int, now: float) -> bool:
        if self.looks is not None and looks >= self.looks:
            return True
        return self.seconds is not None and now >= batch["completed_at"] + self.seconds


class EmptyFileIds(BatchFault, frozen=True):
    """File ids that would be null are empty strings."""

    def shown(self, batch: Shown, *, looks: int, now: float) -> Shown:
        return batch | {name: batch[name] or "" for name in FILE_IDS}


class LyingCounts(BatchFault, frozen=True):
    """`request_counts` says these numbers; those left out are true."""

    total: int | None = None
    completed: int | None = None
    failed: int | None = None

    def shown(self, batch: Shown, *, looks: int, now: float) -> Shown:
        lies = {"total": self.total, "completed": self.completed, "failed": self.failed}
        told = {name: count for name, count in lies.items() if count is not None}
        return batch | {"request_counts": batch["request_counts"] | told}


class QueueFull(BatchFault, frozen=True):
    """Creation is refused for capacity, and no batch exists.

    With `limit`, only where the unfinished batches of the model and the new one would together hold
    more input tokens; a batch that fits does not use the fault up.
    """

    status: Literal[400, 429] = 429
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None

    def check_creation(self, model: str) -> None:
        message = enqueued_token_message(model, self.limit or 90_000)
        raise ApiError(self.status, message, code="token_limit_exceeded", type="tokens")


AnyBatchFault = (
    Expires
    | CancelledOutside
    | FailsValidation
    | Stuck
    | StatusWord
    | LateFiles
    | EmptyFileIds
    | LyingCounts
    | QueueFull
)
