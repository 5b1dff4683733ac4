"""One method per call of Anthropic's Message Batches, through the SDK: errors and replies in our
own words.

Importing this module imports the SDK, so `provider` does it at its first call.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import httpx2
from anthropic import (
    Anthropic,
    APIConnectionError,
    APIResponse,
    APIStatusError,
    NotFoundError,
    Timeout,
    omit,
)

from batch_assets.domain.errors import AccountRefused, ProviderUnavailable, RequestRefused
from batch_assets.domain.provider import ProviderBatch
from batch_assets.resources.anthropic.errors import ERRORS
from batch_assets.resources.anthropic.replies import (
    custom_ids_in,
    described,
    is_archived,
    total_of,
)
from batch_assets.resources.anthropic.request_body import RequestBody
from batch_assets.resources.border import Border
from batch_assets.resources.openai.replies import page_of
from batch_assets.resources.patience import Patience
from batch_assets.resources.replies import (
    CursorGone,
    Unreadable,
    check_length,
    text_of,
)

#: Where batches are created (`resources/messages/batches.py`).
BATCHES = "/v1/messages/batches"

#: Batches per list call (`batch_list_params.py`: 1 to 1,000).
PAGE = 1_000

#: How a call is answered that names a cursor which is no more.
CURSOR_GONE = frozenset({400, 404})

#: Results that are read to tell whose a batch is: one may be damaged, or nobody's.
FIRST = 16

#: Longest wait for a connection; the client's own timeout is for silence on one that stands.
CONNECT_SECONDS = 10.0


class AnthropicClient:
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
        workspace_id: str | None,
        betas: Sequence[str],
        timeout_seconds: float,
        max_retries: int,
        patience: Patience,
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
        self._betas = tuple(betas)
        self._patience = patience
        self._timeout_seconds = timeout_seconds
        self._sdk = Anthropic(
            api_key=api_key,
            base_url=base_url,
            timeout=_timeout(timeout_seconds),
            max_retries=max_retries,
            default_headers={"anthropic-workspace-id": workspace_id} if workspace_id else None,
        )

    def close(self) -> None:
        """Close the connections; all faces of the SDK share them."""
        self._sdk.close()

    def create(self, path: Path, *, call: str, key: str | None) -> ProviderBatch:
        """Create the batch by one single request, which brings the requests of the file; with the
        mark of the key, where it is given.

        The SDK's own `create` wants every request as an object in memory; its `post` takes bytes as
        they come. Raises ArtifactError where the file cannot be read here, and CorpusError for a
        line of a person's that is no request.
        """
        body = RequestBody(path, key=key)
        headers = {"content-type": "application/json", "content-length": str(body.length)}
        if self._betas:
            headers["anthropic-beta"] = ",".join(self._betas)
        sdk = self._face(call, retrying=False)
        with self._translated(call, creating=True):
            try:
                reply = sdk.post(
                    BATCHES, content=body, cast_to=httpx2.Response, options={"headers": headers}
                )
            except APIConnectionError:
                if body.broken is not None:
                    # Less came than was announced: the server cannot have taken it for a batch.
                    raise body.broken from None
                raise
            return described(reply.json())

    def batch_page(self, call: str, after: str | None) -> tuple[list[object], str | None]:
        """Up to 1,000 batches as plain JSON, the newest first, and the cursor of the next page.

        The cursor is None at the end of the list. Raises CursorGone where the provider knows the
        cursor no more.
        """
        batches = self._face(call).messages.batches.with_raw_response
        with self._translated(call):
            try:
                reply = batches.list(limit=PAGE, after_id=after or omit)
            except APIStatusError as error:
                if after is not None and error.status_code in CURSOR_GONE:
                    raise CursorGone(after) from error
                raise
            return page_of(reply.http_response.json(), after, is_whole=False)

    def describe(self, call: str, batch: object) -> ProviderBatch:
        """A batch of a page in our own words."""
        with self._translated(call):
            return described(batch)

    def retrieve(self, batch_id: str) -> ProviderBatch:
        call = f"reading the batch {batch_id}"
        return self.describe(call, self._retrieved(call, batch_id))

    def cancel(self, batch_id: str) -> ProviderBatch:
        call = f"cancelling the batch {batch_id}"
        batches = self._face(call).messages.batches.with_raw_response
        with self._translated(call):
            return described(batches.cancel(batch_id).http_response.json())

    def delete(self, batch_id: str) -> None:
        """Delete a batch that has ended, with its results; one that is gone is no error."""
        call = f"deleting the batch {batch_id}"
        sdk = self._face(call)
        with self._translated(call), suppress(NotFoundError):
            sdk.messages.batches.delete(batch_id)

    def download(self, batch_id: str, sink: BinaryIO) -> None:
        """Write the results to `sink` in blocks of the size in which they arrive.

        A reply that announces no length can break off and look whole. Every request has a result,
        so that is suspected where fewer come, and settled by asking once more.
        """
        call = f"downloading the results of the batch {batch_id}"
        batch = self._retrieved(call, batch_id)
        if text_of(batch, "results_url") is None:
            if is_archived(batch):
                raise RequestRefused(
                    f"{call}: they are archived, as they are 29 days after the batch's creation; "
                    "ask its requests again"
                )
            raise ProviderUnavailable(f"{call}: they are not there yet; try again later")
        received, results = self._counted(call, batch_id, sink)
        total = total_of(batch)
        if total is not None and results < total:
            again, _ = self._counted(call, batch_id, None)
            with self._translated(call):
                if again != received:
                    raise Unreadable(f"{results:,} results came of {total:,}")

    def first_custom_ids(self, call: str, batch_id: str) -> list[str]:
        """Whose the first results of a batch are; no more of them is read than that takes."""
        begun = b""
        with self._translated(call), self._results(call, batch_id) as reply:
            for block in reply.iter_bytes():
                begun += block
                if begun.count(b"\n") >= FIRST:
                    break
            return custom_ids_in(begun.split(b"\n")[:FIRST])

    def _counted(self, call: str, batch_id: str, sink: BinaryIO | None) -> tuple[int, int]:
        """Bytes and whole lines of the results, which go into the sink where there is one."""
        received = lines = 0
        with self._translated(call), self._results(call, batch_id) as reply:
            for block in reply.iter_bytes():
                received += len(block)
                lines += block.count(b"\n")
                if sink is not None:
                    sink.write(block)
            check_length(reply.headers, received)
        return received, lines

    def _results(self, call: str, batch_id: str) -> AbstractContextManager[APIResponse[Any]]:
        """The reply whose body is the results; the SDK looks their address up first."""
        return self._face(call).messages.batches.with_streaming_response.results(batch_id)

    def _retrieved(self, call: str, batch_id: str) -> object:
        batches = self._face(call).messages.batches.with_raw_response
        with self._translated(call):
            return cast("object", batches.retrieve(batch_id).http_response.json())

    def _face(self, call: str, *, retrying: bool = True) -> Anthropic:
        """The SDK for one call. Raises OutOfTime where the caller has no time left."""
        left = self._patience.take(call)
        if left is None:
            return self._sdk if retrying else self._sdk.with_options(max_retries=0)
        timeout = _timeout(min(left, self._timeout_seconds))
        return self._sdk.with_options(max_retries=0, timeout=timeout)

    @contextmanager
    def _translated(self, call: str, *, creating: bool = False) -> Iterator[None]:
        with self._patience.timed(), self._border.translated(call, creating=creating):
            yield


def _timeout(seconds: float) -> Timeout:
    return Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
