"""One method per call of OpenAI's Batch API, through the SDK: errors and replies in our own words.

Importing this module imports the SDK, so `provider` does it at its first call.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from openai import APIStatusError, AzureOpenAI, NotFoundError, OpenAI, Timeout, omit
from openai.types import FileObject

from batch_assets.domain.errors import (
    AccountRefused,
    ArtifactError,
    ProviderUnavailable,
    RequestRefused,
)
from batch_assets.domain.provider import ProviderBatch, RemoteFile
from batch_assets.resources.border import Border
from batch_assets.resources.openai.errors import ERRORS
from batch_assets.resources.openai.options import CreateOptions
from batch_assets.resources.openai.profile import Listing
from batch_assets.resources.openai.replies import described, file_described, page_of
from batch_assets.resources.patience import Patience
from batch_assets.resources.replies import (
    CursorGone,
    NotListed,
    check_length,
    check_whole,
    text_of,
)
from batch_assets.resources.search import PAGE

#: Files per list call (`file_list_params.py`: 1 to 10,000).
FILE_PAGE = 1_000

#: How servers answer a call that they do not have.
NO_ROUTE = frozenset({404, 405, 501})

#: How they answer one that names a cursor they do not have.
CURSOR_GONE = NO_ROUTE | {400}

#: Seconds between two looks at a file that the server still reads, and looks, after which the
#: shard is offered another time.
FILE_SECONDS = 5.0
FILE_LOOKS = 60

#: Longest wait for a connection; the client's own timeout is for silence on one that stands.
CONNECT_SECONDS = 10.0


class OpenAIClient:
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
        organization: str | None,
        project: str | None,
        timeout_seconds: float,
        max_retries: int,
        options: CreateOptions,
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
        self._organization = organization
        self._project = project
        self._options = options
        self._profile = options.profile
        self._wait = wait
        self._patience = patience
        self._timeout_seconds = timeout_seconds
        version = self._profile.azure_api_version
        made = OpenAI if version is None else partial(AzureOpenAI, api_version=version)
        self._sdk = self._pinned(
            made(
                api_key=api_key,
                base_url=base_url,
                timeout=_timeout(timeout_seconds),
                max_retries=max_retries,
            )
        )

    def close(self) -> None:
        """Close the connections; all faces of the SDK share them."""
        self._sdk.close()

    def upload(self, path: Path, *, name: str, call: str, key: str) -> RemoteFile:
        """The file that it becomes at the server, which the key makes another than all others.

        Raises ArtifactError where it cannot be read here. The SDK streams an open file and rewinds
        it to try again; a path it reads into memory.
        """
        profile, seconds = self._profile, self._options.input_expires_after_seconds
        form: dict[str, object] = {
            field: text.format(filename=name) for field, text in profile.upload_form.items()
        }
        if seconds:
            form["expires_after"] = {"anchor": "created_at", "seconds": seconds}
        sdk = self._face(call)
        with self._translated(call):
            try:
                with profile.as_sent(path, key=key) as lines:
                    # As `files.create` does it (`resources/files.py`), which knows one route.
                    reply = sdk.post(
                        profile.upload_path,
                        body={"purpose": profile.purpose, **form},
                        files=[("file", (name, lines))],
                        options={"headers": {"Content-Type": "multipart/form-data"}},
                        cast_to=FileObject,
                    )
            except OSError as error:
                raise ArtifactError(f"cannot read {path} to upload it: {error}") from error
            return file_described(reply)

    def wait_for_file(self, file_id: str) -> None:
        """Return once the server has read the file, where it refuses batches of others.

        Raises RequestRefused for a file that it could not read.
        """
        call = f"waiting for the file {file_id}"
        for look in range(FILE_LOOKS if self._profile.waits_for_file else 0):
            if look:
                self._wait(FILE_SECONDS)
            sdk = self._face(call)
            with self._translated(call):
                file = sdk.files.retrieve(file_id)
            match text_of(file, "status"):
                case "error" | "failed":
                    why = text_of(file, "status_details") or "it does not say why"
                    raise RequestRefused(f"{call}: the provider cannot use it ({why})")
                case "pending" | "running" | "uploaded":
                    continue
                case _:
                    return
        if self._profile.waits_for_file:
            raise ProviderUnavailable(f"{call}: the provider still reads it; try again later")

    def create(
        self, input_file_id: str, *, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        """Create the batch by one single request; `metadata` is added to what every batch has."""
        call = f"creating the batch {key}"
        seconds = self._options.output_expires_after_seconds
        words = self._options.adding(metadata).metadata_with(key)
        sdk = self._face(call, retrying=False)
        with self._translated(call, creating=True):
            return described(
                sdk.batches.create(
                    completion_window=cast("Any", self._options.completion_window),
                    endpoint=cast("Any", self._profile.spelled(endpoint)),
                    input_file_id=input_file_id,
                    metadata=omit if words is None else dict(words),
                    output_expires_after={"anchor": "created_at", "seconds": seconds}
                    if seconds
                    else omit,
                ),
                self._profile,
            )

    def batch_page(self, call: str, after: str | None) -> tuple[list[object], str | None]:
        """Up to 100 batches, as they came, and the cursor of the next page.

        The cursor is None at the end of the list. Raises NotListed where the server has no list,
        CursorGone where it knows the cursor no more.
        """
        batches = self._face(call).batches.with_raw_response
        if self._profile.listing is Listing.WHOLE:
            return self._page(call, "batches", None, batches.list)
        return self._page(
            call, "batches", after, lambda: batches.list(limit=PAGE, after=after or omit)
        )

    def file_page(
        self, call: str, after: str | None, *, purpose: str | None = None
    ) -> tuple[list[object], str | None]:
        """Up to 1,000 files, newest first, as `batch_page` does; those of one purpose, where it is
        given and the server's list does not come whole.
        """
        if not self._profile.has_file_list:
            raise NotListed(f"{self._profile.name} has no list of files")
        files = self._face(call).files.with_raw_response
        if self._profile.listing is Listing.WHOLE:
            return self._page(call, "files", None, files.list)
        return self._page(
            call,
            "files",
            after,
            lambda: files.list(
                purpose=purpose or omit, order="desc", limit=FILE_PAGE, after=after or omit
            ),
        )

    def _page(
        self, call: str, what: str, after: str | None, ask: Callable[[], Any]
    ) -> tuple[list[object], str | None]:
        with self._translated(call):
            try:
                reply = ask()
            except APIStatusError as error:
                if after is not None and error.status_code in CURSOR_GONE:
                    raise CursorGone(after) from error
                if error.status_code not in NO_ROUTE:
                    raise
                raise NotListed(
                    f"the server has no list of {what} (HTTP {error.status_code})"
                ) from error
            # Not parsed: the SDK fails with an AttributeError on a reply that is no JSON object.
            return page_of(
                reply.http_response.json(),
                after,
                is_whole=self._profile.listing is Listing.WHOLE,
            )

    def describe(self, call: str, batch: object) -> ProviderBatch:
        """A batch of a page in our own words."""
        with self._translated(call):
            return described(batch, self._profile)

    def describe_file(self, call: str, file: object) -> RemoteFile:
        """A file of a page in our own words."""
        with self._translated(call):
            return file_described(file)

    def retrieve(self, batch_id: str) -> ProviderBatch:
        call = f"reading the batch {batch_id}"
        sdk = self._face(call)
        with self._translated(call):
            return described(sdk.batches.retrieve(batch_id), self._profile)

    def cancel(self, batch_id: str) -> ProviderBatch:
        call = f"cancelling the batch {batch_id}"
        sdk = self._face(call)
        with self._translated(call):
            return described(sdk.batches.cancel(batch_id), self._profile)

    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Write the file to `sink` in blocks of the size in which they arrive.

        A reply that breaks off looks whole where it announced no length, and so does a gateway's
        page: the server is asked for the file's own length, too, where it has one.
        """
        call = f"downloading the file {file_id}"
        received = 0
        sdk = self._face(call)
        with self._translated(call):
            with sdk.files.with_streaming_response.content(file_id) as reply:
                for block in reply.iter_bytes():
                    sink.write(block)
                    received += len(block)
                check_length(reply.headers, received)
            try:
                file = sdk.files.retrieve(file_id)
            except APIStatusError as error:
                if error.status_code not in NO_ROUTE:
                    raise
            else:
                check_whole(file, received)

    def delete_file(self, file_id: str, *, retrying: bool = True) -> None:
        """Delete a file; one that the server does not have any more is no error."""
        call = f"deleting the file {file_id}"
        sdk = self._face(call, retrying=retrying)
        with self._translated(call), suppress(NotFoundError):
            sdk.files.delete(file_id)

    def _face(self, call: str, *, retrying: bool = True) -> OpenAI:
        """The SDK for one call. Raises OutOfTime where the caller has no time left."""
        left = self._patience.take(call)
        if left is None:
            return self._sdk if retrying else self._pinned(self._sdk.with_options(max_retries=0))
        timeout = _timeout(min(left, self._timeout_seconds))
        return self._pinned(self._sdk.with_options(max_retries=0, timeout=timeout))

    def _pinned(self, sdk: OpenAI) -> OpenAI:
        """Drops the organization and project that the SDK takes from the environment, so that the
        account that pays is the one that was declared.
        """
        sdk.organization, sdk.project = self._organization, self._project
        return sdk

    @contextmanager
    def _translated(self, call: str, *, creating: bool = False) -> Iterator[None]:
        with self._patience.timed(), self._border.translated(call, creating=creating):
            yield


def _timeout(seconds: float) -> Timeout:
    return Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
