"""collect: bring everything the provider returned for an ended batch into the store."""

from typing import BinaryIO, cast

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.errors import (
    BatchAssetsError,
    ProviderUnavailable,
    RequestRefused,
    StaleMove,
)
from batch_assets.domain.outcome import ACCOUNT_CODES
from batch_assets.stages.control import stop_account
from batch_assets.stages.plan import is_current, layout_of
from batch_assets.stages.recipe import Deployment

#: Codes of a batch that failed as a whole for want of room (OpenAI: "Enqueued token limit
#: reached"). As with no credit, nothing of it ran, and its shard is as good as before.
NO_ROOM_CODES = frozenset({"token_limit_exceeded"})


def collect(
    deployment: Deployment, inference: str, partition_key: str, *, keeps_remote: bool = True
) -> int:
    """Collect the partition's ended batches, whatever they ended as; how many they were.

    Unless `keeps_remote`, their files are deleted at the provider once they lie in the store.

    Batches of a request set that is no longer current are collected too: they were paid for.
    Raises the provider's errors; a file that it does not give keeps no other batch waiting.
    """
    ended = deployment.ledger.batches(
        partition=(inference, partition_key), states={BatchState.ENDED}
    )
    failures: list[ProviderUnavailable | RequestRefused] = []
    for batch in ended:
        own = deployment.of(batch.account)
        try:
            nothing_ran = batch.error_code in NO_ROOM_CODES | ACCOUNT_CODES
            if nothing_ran and is_current(deployment, batch.request_set):
                _offer_again(own, batch)
            else:
                _collect_batch(own, batch)
                if not keeps_remote:
                    _delete_remote(own, batch)
        except StaleMove:
            continue  # another process did the same
        except (ProviderUnavailable, RequestRefused) as error:
            failures.append(error)
    if failures:
        raise failures[0]
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
    deployment.ledger.collect(batch, owner=deployment.owner)


def _delete_remote(deployment: Deployment, batch: Batch) -> None:
    """Delete what the provider keeps of a collected batch; what it keeps all the same is told."""
    files = (batch.input_file_id, batch.output_file_id, batch.error_file_id)
    try:
        deployment.provider.delete_remote(
            str(batch.provider_id), list(dict.fromkeys(filter(None, files)))
        )
    except BatchAssetsError as error:
        collected = deployment.ledger.batch(batch.id)
        deployment.ledger.note(
            collected, f"it is collected; its files are still at the provider: {error.message}"
        )


def _offer_again(deployment: Deployment, batch: Batch) -> None:
    """Give the offer up and plan the next one, unless a person cancelled its partition."""
    ledger = deployment.ledger
    for_capacity = batch.error_code in NO_ROOM_CODES
    if not for_capacity:
        stop_account(deployment, str(batch.reason))
    ledger.reject(
        batch,
        owner=deployment.owner,
        reason=f"{batch.reason}; nothing of it ran, and it is offered again later",
        for_capacity=for_capacity,
    )
