"""collect: bring everything the provider returned for an ended batch into the store."""

from typing import BinaryIO, cast

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.errors import StaleMove
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.submit import layout_of


def collect(deployment: Deployment, inference: str, partition_key: str) -> int:
    """Collect the partition's ended batches, whatever they ended as; how many they were.

    Batches of a request set that is no longer current are collected too: they were paid for.
    Raises the provider's errors; what was collected before stays collected.
    """
    ended = deployment.ledger.batches(
        partition=(inference, partition_key), states={BatchState.ENDED}
    )
    for batch in ended:
        _collect_batch(deployment, batch)
    return len(ended)


def _collect_batch(deployment: Deployment, batch: Batch) -> None:
    layout = layout_of(batch.request_set)
    for file_id, path in (
        (batch.output_file_id, layout.raw_output(batch)),
        (batch.error_file_id, layout.raw_errors(batch)),
    ):
        if file_id is not None:
            with deployment.files.create(path) as new:
                deployment.provider.download(file_id, cast(BinaryIO, new))
    try:
        deployment.ledger.collect(batch, owner=deployment.owner)
    except StaleMove:
        return  # another process collected the same bytes
