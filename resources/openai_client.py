"""One method per call of OpenAI's Batch API, through the SDK: errors and replies in our own words.

Importing this module imports the SDK, so `batch_assets.resources.openai` does it at its first call.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from openai import OpenAI, Timeout, omit

from batch_assets.domain.errors import AccountRefused, ArtifactError
from batch_assets.domain.provider import KEY_METADATA, ProviderBatch
from batch_assets.resources.openai_errors import translated
from batch_assets.resources.openai_replies import (
    Unreadable,
    check_length,
    described,
    required_text,
)

#: Batches per list call (`batch_list_params.py`: 1 to 100).
PAGE = 100

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
        base_url: str,
        organization: str | None,
        project: str | None,
        timeout_seconds: float,
        max_retries: int,
    ) -> None:
        """Raises AccountRefused for a key that no HTTP header can carry."""
        if not (api_key and api_key.isascii() and api_key.isprintable()):
            raise AccountRefused(
                "the key is empty or holds characters that no key has; "
                "check OPENAI_API_KEY or the resource's api_key"
            )
        url = urlsplit(base_url)
        self._shown_url = f"{url.scheme}://{url.netloc}{url.path}"
        self._api_key = api_key
        self._organization = organization
        self._project = project
        sdk = OpenAI(
            api_key=api_key,
            base_url=base_url,
            timeout=Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
            max_retries=max_retries,
        )
        self._sdk = self._pinned(sdk)
        self._sdk_without_retries = self._pinned(sdk.with_options(max_retries=0))

    def close(self) -> None:
        """Close the connections; both faces of the SDK share them."""
        self._sdk.close()

    def upload(self, shard: Path, *, key: str, expires_after_seconds: int | None) -> str:
        """The id that the shard's file gets. Raises ArtifactError where it cannot be read here.

        The SDK streams an open file and rewinds it to try again; a path it reads into memory.
        """
        seconds = expires_after_seconds
        with self._translated(f"uploading {shard.name} of the batch {key}"):
            try:
                with shard.open("rb") as handle:
                    reply = self._sdk.files.create(
                        file=(f"{key}.jsonl", handle),
                        purpose="batch",
                        expires_after={"anchor": "created_at", "seconds": seconds}
                        if seconds
                        else omit,
                    )
            except OSError as error:
                raise ArtifactError(f"cannot read {shard} to upload it: {error}") from error
            return required_text(reply, "id")

    def create(self, input_file_id: str, *, endpoint: str, key: str) -> ProviderBatch:
        """Create the batch by one single request."""
        with self._translated(f"creating the batch {key}", creating=True):
            return described(
                self._sdk_without_retries.batches.create(
                    completion_window="24h",
                    endpoint=cast("Any", endpoint),
                    input_file_id=input_file_id,
                    metadata={KEY_METADATA: key},
                )
            )

    def page(self, call: str, after: str | None) -> tuple[list[object], str | None]:
        """Up to 100 batches, as the SDK has them, and the cursor of the next page.

        The cursor is None at the end of the list. Raises ProviderUnavailable where the list
        breaks off before it.
        """
        with self._translated(call):
            reply = self._sdk.batches.with_raw_response.list(limit=PAGE, after=after or omit)
            # The SDK's own `list` fails with an AttributeError on a reply that is no JSON object.
            if not isinstance(reply.http_response.json(), dict):
                raise Unreadable("the reply is no list")
            page = reply.parse()
            batches: object = page.data
            if not isinstance(batches, list):
                raise Unreadable("the reply has no data")
            if page.has_more is False or (not batches and page.has_more is None):
                return batches, None
            cursor = required_text(batches[-1] if batches else None, "id")
            if cursor == after:
                raise Unreadable("the list repeats itself")
            return batches, cursor

    def describe(self, call: str, batch: object) -> ProviderBatch:
        """A batch of a page in our own words."""
        with self._translated(call):
            return described(batch)

    def retrieve(self, batch_id: str) -> ProviderBatch:
        with self._translated(f"reading the batch {batch_id}"):
            return described(self._sdk.batches.retrieve(batch_id))

    def cancel(self, batch_id: str) -> ProviderBatch:
        with self._translated(f"cancelling the batch {batch_id}"):
            return described(self._sdk.batches.cancel(batch_id))

    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Write the file to `sink` in blocks of the size in which they arrive."""
        received = 0
        with (
            self._translated(f"downloading the file {file_id}"),
            self._sdk.files.with_streaming_response.content(file_id) as reply,
        ):
            for block in reply.iter_bytes():
                sink.write(block)
                received += len(block)
            check_length(reply.headers, received)

    def _pinned(self, sdk: OpenAI) -> OpenAI:
        """Drops the organization and project that the SDK takes from the environment, so that the
        account that pays is the one that was declared.
        """
        sdk.organization, sdk.project = self._organization, self._project
        return sdk

    def _translated(self, call: str, *, creating: bool = False) -> AbstractContextManager[None]:
        return translated(call, base_url=self._shown_url, secret=self._api_key, creating=creating)
