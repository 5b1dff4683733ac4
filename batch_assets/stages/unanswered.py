"""Verdicts on requests that a batch returned no line for, from how the batch ended."""

from batch_assets.domain.batch import Batch
from batch_assets.domain.outcome import Failure, Outcome, failure_of
from batch_assets.domain.shard import Shard
from batch_assets.prompt.answers import Verdict, shortened

#: Code of an item whose batch was refused for the sake of another one.
NOT_RUN = "not_run"

#: The verdict on a request that was not asked yet, since a canary goes first. It stands in results
#: where the request set was cancelled before the canary released it.
HELD_BACK = Verdict(
    Outcome.CANCELLED, Failure.HELD, None, "it was held back for a canary and never asked"
)

#: A batch that fails validation is refused as a call with a wrong body is.
_BAD_REQUEST = 400


def verdict_on_the_rest(shard: Shard, batch: Batch | None) -> Verdict:
    """The verdict on each request that neither a line nor a problem of the batch is about."""
    if batch is None:
        message = "its batch was cancelled, or given up, before it was sent"
        return Verdict(Outcome.CANCELLED, Failure.WITHDRAWN, None, message)
    match batch.provider_status:
        case "expired":
            outcome, message = Outcome.EXPIRED, "the batch expired before this request ran"
        case "cancelled":
            message = "the batch was cancelled before this request ran"
            return Verdict(Outcome.CANCELLED, failure_of_cancelled(batch), None, message)
        case "failed":
            return _not_run(shard, batch)
        case _:
            outcome, message = Outcome.MISSING, "the provider returned no line for this request"
    return Verdict(outcome, failure_of(outcome), batch.error_code, message)


def failure_of_cancelled(batch: Batch) -> Failure:
    """What kind of failure it is that a request did not run, of a batch that was cancelled."""
    if batch.cancel_requested_at is not None:
        return Failure.WITHDRAWN
    return Failure.CANCELLED if batch.rescued_at is None else Failure.STRAGGLER


def verdicts_on_lines(shard: Shard, batch: Batch) -> dict[int, Verdict]:
    """For a batch that failed validation: the verdict on each line of its shard, from 1, that the
    provider complains of.
    """
    verdicts: dict[int, Verdict] = {}
    if batch.provider_status != "failed":
        return verdicts
    for problem in batch.problems:
        line = problem.line
        if line is not None and 1 <= line <= shard.requests and line not in verdicts:
            message = problem.message or "the provider gave no reason"
            verdicts[line] = _refused(problem.code, message)
    return verdicts


def _not_run(shard: Shard, batch: Batch) -> Verdict:
    """Of a batch that failed as a whole: for its own sake, or for other lines'."""
    lines = sorted(verdicts_on_lines(shard, batch))
    if not lines:
        return _refused(batch.error_code, batch.reason or "the provider failed the batch")
    more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    message = f"not run: the provider refused the batch for its line {lines[0]}{more}"
    return Verdict(Outcome.ERRORED, Failure.NOT_RUN, NOT_RUN, message)


def _refused(code: str | None, message: str) -> Verdict:
    failure = failure_of(Outcome.ERRORED, _BAD_REQUEST, code)
    return Verdict(Outcome.ERRORED, failure, code, shortened(message))
