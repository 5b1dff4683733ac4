"""OpenAI's Batch API behind the port: at OpenAI, and at servers that differ from it by a profile.

The SDK takes a second of CPU to import, so it is imported at the first call and never before:
code locations, dry runs and sensors that have nothing to ask do without it. `client` makes the
calls, `errors` says what they raise, `replies` what they return.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from batch_assets.domain.batch import Account
from batch_assets.domain.batch_key import key_for_a_person
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import (
    BatchAssetsError,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)
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
from batch_assets.resources.lists import Page, behind, may_be_since, read_all, read_back
from batch_assets.resources.openai.options import CreateOptions
from batch_assets.resources.openai.profile import OPENAI, Listing, Profile
from batch_assets.resources.openai.replies import key_of
from batch_assets.resources.patience import Patience
from batch_assets.resources.replies import NotListed, text_of
from batch_assets.resources.search import BatchSearch

if TYPE_CHECKING:
    from batch_assets.resources.openai.client import OpenAIClient

#: The variable that holds the key, by the SDK's custom and in our deployments.
API_KEY = "OPENAI_API_KEY"

#: The name under which a batch's requests are uploaded: its key.
_OUR_FILE = re.compile(r"([0-9a-f]{32})\.jsonl")


class OpenAIProvider(Provider):
    """One account at OpenAI, or at a server that speaks its Batch API, by the options' profile.

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
        slug: str | None = None,
        account: str | None = None,
        price_list: str | None = None,
        options: CreateOptions | None = None,
        key_variable: str = API_KEY,
        wait: Callable[[float], None] = time.sleep,
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
        self._options = options or CreateOptions()
        self._profile = self._options.profile
        self._base_url = base_url or self._profile.base_url or ""
        host = host_of(self._base_url, example=OPENAI.base_url)
        self._account = account or _account(self._profile, host, organization, project, slug)
        self._price_list = _price_list(self._profile, host, price_list)
        self._wait = wait
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

    def takes(self, endpoint: str) -> bool:
        return self._profile.takes(endpoint)

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
        return self._offered(shard, endpoint, key, {})

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
                if found is None and input_file_id and may_be_since(batch, since):
                    bare[input_file_id] = batch
            for file in self._listed(call, since, self._request_files) if bare else ():
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

        With `among` the list is entered wherever one of `ids` stands, behind its newer neighbour;
        one that is in no order is read from its beginning, after the first of `ids`.
        """
        if ids:
            search = BatchSearch(self._client, ids)
            listed = self._listed("listing the batches", since, self._client.batch_page)
            if self._profile.listing is Listing.STALE:
                yield from search.listed(iter(()))
            elif among and self._profile.listing is Listing.NEWEST_FIRST:
                yield from search.among(among)
            else:
                yield from search.listed(listed, first=list(ids)[:1] if among else ())

    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        """The request files of ours, and some older ones; none where the server has no list.

        Ours are known by their names, which are keys. Read them all before you delete one: it may
        be the cursor of the next page.
        """
        call = "listing the uploaded files"
        with suppress(NotListed):
            for file in self._listed(call, since, self._request_files):
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

    def batches(self, *, after: str | None = None) -> Iterator[ProviderBatch]:
        """All batches of the account, by pages of 100, as the server's list has them."""
        call = "listing the batches"
        is_whole = self._profile.listing is Listing.WHOLE
        listed = read_all(call, self._client.batch_page, after=None if is_whole else after)
        found = (self._client.describe(call, batch) for batch in listed)
        yield from behind(call, found, after if is_whole else None)

    def files(self) -> Iterator[RemoteFile]:
        """All files of the account, also those of answers, by pages of 1,000."""
        call = "listing the files"
        for file in read_all(call, self._client.file_page):
            yield self._client.describe_file(call, file)

    def upload(self, path: Path, *, name: str) -> RemoteFile:
        check_file_name(name)
        key = key_for_a_person()
        return self._client.upload(path, name=name, call=f"uploading {path}", key=key)

    def check_metadata(self, metadata: Mapping[str, str]) -> None:
        """Raise DeclarationError for what is too much beside our key and the resource's own."""
        self._options.adding(metadata)

    def create(
        self, requests: Path | str, *, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        """`submit` for a person, of a request file here or of one that is uploaded already.

        Its words are added to the resource's own. Raises RequestRefused for an uploaded file where
        the server keeps no metadata: such a batch could not be found after a lost reply.
        """
        self.check_metadata(metadata)
        if isinstance(requests, Path):
            return self._offered(requests, endpoint, key, metadata)
        if self._profile.metadata is None:
            raise RequestRefused(
                f"creating the batch {key} of {requests}: batches of {self._profile.name} carry no "
                "metadata, so that it could not be told which one is yours if the answer is lost: "
                "name the file on this machine, which is uploaded under the batch's key"
            )
        return self._created(requests, endpoint, key, metadata)

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
            wait=self._wait,
        )

    def _offered(
        self, shard: Path, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        """The batch of a file of ours, which is deleted where it is sure that no batch has it."""
        call = f"uploading {shard.name} of the batch {key}"
        input_file_id = self._client.upload(shard, name=f"{key}.jsonl", call=call, key=key).id
        try:
            return self._created(input_file_id, endpoint, key, metadata)
        except ReplyLost:
            raise
        except BatchAssetsError:
            with suppress(BatchAssetsError):
                self._client.delete_file(input_file_id, retrying=False)
            raise

    def _created(
        self, input_file_id: str, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        client = self._client
        client.wait_for_file(input_file_id)
        return client.create(input_file_id, endpoint=endpoint, key=key, metadata=metadata)

    def _request_files(self, call: str, after: str | None) -> tuple[list[object], str | None]:
        return self._client.file_page(call, after, purpose=self._profile.purpose)

    def _listed(self, call: str, since: datetime, page: Page) -> Iterator[object]:
        is_ordered = self._profile.listing in (Listing.NEWEST_FIRST, Listing.STALE)
        return read_back(call, since, page, is_ordered=is_ordered)


def _account(profile: Profile, host: str, *parts: str | None) -> str:
    """Its name: the host is a part of it where it does not follow from the others."""
    told = profile.is_at(host) and (any(parts) or not profile.slug_is)
    return "/".join(filter(None, (profile.name, None if told else host, *parts)))


def _price_list(profile: Profile, host: str, named: str | None) -> PriceList | None:
    """The server's own prices hold at its own address; at another one, those that were named."""
    provider = named or profile.price_list
    if profile.is_at(host):
        return None if provider is None else PriceList(provider=provider, note=profile.price_note)
    if named is None:
        return None
    return PriceList(
        provider=named, note=f"{host}, which answers, may charge something else or nothing"
    )
