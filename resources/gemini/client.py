"""One method per call of Gemini's Batch API, through the SDK: errors and replies in our own words.

Importing this module imports the SDK, so `provider` does it at its first call.
"""

import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from google import genai
from google.genai import types
from google.genai.errors import APIError

from batch_assets.domain.errors import AccountRefused, ArtifactError, RequestRefused
from batch_assets.domain.provider import ProviderBatch, RemoteFile
from batch_assets.resources.border import Border
from batch_assets.resources.gemini.errors import ERRORS
from batch_assets.resources.gemini.place import Place
from batch_assets.resources.gemini.replies import (
    Unreadable,
    check_length,
    described,
    file_described,
    text_of,
)
from batch_assets.resources.patience import Patience

#: Batches per list call, and files (API reference, `files.list`: 100 at most).
PAGE = 100

#: What the guide "Batch API" uploads requests as.
MIME_TYPE = "jsonl"

#: What the SDK takes as a batch's name (`_transformers.py`: t_batch_job_name).
_BATCH = re.compile(r"batches/[^/]+|projects/[^/]+/locations/[^/]+/batchPredictionJobs/[^/]+")

#: How the SDK fails on a reply that is none of the API's: it looks into it without a check.
_CONFUSED = (AttributeError, KeyError, TypeError, ValueError)

Page = tuple[list[object], str | None]


@contextmanager
def _unless_gone() -> Iterator[None]:
    """What is to be deleted and is not there any more is no error."""
    try:
        yield
    except APIError as error:
        gone = ERRORS.answer(error)
        if gone is None or gone.status != 404:
            raise


class GeminiClient:
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
        place: Place | None,
        timeout_seconds: float,
        max_retries: int,
        patience: Patience,
    ) -> None:
        """With a `place` it is a client of Vertex AI, which knows credentials and no key.

        Raises AccountRefused for a key that no HTTP header can carry.
        """
        if not (api_key.isascii() and api_key.isprintable()):
            raise AccountRefused(
                "the key holds characters that no key has; "
                f"check {key_variable} or the resource's api_key"
            )
        url = urlsplit(base_url)
        self.border = Border(
            ERRORS,
            base_url=f"{url.scheme}://{url.netloc}{url.path}",
            secret=api_key,
            key_variable=key_variable,
        )
        self._place = place
        self._timeout_seconds = timeout_seconds
        self._max_retries = max_retries
        self._patience = patience
        #: The reply that the SDK was given last, in each thread.
        self._last = threading.local()
        options = types.HttpOptions(
            base_url=base_url,
            # Said, so that no variable of the environment says another.
            api_version="v1beta" if place is None else "v1beta1",
            timeout=_milliseconds(timeout_seconds),
            client_args={
                # A redirected creation would be sent twice, and the key to another address.
                "follow_redirects": False,
                "event_hooks": {"response": [self._keep]},
            },
        )
        with self.border.translated("opening the client"):
            if place is None:
                self._sdk = genai.Client(api_key=api_key, vertexai=False, http_options=options)
            else:
                self._sdk = genai.Client(
                    vertexai=True,
                    project=place.project,
                    location=place.location,
                    http_options=options,
                )

    def close(self) -> None:
        """Close the connections."""
        self._sdk.close()

    def upload(self, path: Path, *, name: str, call: str) -> RemoteFile:
        """The file that it becomes, with that display name.

        Raises ArtifactError where it cannot be read here. The SDK sends an open file in blocks of
        8 MiB (`_api_client.py`: _upload_fd).
        """
        options = self._options(call)
        try:
            handle = path.open("rb")
        except OSError as error:
            raise ArtifactError(f"cannot read {path} to upload it: {error}") from error
        config = types.UploadFileConfig(
            display_name=name, mime_type=MIME_TYPE, http_options=options
        )
        with handle, self._translated(call):
            file = _asked(lambda: self._sdk.files.upload(file=handle, config=config))
            if not file.name:
                raise Unreadable("the reply has no name")
            return RemoteFile(
                id=str(file.name),
                name=file.display_name,
                bytes=file.size_bytes,
                created_at=file.create_time,
            )

    def create(self, model: str, source: str, *, key: str, output: str | None) -> ProviderBatch:
        """Create the batch by one single request; `output` is where Vertex AI is to write."""
        call = f"creating the batch {key}"
        config = types.CreateBatchJobConfig(
            display_name=key, dest=output, http_options=self._options(call, retrying=False)
        )
        with self._translated(call, creating=True):
            return described(
                self._reply(
                    lambda: self._sdk.batches.create(model=model, src=source, config=config)
                )
            )

    def batch_page(self, call: str, after: str | None, *, key: str | None = None) -> Page:
        """Up to 100 batches as they came, and the cursor of the next page, None at the end.

        Vertex AI lists those of one key, where it is given.
        """
        config = types.ListBatchJobsConfig(
            page_size=PAGE,
            page_token=after,
            filter=f'displayName="{key}"' if key and self._place is not None else None,
            http_options=self._options(call),
        )
        with self._translated(call):
            reply = self._reply(lambda: self._sdk.batches.list(config=config))
            name = "operations" if self._place is None else "batchPredictionJobs"
            return _page(reply, name, after)

    def file_page(self, call: str, after: str | None) -> Page:
        """Up to 100 files, as `batch_page` does."""
        config = types.ListFilesConfig(
            page_size=PAGE, page_token=after, http_options=self._options(call)
        )
        with self._translated(call):
            reply = self._reply(lambda: self._sdk.files.list(config=config))
            return _page(reply, "files", after)

    def describe(self, call: str, batch: object) -> ProviderBatch:
        """A batch of a page in our own words."""
        with self._translated(call):
            return described(batch)

    def describe_file(self, call: str, file: object) -> RemoteFile:
        """A file of a page in our own words."""
        with self._translated(call):
            return file_described(file)

    def retrieve(self, batch_id: str) -> ProviderBatch:
        call = f"reading the batch {batch_id}"
        _check_name(call, batch_id)
        config = types.GetBatchJobConfig(http_options=self._options(call))
        with self._translated(call):
            return described(
                self._reply(lambda: self._sdk.batches.get(name=batch_id, config=config))
            )

    def cancel(self, batch_id: str) -> None:
        call = f"cancelling the batch {batch_id}"
        _check_name(call, batch_id)
        config = types.CancelBatchJobConfig(http_options=self._options(call))
        with self._translated(call):
            _asked(lambda: self._sdk.batches.cancel(name=batch_id, config=config))

    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Write the file to `sink` in blocks of 1 MiB (`_api_client.py`: download_file).

        A reply that breaks off looks whole where it announced no length, and so does a gateway's
        page: the length is asked for, too, where the API knows the file by that name.
        """
        call = f"downloading the file {file_id}"
        counted = _Counted(sink)
        config = types.DownloadFileConfig(http_options=self._options(call))
        with self._translated(call):
            self._sdk.files.download(file=file_id, destination=counted, config=config)
            check_length(self._last.reply.headers, counted.bytes)
            size = self._size_of(call, file_id)
            if size is not None and counted.bytes != size:
                raise Unreadable(f"{counted.bytes:,} bytes came of a file of {size:,}")

    def delete_file(self, file_id: str, *, retrying: bool = True) -> None:
        """Delete a file; one that the server does not have any more is no error."""
        call = f"deleting the file {file_id}"
        config = types.DeleteFileConfig(http_options=self._options(call, retrying=retrying))
        with self._translated(call), _unless_gone():
            _asked(lambda: self._sdk.files.delete(name=file_id, config=config))

    def delete_batch(self, batch_id: str) -> None:
        """Delete a job; one that the server does not have any more is no error."""
        call = f"deleting the batch {batch_id}"
        config = types.DeleteBatchJobConfig(http_options=self._options(call))
        with self._translated(call), _unless_gone():
            _asked(lambda: self._sdk.batches.delete(name=batch_id, config=config))

    def _size_of(self, call: str, file_id: str) -> int | None:
        config = types.GetFileConfig(http_options=self._options(call))
        try:
            reply = self._reply(lambda: self._sdk.files.get(name=file_id, config=config))
        except APIError as error:
            # Names of output files may be longer than those that the call takes.
            if isinstance(error.code, int) and 400 <= error.code < 500:
                return None
            raise
        size = text_of(reply, "sizeBytes")
        return int(size) if size and size.isdecimal() else None

    def _options(self, call: str, *, retrying: bool = True) -> types.HttpOptions:
        """How long one call may take, and how often the SDK may try it.

        Raises OutOfTime where the caller has no time left. Left to itself the SDK tries once.
        """
        left = self._patience.take(call)
        seconds = self._timeout_seconds if left is None else min(left, self._timeout_seconds)
        tries = 1 + self._max_retries if retrying and left is None else 1
        return types.HttpOptions(
            timeout=_milliseconds(seconds), retry_options=types.HttpRetryOptions(attempts=tries)
        )

    def _keep(self, reply: Any) -> None:
        self._last.reply = reply

    def _reply(self, call: Callable[[], object]) -> object:
        """The JSON that the SDK was given; what it made of it leaves out what we need."""
        _asked(call)
        return _asked(lambda: self._last.reply.json())

    @contextmanager
    def _translated(self, call: str, *, creating: bool = False) -> Iterator[None]:
        with self._patience.timed(), self.border.translated(call, creating=creating):
            yield


class _Counted(io.RawIOBase):
    """A sink that says how much it took."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.bytes = 0

    def write(self, block: Any) -> int:
        self.bytes += len(block)
        return self._sink.write(block)


def _asked(call: Callable[[], Any]) -> Any:
    """What the SDK returns. Raises Unreadable where it fails on the reply."""
    try:
        with warnings.catch_warnings():
            # It warns of every state that it does not know (`_common.py`: CaseInSensitiveEnum).
            warnings.simplefilter("ignore", UserWarning)
            return call()
    except _CONFUSED as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _page(reply: object, name: str, after: str | None) -> Page:
    if not isinstance(reply, Mapping):
        raise Unreadable("the reply is no list")
    entries = reply.get(name, [])
    if not isinstance(entries, list):
        raise Unreadable(f"the reply has no {name}")
    cursor = text_of(reply, "nextPageToken")
    if cursor is not None and cursor == after:
        raise Unreadable("the list repeats itself")
    return entries, cursor


def _check_name(call: str, batch_id: str) -> None:
    if not _BATCH.fullmatch(batch_id):
        raise RequestRefused(
            f"{call}: no batch of Gemini's has such a name; correct what it names before you try "
            "again"
        )


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1_000))
