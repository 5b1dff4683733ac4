"""sweep: delete the request files that were uploaded and never became a batch.

A process that dies between the upload and the creation leaves one, as does an upload whose reply
was lost: the provider keeps the file, and some bill it.
"""

from datetime import timedelta

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.errors import RequestRefused
from batch_assets.domain.provider import Upload
from batch_assets.stages.recipe import Deployment

#: How far a sweep looks back behind the one before: a file whose batch was still being offered
#: then, or that was too many then, is decided on now.
MARGIN = timedelta(days=1)

#: Deletions of one sweep; the next ones do the rest.
MOST = 100


def sweep(deployment: Deployment, *, every: timedelta = timedelta(hours=1)) -> int:
    """Delete the account's orphaned uploads where that is due; how many they were.

    Whether a file is an orphan is asked of the ledger once its listing is complete, so a batch that
    is offered meanwhile has another file. It may be interrupted anywhere: what is left is found
    again. Raises the provider's errors; a file it will not delete keeps no other one.
    """
    ledger, provider = deployment.ledger, deployment.provider
    since = ledger.accounts.begin_sweep(provider.account, every=every)
    if since is None:
        return 0
    uploads = list(provider.uploads(since=since - MARGIN))
    batches = ledger.batches_by_key([upload.key for upload in uploads])
    orphans = [upload for upload in uploads if is_orphan(upload, batches.get(upload.key))]
    refusals: list[RequestRefused] = []
    deleted = 0
    for upload in orphans[:MOST]:
        try:
            provider.delete_upload(upload.id)
        except RequestRefused as error:
            refusals.append(error)
        else:
            deleted += 1
    if refusals:
        raise refusals[0]
    return deleted


def is_orphan(upload: Upload, batch: Batch | None) -> bool:
    """Whether no batch was made of the file, and none will be.

    A key that the ledger does not know is another ledger's. A reserved batch is in somebody's
    hands, or in doubt, and its file is needed to decide.
    """
    if batch is None or batch.state is BatchState.RESERVED:
        return False
    if batch.provider_id is None:
        return True
    return batch.input_file_id not in (None, upload.id)
