"""Gemini's batches behind the port: the Developer API, and Vertex AI with a bucket.

The SDK takes seconds of CPU to import, so it is imported at the first call and never before: code
locations, dry runs and sensors that have nothing to ask do without it. `client` makes the calls,
`errors` says what they raise, `replies` what they return, `bucket` holds Vertex AI's files.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
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
from batch_assets.domain.listing import CLOCK_SKEW
from batch_assets.domain.price import PriceList
from batch_assets.domain.provider import (
    Provider,
    ProviderBatch,
    RemoteFile,
    Upload,
    check_file_name,
)
from batch_assets.domain.shard import Limits
from batch_assets.resources.address import host_of
from batch_assets.resources.gemini.place import BUCKET, Place
from batch_assets.resources.gemini.replies import KEY, key_of
from batch_assets.resources.gemini.search import BatchSearch, listed
from batch_assets.resources.lists import behind
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
_ENDPOINT = re.compile(r"/v1beta/(?:models/)?(?!models:)(.+):generateContent")

#: How the names of the Developer API's files begin.
UPLOADED = "files/"


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
        model, client = _model_of(endpoint, key), self._client
        call = f"uploading {shard.name} of the batch {key}"
        if self._place is None:
            source = client.upload(shard, name=key, call=call).id
        else:
            source = self._bucket.upload(shard, self._place.requests_of(key), call=call).id
        try:
            return client.create(model, source, key=key, output=self._answers_of(key))
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
        # Files are kept for two days, so that the list is never long.
        for file in self._files("listing the uploaded files"):
            is_recent = file.created_at is None or file.created_at >= since - CLOCK_SKEW
            if is_recent and file.name and KEY.fullmatch(file.name):
                yield Upload(id=file.id, key=file.name)

    def delete_upload(self, file_id: str) -> None:
        self._delete(file_id)

    def delete_remote(self, batch_id: str, file_ids: Collection[str]) -> None:
        """Delete the files and the job."""
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

    def batches(self, *, after: str | None = None) -> Iterator[ProviderBatch]:
        """All batches, by pages of 100, at Vertex AI of the project and its location.

        The list can be entered by its own tokens only: with `after` it is read from its beginning.
        """
        call = "listing the batches"
        found = (self._client.describe(call, batch) for batch in listed(self._client, call, None))
        yield from behind(call, found, after)

    def files(self) -> Iterator[RemoteFile]:
        """All files that the Developer API keeps; at Vertex AI, those below the resource's folder
        in the bucket.
        """
        if self._place is not None:
            yield from self._bucket.files()
        else:
            yield from self._files("listing the files")

    def upload(self, path: Path, *, name: str) -> RemoteFile:
        """Upload a person's request file; at Vertex AI into the resource's folder in the bucket.

        Raises RequestRefused where the folder has a file of that name.
        """
        check_file_name(name)
        call = f"uploading {path}"
        if self._place is None:
            return self._client.upload(path, name=name, call=call)
        return self._bucket.upload(path, self._place.file_of(name), call=call, replacing=False)

    def create(
        self, requests: Path | str, *, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        """`submit` for a person, of a request file here or of one that is there already.

        The model is the one in the path of the endpoint. A batch has a name, which is its key, and
        no place for other words. Of a file in a bucket, answers tell whose they are by the label
        `batch_assets_key` of each request, which our own uploads have.
        """
        self.check_metadata(metadata)
        if isinstance(requests, Path):
            return self.submit(requests, endpoint=endpoint, key=key)
        model = _model_of(endpoint, key)
        begin = UPLOADED if self._place is None else BUCKET
        if not requests.startswith(begin):
            raise RequestRefused(
                f"creating the batch {key}: {requests} is no file that a batch can be made of; "
                f"name one that begins with {begin}, as the list of files has it"
            )
        return self._client.create(model, requests, key=key, output=self._answers_of(key))

    def close(self) -> None:
        """Give the connections back; the next call opens new ones."""
        self.__dict__.pop("_bucket", None)
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def _files(self, call: str) -> Iterator[RemoteFile]:
        after: str | None = None
        while True:
            entries, after = self._client.file_page(call, after)
            for file in entries:
                yield self._client.describe_file(call, file)
            if after is None:
                return

    def _answers_of(self, key: str) -> str | None:
        """Where Vertex AI is to write."""
        return None if self._place is None else self._place.answers_of(key)

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

        return Bucket(self._place, timeout_seconds=self._timeout_seconds, patience=self._patience)


def _model_of(endpoint: str, key: str) -> str:
    found = _ENDPOINT.fullmatch(endpoint)
    if found is None:
        raise RequestRefused(
            f"creating the batch {key}: {endpoint} is no endpoint of Gemini's; declare "
            "generate_content, whose path names the model: "
            "/v1beta/models/gemini-2.5-flash:generateContent"
        )
    return found[1]


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
