"""Mistral's batch jobs in our own words (mistralai 3.7: `client/models/batchjob.py`)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch_assets.domain.batch import BatchProblem
from batch_assets.domain.provider import KEY_METADATA, Phase, ProviderBatch, RemoteFile
from batch_assets.resources.replies import words_in

if TYPE_CHECKING:
    from mistralai.client.models import BatchJob, CreateFileResponse, FileSchema

#: Every status of `client/models/batchjobstatus.py`.
PHASES = {
    "QUEUED": Phase.OPEN,
    "RUNNING": Phase.OPEN,
    "CANCELLATION_REQUESTED": Phase.OPEN,
    "SUCCESS": Phase.ENDED,
    "FAILED": Phase.ENDED,
    "TIMEOUT_EXCEEDED": Phase.ENDED,
    "CANCELLED": Phase.ENDED,
}


def described(job: "BatchJob") -> ProviderBatch:
    """The job, which the SDK has checked against its types."""
    [file_id, *_] = [*job.input_files, None]
    return ProviderBatch(
        id=job.id,
        phase=PHASES.get(job.status, Phase.UNKNOWN),
        status=job.status,
        created_at=datetime.fromtimestamp(job.created_at, UTC),
        key=key_of(job),
        input_file_id=file_id,
        output_file_id=job.output_file or None,
        error_file_id=job.error_file or None,
        completed=job.succeeded_requests,
        failed=job.failed_requests,
        total=job.total_requests,
        # Of one that did not fail as a whole they sum up what its error file says line by line.
        problems=tuple(BatchProblem(code=None, message=error.message) for error in job.errors)
        if job.status == "FAILED"
        else (),
        metadata=words_in(job.metadata or {}),
    )


def file_described(file: "FileSchema | CreateFileResponse") -> RemoteFile:
    """A file of the list, or one that was uploaded, which the SDK has checked against its types."""
    return RemoteFile(
        id=file.id,
        name=file.filename,
        bytes=file.size_bytes,
        created_at=datetime.fromtimestamp(file.created_at, UTC),
        # Requests, results and errors of batches are all for "batch"; the other word tells them
        # apart (`client/models/sampletype.py`).
        purpose=file.sample_type if file.purpose == "batch" else file.purpose,
    )


def key_of(job: "BatchJob") -> str | None:
    """The key that we gave the job in its metadata."""
    key = (job.metadata or {}).get(KEY_METADATA)
    return key if isinstance(key, str) and key else None
