"""One method per call of Mistral's batch API, through the SDK: errors and replies in our own words.

Importing this module imports the SDK, so `provider` does it at its first call.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

import httpx2
from mistralai.client import Mistral
from mistralai.client.errors import MistralError
from mistralai.client.models import BatchJob, File, FilePurpose, FileSchema

from batch_assets.domain.errors import (
    AccountRefused,
    ArtifactError,
    CapacityRefused,
    ProviderUnavailable,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.provider import KEY_METADATA, ProviderBatch, RemoteFile
from batch_assets.resources.border import Border
from batch_assets.resources.mistral.errors import ERRORS
from batch_assets.resources.mistral.replies import described, file_described
from batch_assets.resources.patience import Patience
from batch_assets.resources.replies import check_length, check_whole

#: Jobs or files per list call, the SDK's default (`client/jobs.py`, `client/files.py`).
PAGE = 100

#: Bytes of a request that are read to find its model.
LONGEST_LINE = 16 * 2**20

#: Longest wait before a further try.
MOST_SECONDS = 120.0

Reply = TypeVar("Reply")


class MistralClient:
    """The SDK's client for one account.

    Every method raises ProviderUnreachable, ProviderUnavailable, CapacityRefused, RequestRefused
    or AccountRefused; `create` raises ReplyLost too.
    """

    def __init__(
        self,
        *,
        api_key: str,
        key_variable: str,
        base_url: str,
        timeout_seconds: float,
        max_retries: int,
        patience: Patience,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises AccountRefused for a key that no HTTP header can carry."""
        if not (api_key.isascii() and api_key.isprintable()):
            raise AccountRefused(
                "the key holds characters that no key has; "
                f"check {key_variable} or the resource's api_key"
            )
        url = urlsplit(base_url)
        self._border = Border(
            ERRORS,
            base_url=f"{url.scheme}://{url.netloc}{url.path}",
            secret=api_key,
            key_variable=key_variable,
        )
        self._patience = patience
        self._timeout_seconds = timeout_seconds
        self._max_retries = max_retries
        self._wait = wait
        # The SDK's own would follow a redirect of the call that creates a job.
        self._http = httpx2.Client(follow_redirects=False)
        self._sdk = Mistral(api_key=api_key, server_url=base_url.rstrip("/"), client=self._http)

    def close(self) -> None:
        self._http.close()

    def upload(self, path: Path, *, name: str, call: str) -> RemoteFile:
        """The file that it becomes. Raises ArtifactError where it cannot be read here.

        The HTTP client streams an open file, from its first byte at each try.
        """

        def send(timeout_ms: int) -> RemoteFile:
            with path.open("rb") as lines:
                file = File(file_name=name, content=lines)
                made = self._sdk.files.upload(file=file, purpose="batch", timeout_ms=timeout_ms)
                return file_described(made)

        try:
            return self._tried(call, send)
        except OSError as error:
            raise ArtifactError(f"cannot read {path} to upload it: {error}") from error

    def create(
        self,
        input_file_id: str,
        *,
        endpoint: str,
        model: str,
        timeout_hours: int,
        metadata: Mapping[str, str],
        key: str,
    ) -> ProviderBatch:
        """Create the job by one single request: the SDK tries again only where it is told to."""
        call = f"creating the batch {key}"
        timeout_ms = self._timeout(call)
        with self._translated(call, creating=True):
            return described(
                self._sdk.batch.jobs.create(
                    endpoint=cast("Any", endpoint),
                    input_files=[input_file_id],
                    model=model,
                    timeout_hours=timeout_hours,
                    metadata={**metadata, KEY_METADATA: key},
                    timeout_ms=timeout_ms,
                )
            )

    def job_page(
        self, call: str, page: int, *, since: datetime | None = None, key: str | None = None
    ) -> list[BatchJob]:
        """Up to 100 jobs, created at `since` or later, newest first; those of the key alone where
        the server filters by it.
        """
        metadata = None if key is None else {KEY_METADATA: key}

        def ask(timeout_ms: int) -> list[BatchJob]:
            return (
                self._sdk.batch.jobs.list(
                    page=page,
                    page_size=PAGE,
                    created_after=since,
                    metadata=metadata,
                    order_by="-created",
                    timeout_ms=timeout_ms,
                ).data
                or []
            )

        return self._tried(call, ask)

    def file_page(
        self, call: str, page: int, *, purpose: FilePurpose | None = None
    ) -> list[FileSchema]:
        """Up to 100 files; those of one purpose, where it is given."""

        def ask(timeout_ms: int) -> list[FileSchema]:
            return self._sdk.files.list(
                page=page,
                page_size=PAGE,
                include_total=False,
                purpose=purpose,
                timeout_ms=timeout_ms,
            ).data

        return self._tried(call, ask)

    def retrieve(self, job_id: str) -> ProviderBatch:
        jobs = self._sdk.batch.jobs
        return self._tried(
            f"reading the batch {job_id}",
            lambda timeout_ms: described(jobs.get(job_id=job_id, timeout_ms=timeout_ms)),
        )

    def cancel(self, job_id: str) -> ProviderBatch:
        jobs = self._sdk.batch.jobs
        return self._tried(
            f"cancelling the batch {job_id}",
            lambda timeout_ms: described(jobs.cancel(job_id=job_id, timeout_ms=timeout_ms)),
        )

    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Write the file to `sink` in blocks of the size in which they arrive."""
        call = f"downloading the file {file_id}"
        files = self._sdk.files
        reply = self._tried(
            call, lambda timeout_ms: files.download(file_id=file_id, timeout_ms=timeout_ms)
        )
        received = 0
        with self._translated(call), closing(reply):
            for block in reply.iter_bytes():
                sink.write(block)
                received += len(block)
            check_length(reply.headers, received)
        whole = self._tried(
            call, lambda timeout_ms: files.retrieve(file_id=file_id, timeout_ms=timeout_ms)
        )
        with self._translated(call):
            check_whole({"bytes": whole.size_bytes}, received)

    def first_line(self, file_id: str) -> bytes:
        """The first line of a file, of which no more is read than that takes."""
        call = f"reading the model in the file {file_id}"
        files = self._sdk.files
        reply = self._tried(
            call, lambda timeout_ms: files.download(file_id=file_id, timeout_ms=timeout_ms)
        )
        begun = b""
        with self._translated(call), closing(reply):
            for block in reply.iter_bytes():
                begun += block
                if b"\n" in block or len(begun) > LONGEST_LINE:
                    break
        return begun.partition(b"\n")[0]

    def delete_file(self, file_id: str, *, retrying: bool = True) -> None:
        """Delete a file; one that the server does not have any more is no error."""
        call = f"deleting the file {file_id}"
        files = self._sdk.files

        def ask(timeout_ms: int) -> None:
            files.delete(file_id=file_id, timeout_ms=timeout_ms)

        try:
            self._tried(call, ask, tries=self._max_retries if retrying else 0)
        except RequestRefused as error:
            if _status(error) != 404:
                raise

    def _tried(self, call: str, ask: Callable[[int], Reply], *, tries: int | None = None) -> Reply:
        """What the call brings, tried again after the wait that the provider asks for.

        The SDK's own tries are bounded by time and not by number, so it makes none.
        """
        left = self._max_retries if tries is None else tries
        tried = 0
        while True:
            timeout_ms = self._timeout(call)
            try:
                with self._translated(call):
                    return ask(timeout_ms)
            except (ProviderUnavailable, ProviderUnreachable, CapacityRefused) as error:
                if tried == left or self._patience.is_bounded:
                    raise
                self._wait(_seconds(error, tried))
                tried += 1

    def _timeout(self, call: str) -> int:
        """Milliseconds that the call may take. Raises OutOfTime where none is left."""
        left = self._patience.take(call)
        seconds = self._timeout_seconds if left is None else min(left, self._timeout_seconds)
        return max(1, int(seconds * 1_000))

    @contextmanager
    def _translated(self, call: str, *, creating: bool = False) -> Iterator[None]:
        with self._patience.timed(), self._border.translated(call, creating=creating):
            yield


def _status(error: Exception) -> int | None:
    cause = error.__cause__
    return cause.status_code if isinstance(cause, MistralError) else None


def _seconds(error: Exception, tried: int) -> float:
    """The wait that the provider asks for; else half a second, and twice as long each time."""
    cause = error.__cause__
    asked = cause.headers.get("retry-after", "") if isinstance(cause, MistralError) else ""
    seconds = float(asked) if asked.replace(".", "", 1).isdecimal() else 0.5 * 2.0**tried
    return min(seconds, MOST_SECONDS)
