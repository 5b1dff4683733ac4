"""Waits for batches at a provider, and says how they stand."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from batch_assets.cli.batches_given import Given
from batch_assets.cli.chosen import Chosen
from batch_assets.cli.exit_codes import ExitCode
from batch_assets.cli.render import tell
from batch_assets.cli.verdicts import code_of, printable
from batch_assets.domain.errors import BatchAssetsError
from batch_assets.domain.provider import COMPLETED, Phase, ProviderBatch

#: What a shell says of a program that Ctrl-C ended.
_INTERRUPTED = 130

_GO_ON = "It is waited for no longer; the batches go on: batch-assets batches show ID"


def waited_for(
    asking: Chosen, batches: Sequence[ProviderBatch], given: Given
) -> tuple[Mapping[str, ProviderBatch], int]:
    """The batches as they stand in the end, by their ids, and the exit code that this makes."""
    from batch_assets.resources.deployments import poll_seconds
    from batch_assets.stages.direct.create import until_ended

    latest: dict[str, ProviderBatch] = {}

    def show(standing: Sequence[ProviderBatch]) -> None:
        for batch in standing:
            if batch.id not in latest or latest[batch.id].status != batch.status:
                tell(printable(_standing(batch)))
            latest[batch.id] = batch

    every = given.every or poll_seconds(asking.place.environment)
    try:
        until_ended(
            asking.provider,
            batches,
            every=timedelta(seconds=every),
            timeout=None if given.timeout is None else timedelta(seconds=given.timeout),
            time=asking.time,
            show=show,
            say=lambda message: tell(printable(f"It is asked again: {message}")),
        )
    except BatchAssetsError as error:
        tell(printable(f"Error: {error.message}"))
        return latest, code_of(error)
    except KeyboardInterrupt:
        tell(_GO_ON)
        return latest, _INTERRUPTED
    if any(batch.phase is not Phase.ENDED for batch in latest.values()):
        tell(_GO_ON)
        return latest, ExitCode.TIMEOUT
    is_whole = all(map(_is_whole, latest.values()))
    return latest, ExitCode.OK if is_whole else ExitCode.PARTIAL


def _is_whole(batch: ProviderBatch) -> bool:
    """Whether every request of it was answered, as far as its provider tells."""
    is_done = batch.status.lower() in {*COMPLETED, "ended"}
    return is_done and not batch.failed and batch.completed in (None, batch.total)


def _standing(batch: ProviderBatch) -> str:
    counts = ""
    if batch.completed is not None and batch.total is not None:
        counts = f", {batch.completed:,} of {batch.total:,} requests"
    if batch.failed:
        counts += f", {batch.failed:,} failed"
    return f"{batch.id} is {batch.status}{counts}"
