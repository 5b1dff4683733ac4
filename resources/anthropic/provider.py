"""Anthropic's Message Batches behind the port.

The SDK is imported at the first call and never before. `client` makes the calls, `errors` says what
they raise, `replies` what they return, `request_body` what is sent.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from batch_assets.domain.batch import Account
from batch_assets.domain.batch_key import is_for_a_person
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import (
    ProviderUnavailable,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.price import PriceList
from batch_assets.domain.provider import Phase, Provider, ProviderBatch
from batch_assets.domain.request import mark_of
from batch_assets.domain.shard import Limits
from batch_assets.resources.address import host_of
from batch_assets.resources.lists import may_be_since, read_all, read_back
from batch_assets.resources.patience import Patience
from batch_assets.resources.replies import text_of
from batch_assets.resources.search import BatchSearch

if TYPE_CHECKING:
    from batch_assets.resources.anthropic.client import AnthropicClient

#: The variable that holds the key, by the SDK's custom and in our deployments.
API_KEY = "ANTHROPIC_API_KEY"

ANTHROPIC_URL = "https://api.anthropic.com"

#: The one endpoint that a batch can have.
MESSAGES = "/v1/messages"

#: Time that a batch has (`types/messages/message_batch.py`: expires_at).
WINDOW = timedelta(hours=24)

#: Batches that are named in a sentence; the others are counted.
_MOST_NAMED = 3


class AnthropicProvider(Provider):
    """One account at Anthropic, or at a server that speaks its Message Batches.

    A batch has no word of ours at Anthropic but the custom_ids of its requests, which are shown
    with its results. Each ends with the mark of the batch's key, but for what a person creates,
    whose ids stay as they are: such a batch carries nothing of ours.

    Reads are tried again by the SDK. The call that creates a batch never is: every try that gets
    through is paid for.
    """

    def __init__(
        self,
        *,
        api_key: str,
        limits: Limits,
        budget: Budget,
        timeout_seconds: float,
        max_retries: int,
        workspace_id: str | None = None,
        base_url: str | None = None,
        betas: Sequence[str] = (),
        account: str | None = None,
        price_list: str | None = None,
        key_variable: str = API_KEY,
    ) -> None:
        """Raises DeclarationError for an address that cannot be used."""
        self._api_key = api_key.strip()
        self._key_variable = key_variable
        self._limits = limits
        self._budget = budget
        self._timeout_seconds = timeout_seconds
        self._max_retries = max_retries
        self._workspace_id = workspace_id
        self._base_url = base_url or ANTHROPIC_URL
        self._betas = tuple(betas)
        host = host_of(self._base_url, example=ANTHROPIC_URL)
        own_host = None if host == urlsplit(ANTHROPIC_URL).hostname else host
        self._account = account or "/".join(filter(None, ("anthropic", own_host, workspace_id)))
        self._price_list = _price_list(own_host, price_list)
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
        if find_spec("anthropic") is None:
            return (
                "the Anthropic SDK is not installed: pip install 'batch-assets[anthropic]' where "
                "the code location runs, and start that again"
            )
        return None

    def within(self, seconds: float, *, calls: int | None = None) -> AbstractContextManager[None]:
        """In this block each call is tried once, and none is waited for after so many seconds.

        The last call may take CONNECT_SECONDS more.
        """
        return self._patience.within(seconds, calls)

    def takes(self, endpoint: str) -> bool:
        return endpoint == MESSAGES

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        """Create the batch by one single request, which brings the shard.

        Raises RequestRefused for requests of another endpoint, before anything is sent.
        """
        call = f"creating the batch {key}"
        self._check_endpoint(endpoint, call)
        return replace(self._client.create(shard, call=call, key=key), key=key)

    def find(
        self,
        key: str,
        *,
        since: datetime,
        requests: int | None = None,
        besides: Collection[str] = (),
    ) -> ProviderBatch | None:
        """The batch whose results end with the mark of the key.

        Candidates are the batches since then that have as many requests and are not known to be
        others. None where every one of them was seen to be another, or where there is none.

        A batch that a person created has no mark: where there are candidates for it, RequestRefused
        names them.

        Raises ProviderUnavailable while one is not judged, since it has no results before it has
        ended, and RequestRefused where one never can be, its results being archived.
        """
        call = f"looking for the batch {key}"
        if is_for_a_person(key):
            _check_none(call, list(self._candidates(call, since, requests, besides)))
            return None
        open_ones: list[ProviderBatch] = []
        archived: list[ProviderBatch] = []
        for candidate in self._candidates(call, since, requests, besides):
            if candidate.output_file_id is not None:
                custom_ids = self._client.first_custom_ids(call, candidate.id)
                if any(custom_id.endswith(mark_of(key)) for custom_id in custom_ids):
                    return replace(candidate, key=key)
            elif candidate.phase is Phase.ENDED:
                archived.append(candidate)
            else:
                open_ones.append(candidate)
        if open_ones:
            latest = max(batch.created_at for batch in open_ones) + WINDOW
            raise ProviderUnavailable(
                f"{call}: it may be {_named(open_ones)}, which the results will tell once it has "
                f"ended, at {latest:%Y-%m-%d %H:%M} UTC at the latest; it is looked up again"
            )
        if archived:
            raise RequestRefused(
                f"{call}: it may be {_named(archived)}, whose results are archived and can tell no "
                "more; look at it on the provider's own pages and decide by hand"
            )
        return None

    def poll(
        self, ids: Collection[str], *, since: datetime, among: Sequence[str] = ()
    ) -> Iterator[ProviderBatch]:
        """The batches of these ids: by pages of 1,000, then one by one those on no page.

        With `among` the list is entered wherever one of `ids` stands, behind its newer neighbour.
        """
        if ids:
            search = BatchSearch(self._client, ids)
            yield from (
                search.among(among)
                if among
                else search.listed(self._listed("listing the batches", since))
            )

    def delete_remote(self, batch_id: str, file_ids: Collection[str]) -> None:
        """Delete the batch, which is all that Anthropic keeps of its requests and answers."""
        self._client.delete(batch_id)

    def download(self, file_id: str, sink: BinaryIO) -> None:
        """Stream the results of the batch of that id into `sink`; a part of them where this raises.

        Raises ProviderUnavailable where they did not come whole.
        """
        self._client.download(file_id, sink)

    def cancel(self, batch_id: str) -> ProviderBatch:
        return self._client.cancel(batch_id)

    def batches(self, *, after: str | None = None) -> Iterator[ProviderBatch]:
        """All batches of the account's workspace, from new to old, by pages of 1,000."""
        call = "listing the batches"
        for batch in read_all(call, self._client.batch_page, after=after):
            yield self._client.describe(call, batch)

    def create(
        self, requests: Path | str, *, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        """`submit` for a person, whose lines go out as they are: the batch carries no key."""
        self.check_metadata(metadata)
        call = f"creating the batch {key}"
        if isinstance(requests, str):
            raise RequestRefused(
                f"{call}: Anthropic makes no batch of an uploaded file: name it on this machine"
            )
        self._check_endpoint(endpoint, call)
        return self._client.create(requests, call=call, key=None)

    def close(self) -> None:
        """Give the connections back; the next call opens new ones."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    @cached_property
    def _client(self) -> "AnthropicClient":
        if self.lacks is not None:
            raise ProviderUnreachable(self.lacks)
        from batch_assets.resources.anthropic.client import AnthropicClient

        return AnthropicClient(
            api_key=self._api_key,
            key_variable=self._key_variable,
            base_url=self._base_url,
            workspace_id=self._workspace_id,
            betas=self._betas,
            timeout_seconds=self._timeout_seconds,
            max_retries=self._max_retries,
            patience=self._patience,
        )

    def _check_endpoint(self, endpoint: str, call: str) -> None:
        if not self.takes(endpoint):
            raise RequestRefused(
                f"{call}: Anthropic's batches take requests of {MESSAGES}, and not of {endpoint}: "
                "declare the endpoint messages"
            )

    def _candidates(
        self, call: str, since: datetime, requests: int | None, besides: Collection[str]
    ) -> Iterator[ProviderBatch]:
        known = frozenset(besides)
        for batch in self._listed(call, since):
            if text_of(batch, "id") in known or not may_be_since(batch, since):
                continue
            candidate = self._client.describe(call, batch)
            if requests is None or candidate.total in (None, requests):
                yield candidate

    def _listed(self, call: str, since: datetime) -> Iterator[object]:
        """The list runs from new to old ("Most recently created batches are returned first",
        `resources/messages/batches.py`).
        """
        return read_back(call, since, self._client.batch_page, is_ordered=True)


def _check_none(call: str, candidates: Sequence[ProviderBatch]) -> None:
    """Raise RequestRefused where one may be what a person created."""
    if candidates:
        raise RequestRefused(
            f"{call}: what you create at Anthropic carries no word of ours, since your custom_ids "
            f"stay as they are: it may be {_named(candidates)}, or none; compare what comes of it "
            "with your file before you send that again"
        )


def _named(batches: Sequence[ProviderBatch]) -> str:
    named = [
        f"{batch.id} (created at {batch.created_at:%Y-%m-%d %H:%M} UTC)"
        for batch in batches[:_MOST_NAMED]
    ]
    more = len(batches) - len(named)
    return " or ".join([*named, f"one of {more} more"] if more else named)


def _price_list(own_host: str | None, named: str | None) -> PriceList | None:
    """Anthropic's own prices hold at its own address; at another one, those that were named."""
    if own_host is None:
        return PriceList(provider=named or "anthropic")
    if named is None:
        return None
    return PriceList(
        provider=named, note=f"{own_host}, which answers, may charge something else or nothing"
    )
