"""Gemini's batches behind the port: the Developer API, and Vertex AI with a bucket.

The SDK takes seconds of CPU to import, so it is imported at the first call and never before: code
locations, dry runs and sensors that have nothing to ask do without it. `client` makes the calls,
`errors` says what they raise, `replies` what they return, `bucket` holds Vertex AI's files.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from batch_assets.domain.batch import Account
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import (
    BatchAssetsError,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.price import PriceList
from batch_assets.domain.provider import Provider, ProviderBatch, Upload
from batch_assets.domain.shard import Limits
from batch_assets.resources.address import host_of
from batch_assets.resources.gemini.place import BUCKET, Place
from batch_assets.resources.gemini.replies import created_at, key_of, text_of
from batch_assets.resources.gemini.search import CLOCK_SKEW, BatchSearch, listed
from batch_assets.resources.patience import Patience

if TYPE_CHECKING:
    from batch_assets.resources.gemini.bucket import Bucket
    from batch_assets.resources.gemini.client import GeminiClient

#: The variable that holds the key, by the SDK's custom and in our deployments.
API_KEY = "GEMINI_API_KEY"

#: Where the SDK looks for the credentials that Vertex AI asks for.
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"

GEMINI_URL = "https://generativelanguage.googleapis.com"

#: The endpoint of a model (`batch_assets/prompt/endpoints/gemini.py`).
_ENDPOINT = re.compile(r"/v1beta/(?:models/)?(.+):generateContent")

#: The name under which a batch's requests are uploaded: its key.
_KEY = re.compile(r"[0-9a-f]{32}")


class GeminiProvider(Provider):
    """One account at Gemini's Developer API, or one project at Vertex AI.

    Reads and uploads are tried again by the SDK. The call that creates a batch never is: the API
    knows no idempotency key, and every try that gets through is paid for.
    """

    def __init__(
        self,
        *,
        api_key: str,
        limits: Limits,
        budget: Budget,
        timeout_seconds: float,
        max_retries: int,
        place: Place | None = None,
        base_url: str | None = None,
        account: str | None = None,
        price_list: str | None = None,
        key_variable: str = API_KEY,
    ) -> None:
        """With a `place` the batches run at Vertex AI, whose credentials are Google's default ones.

        Raises DeclarationError for an address that cannot be used.
        """
        self._api_key = "" if place else api_key.strip()
        self._key_variable = CREDENTIALS if place else key_variable
        self._limits = limits
        self._budget = budget
        self._timeout_seconds = timeout_seconds
        self._max_retries = max_retries
        self._place = place
        own_url = _url_of(place)
        self._base_url = (base_url or own_url).rstrip("/")
        host = host_of(self._base_url, example=GEMINI_URL)
        is_own = host == urlsplit(own_url).hostname
        self._account = account or _account(place, None if is_own else host)
        self._price_list = _price_list(None if is_own else host, price_list)
        self._patience = Patience()

    @property
    def account(self) -> Account:
        return Account(self._account)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def budget(self) -> Budget:
        return self._budget

    @property
    def price_list(self) -> PriceList | None:
        return self._price_list

    @property
    def lacks(self) -> str | None:
        """The SDK or the key, where it is missing. The SDK is not imported to find out."""
        again = "where the code location runs, and start that again"
        if self._place is None and not self._api_key:
            return f"no key: set the environment variable {self._key_variable} {again}"
        if not _is_installed("google.genai"):
            return f"google-genai is not installed: pip install 'batch-assets[gemini]' {again}"
        if self._place is not None and not _is_installed("gcsfs"):
            return f"gcsfs is not installed: pip install 'batch-assets[vertex]' {again}"
        return None

    def within(self, seconds: float, *, calls: int | None = None) -> AbstractContextManager[None]:
        """In this block each call is tried once, and none is waited for after so many seconds."""
        return self._patience.within(seconds, calls)

    def takes(self, endpoint: str) -> bool:
        """Generation alone: the other endpoints of a model have files of another form."""
        return _ENDPOINT.fullmatch(endpoint) is not None

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        """Upload the shard, then create its batch by one single request.

        Where the creation is refused for sure, the upload is deleted again. A deletion that fails
        is left to the sweep, as is an upload whose process dies or whose reply is lost.
        """
        found = _ENDPOINT.fullmatch(endpoint)
        if found is None:
            raise RequestRefused(
                f"creating the batch {key}: {endpoint} is no endpoint of Gemini's; declare "
                "generate_content"
            )
        client, place = self._client, self._place
        if place is None:
            source, output = client.upload(shard, key=key), None
        else:
            source, output = self._bucket.upload(shard, key=key), place.answers_of(key)
        try:
            return client.create(found[1], source, key=key, output=output)
        except ReplyLost:
            raise
        except BatchAssetsError:
            with suppress(BatchAssetsError):
                self._delete(source, retrying=False)
            raise

    def find(
        self,
        key: str,
        *,
        since: datetime,
        requests: int | None = None,
        besides: Collection[str] = (),
    ) -> ProviderBatch | None:
        """The batch whose display name is the key; None where the list was read back to `since`."""
        call = f"looking for the batch {key}"
        for batch in listed(self._client, call, since, key=key):
            if key_of(batch) == key:
                return self._client.describe(call, batch)
        return None

    def poll(
        self, ids: Collection[str], *, since: datetime, among: Sequence[str] = ()
    ) -> Iterator[ProviderBatch]:
        """The batches of these ids: by pages of 100, then one by one those on no page."""
        if ids:
            yield from BatchSearch(self._client, ids).found(since, among)

    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        """The request files of ours: those whose display name is a key."""
        if self._place is not None:
            yield from self._bucket.uploads(since=since)
            return
        call = "listing the uploaded files"
        after: str | None = None
        # Files are kept for two days, so that the list is never long.
        while True:
            entries, after = self._client.file_page(call, after)
            for file in entries:
                name, key = text_of(file, "name"), key_of(file)
                is_ours = key is not None and _KEY.fullmatch(key) is not None
                if name and key and is_ours and created_at(file) >= since - CLOCK_SKEW:
                    yield Upload(id=name, key=key)
            if after is None:
                return

    def delete_upload(self, file_id: str) -> None:
        self._delete(file_id)

    def delete_remote(self, batch_id: str, file_ids: Collection[str]) -> None:
        """Delete the files and the job; of Vertex AI the answers stay in the bucket."""
        for file_id in file_ids:
            self._delete(file_id)
        self._client.delete_batch(batch_id)

    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Stream a file into `sink`, which holds a part of it where this raises.

        Raises ProviderUnavailable where the file did not come whole. Of Vertex AI it is a folder,
        whose files come one after the other, each line with the key of its request.
        """
        if file_id.startswith(BUCKET):
            self._bucket.download(file_id, sink)
        else:
            self._client.download(file_id, sink)

    def cancel(self, batch_id: str) -> ProviderBatch:
        self._client.cancel(batch_id)
        return self._client.retrieve(batch_id)

    def close(self) -> None:
        """Give the connections back; the next call opens new ones."""
        self.__dict__.pop("_bucket", None)
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def _delete(self, file_id: str, *, retrying: bool = True) -> None:
        if file_id.startswith(BUCKET):
            self._bucket.delete(file_id)
        else:
            self._client.delete_file(file_id, retrying=retrying)

    @cached_property
    def _client(self) -> "GeminiClient":
        if self.lacks is not None:
            raise ProviderUnreachable(self.lacks)
        from batch_assets.resources.gemini.client import GeminiClient

        return GeminiClient(
            api_key=self._api_key,
            key_variable=self._key_variable,
            base_url=self._base_url,
            place=self._place,
            timeout_seconds=self._timeout_seconds,
            max_retries=self._max_retries,
            patience=self._patience,
        )

    @cached_property
    def _bucket(self) -> "Bucket":
        if self.lacks is not None:
            raise ProviderUnreachable(self.lacks)
        if self._place is None:
            raise RequestRefused(
                "files of a bucket belong to Vertex AI: declare the resource with vertexai, "
                "project, location and bucket"
            )
        from batch_assets.resources.gemini.bucket import Bucket

        return Bucket(self._place, patience=self._patience)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _url_of(place: Place | None) -> str:
    """The address that the SDK has for it (`_api_client.py`: BaseApiClient)."""
    if place is None:
        return GEMINI_URL
    match place.location:
        case "global":
            return "https://aiplatform.googleapis.com"
        case "us" | "eu":
            return f"https://aiplatform.{place.location}.rep.googleapis.com"
        case _:
            return f"https://{place.location}-aiplatform.googleapis.com"


def _price_list(other_host: str | None, named: str | None) -> PriceList | None:
    """Google's own prices hold at its own address; at another one, those that were named."""
    if other_host is None:
        return PriceList(provider=named or "google")
    if named is None:
        return None
    return PriceList(
        provider=named, note=f"{other_host}, which answers, may charge something else or nothing"
    )


def _account(place: Place | None, other_host: str | None) -> str:
    if place is None:
        return "/".join(filter(None, ("gemini", other_host)))
    return "/".join(filter(None, ("vertex", other_host, place.project, place.location)))
