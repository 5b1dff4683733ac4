"""OpenAI's Batch API behind the port.

The SDK takes a second of CPU to import, so it is imported at the first call and never before:
code locations, dry runs and sensors that have nothing to ask do without it. `client` makes the
calls, `errors` says what they raise, `replies` what they return.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from batch_assets.domain.batch import Account
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import (
    BatchAssetsError,
    DeclarationError,
    ProviderUnavailable,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.price import PriceList
from batch_assets.domain.provider import Provider, ProviderBatch, Upload
from batch_assets.domain.shard import Limits
from batch_assets.resources.openai.options import CreateOptions
from batch_assets.resources.openai.replies import (
    CursorGone,
    NotListed,
    created_at,
    key_of,
    text_of,
)
from batch_assets.resources.openai.search import BatchSearch
from batch_assets.resources.patience import Patience

if TYPE_CHECKING:
    from batch_assets.resources.openai.client import OpenAIClient

#: The variable that holds the key, by the SDK's custom and in our deployments.
API_KEY = "OPENAI_API_KEY"

OPENAI_URL = "https://api.openai.com/v1"

#: How far the provider's clock and ours may disagree. A page more of a list costs nothing, and a
#: batch that is overlooked is paid for twice.
CLOCK_SKEW = timedelta(hours=1)

#: How far a list from new to old may be out of order, as where servers write side by side.
DISORDER = timedelta(minutes=10)

#: The name under which a batch's requests are uploaded: its key.
_OUR_FILE = re.compile(r"([0-9a-f]{32})\.jsonl")

#: The batches or files after a cursor, and the next cursor.
Page = Callable[[str, str | None], tuple[list[object], str | None]]


class OpenAIProvider(Provider):
    """One account at OpenAI, or at a server that speaks its Batch API.

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
        organization: str | None = None,
        project: str | None = None,
        base_url: str | None = None,
        account: str | None = None,
        price_list: str | None = None,
        options: CreateOptions | None = None,
        key_variable: str = API_KEY,
    ) -> None:
        """Raises DeclarationError for an address that cannot be used."""
        self._api_key = api_key.strip()
        self._key_variable = key_variable
        self._limits = limits
        self._budget = budget
        self._timeout_seconds = timeout_seconds
        self._max_retries = max_retries
        self._organization = organization
        self._project = project
        self._base_url = base_url or OPENAI_URL
        self._account = account or _account(_host(self._base_url), organization, project)
        self._price_list = _price_list(_host(self._base_url), price_list)
        self._options = options or CreateOptions()
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
        if not self._api_key:
            return (
                f"no key: set the environment variable {self._key_variable} where the code "
                "location runs, and start that again"
            )
        if find_spec("openai") is None:
            return (
                "the OpenAI SDK is not installed: pip install 'batch-assets[openai]' where the "
                "code location runs, and start that again"
            )
        return None

    def within(self, seconds: float, *, calls: int | None = None) -> AbstractContextManager[None]:
        """In this block each call is tried once, and none is waited for after so many seconds.

        The SDK would wait up to two minutes before each further try, where the provider asks for it
        (`_constants.py`: MAX_RETRY_AFTER_DELAY). The last call may take CONNECT_SECONDS more.
        """
        return self._patience.within(seconds, calls)

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        """Upload the shard, then create its batch by one single request.

        Where the creation is refused for sure, the upload is deleted again. A deletion that fails
        is left to the sweep, as is an upload whose process dies or whose reply is lost.
        """
        input_file_id = self._client.upload(shard, key=key)
        try:
            return self._client.create(input_file_id, endpoint=endpoint, key=key)
        except ReplyLost:
            raise
        except BatchAssetsError:
            with suppress(BatchAssetsError):
                self._client.delete_file(input_file_id, retrying=False)
            raise

    def find(
        self,
        key: str,
        *,
        since: datetime,
        requests: int | None = None,
        besides: Collection[str] = (),
    ) -> ProviderBatch | None:
        """The batch that carries the key; None where every page back to `since` was read.

        Batches without metadata, which some servers drop, are known by the file they were created
        from. A list may lag behind the creation by seconds: ask once the offer is a minute old.

        Raises ProviderUnavailable where a list breaks off, and RequestRefused where the server has
        none.
        """
        call = f"looking for the batch {key}"
        bare: dict[str, object] = {}
        try:
            for batch in self._listed(call, since, self._client.batch_page):
                found = key_of(batch)
                if found == key:
                    return self._client.describe(call, batch)
                input_file_id = text_of(batch, "input_file_id")
                if found is None and input_file_id and _may_be_since(batch, since):
                    bare[input_file_id] = batch
            for file in self._listed(call, since, self._client.file_page) if bare else ():
                batch_of_file = bare.get(text_of(file, "id") or "")
                if batch_of_file and text_of(file, "filename") == f"{key}.jsonl":
                    return self._client.describe(call, batch_of_file)
        except NotListed as error:
            raise RequestRefused(
                f"{call}: {error}, so it cannot be found out whether the batch exists; check the "
                "resource's base_url, or look on the provider's own pages and decide by hand"
            ) from None
        return None

    def poll(
        self, ids: Collection[str], *, since: datetime, among: Sequence[str] = ()
    ) -> Iterator[ProviderBatch]:
        """The batches of these ids: by pages of 100, then one by one those on no page.

        With `among` the list is entered wherever one of `ids` stands, behind its newer neighbour.
        """
        if ids:
            search = BatchSearch(self._client, ids)
            listed = self._listed("listing the batches", since, self._client.batch_page)
            yield from search.among(among) if among else search.from_the_newest(listed)

    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        """The request files of ours, and some older ones; none where the server has no list.

        Ours are known by their names, which are keys. Read them all before you delete one: it may
        be the cursor of the next page.
        """
        call = "listing the uploaded files"
        with suppress(NotListed):
            for file in self._listed(call, since, self._client.file_page):
                file_id = text_of(file, "id")
                ours = _OUR_FILE.fullmatch(text_of(file, "filename") or "")
                if ours and file_id:
                    yield Upload(id=file_id, key=ours[1])

    def delete_upload(self, file_id: str) -> None:
        self._client.delete_file(file_id)

    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Stream a file into `sink`, which holds a part of it where this raises.

        Raises ProviderUnavailable where the file did not come whole.
        """
        self._client.download(file_id, sink)

    def cancel(self, batch_id: str) -> ProviderBatch:
        return self._client.cancel(batch_id)

    def close(self) -> None:
        """Give the connections back; the next call opens new ones."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    @cached_property
    def _client(self) -> "OpenAIClient":
        if self.lacks is not None:
            raise ProviderUnreachable(self.lacks)
        from batch_assets.resources.openai.client import OpenAIClient

        return OpenAIClient(
            api_key=self._api_key,
            key_variable=self._key_variable,
            base_url=self._base_url,
            organization=self._organization,
            project=self._project,
            timeout_seconds=self._timeout_seconds,
            max_retries=self._max_retries,
            options=self._options,
            patience=self._patience,
        )

    def _listed(self, call: str, since: datetime, page: Page) -> Iterator[object]:
        """All batches or files created at `since` or later, and some older ones.

        Ends at the page that reaches back behind `since`, but only where the list is seen to run
        from new to old: one that does not, or shows one moment only, is read to its end.
        """
        enough = (since - CLOCK_SKEW - DISORDER).timestamp()
        first: int | None = None
        lowest: int | None = None
        falling = True
        after: str | None = None
        while True:
            try:
                entries, after = page(call, after)
            except CursorGone as error:
                raise ProviderUnavailable(
                    f"{call}: the list breaks off; it is read again the next time"
                ) from error
            yield from entries
            for time in filter(None, map(created_at, entries)):
                first = time if first is None else first
                lowest = time if lowest is None else lowest
                falling = falling and time <= lowest + DISORDER.total_seconds()
                lowest = min(lowest, time)
            if after is None:
                return
            if falling and first is not None and lowest is not None and lowest < min(first, enough):
                return


def _may_be_since(entry: object, since: datetime) -> bool:
    """Whether it may have been created at `since` or later, by the provider's clock."""
    time = created_at(entry)
    return time is None or time >= (since - CLOCK_SKEW).timestamp()


def _host(base_url: str) -> str:
    """The host name of an address without credentials. Raises DeclarationError for any other."""
    try:
        url = urlsplit(base_url)
        usable = url.scheme in ("http", "https") and url.port != 0 and url.username is None
    except ValueError:
        usable = False
    if not usable or not url.hostname:
        raise DeclarationError(
            f"base_url must be an http or https address without a user name, such as {OPENAI_URL}"
        )
    return url.hostname


def _price_list(host: str, named: str | None) -> PriceList | None:
    """OpenAI's own prices hold at its own address; at another one, those that were named."""
    if host == urlsplit(OPENAI_URL).hostname:
        return PriceList(provider=named or "openai")
    if named is None:
        return None
    return PriceList(
        provider=named, note=f"{host}, which answers, may charge something else or nothing"
    )


def _account(host: str, organization: str | None, project: str | None) -> str:
    own_host = None if host == urlsplit(OPENAI_URL).hostname else host
    return "/".join(filter(None, ("openai", own_host, organization, project)))
