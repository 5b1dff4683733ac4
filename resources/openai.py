"""OpenAI's Batch API behind the port, and the Dagster resource that vends it.

The SDK takes a second of CPU to import, so it is imported at the first call and never before:
code locations, dry runs and sensors that have nothing to ask do without it. `openai_client` makes
the calls, `openai_errors` translates what they raise, `openai_replies` what they return.

Source of the API's limits, unless a line says otherwise: the types of openai-python 3.54.
"""

from collections.abc import Generator, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field

from batch_assets.domain.batch import Account
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import DeclarationError, RequestRefused
from batch_assets.domain.provider import Provider, ProviderBatch
from batch_assets.domain.shard import Limits
from batch_assets.resources.openai_replies import created_at, field_of, key_of

if TYPE_CHECKING:
    from batch_assets.resources.openai_client import OpenAIClient

OPENAI_URL = "https://api.openai.com/v1"

#: How far the provider's clock and ours may disagree on when a batch was created.
CLOCK_SKEW = timedelta(minutes=10)

#: Seconds that the Files API accepts for expires_after (`file_create_params.py`).
EXPIRY_SECONDS = range(3_600, 2_592_001)


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
        input_expires_after_seconds: int | None = None,
    ) -> None:
        """Raises DeclarationError for an address or a number that cannot be used."""
        expiry = input_expires_after_seconds
        if timeout_seconds <= 0 or max_retries < 0:
            raise DeclarationError("timeout_seconds must be above 0, and max_retries 0 or more")
        if expiry is not None and expiry not in EXPIRY_SECONDS:
            raise DeclarationError(
                f"input_expires_after_seconds is {expiry}; the Files API takes "
                f"{EXPIRY_SECONDS[0]} to {EXPIRY_SECONDS[-1]}"
            )
        self._api_key = api_key.strip()
        self._limits = limits
        self._budget = budget
        self._timeout_seconds = timeout_seconds
        self._max_retries = max_retries
        self._organization = organization
        self._project = project
        self._base_url = base_url or OPENAI_URL
        self._account = account or _account(_host(self._base_url), organization, project)
        self._expiry = expiry

    @property
    def account(self) -> Account:
        return Account(self._account)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def budget(self) -> Budget:
        return self._budget

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        input_file_id = self._client.upload(shard, key=key, expires_after_seconds=self._expiry)
        return self._client.create(input_file_id, endpoint=endpoint, key=key)

    def find(self, key: str, *, since: datetime) -> ProviderBatch | None:
        """The batch that carries the key; None where every page back to `since` was read.

        Raises ProviderUnavailable where the list breaks off: None is never a guess.
        """
        call = f"looking for the batch {key}"
        for batch in self._listed(call, since):
            if key_of(batch) == key:
                return self._client.describe(call, batch)
        return None

    def poll(self, ids: AbstractSet[str], *, since: datetime) -> Iterator[ProviderBatch]:
        """The batches of these ids: one call per page of 100, then one per id on no page.

        Raises RequestRefused where the provider does not know an id, after it has handed out all
        others.
        """
        call, missing = "listing the batches", set(ids)
        for batch in self._listed(call, since) if missing else ():
            if field_of(batch, "id") in missing:
                found = self._client.describe(call, batch)
                missing.remove(found.id)
                yield found
            if not missing:
                return
        refusals: dict[str, RequestRefused] = {}
        for batch_id in sorted(missing):
            try:
                found = self._client.retrieve(batch_id)
            except RequestRefused as refusal:
                refusals[batch_id] = refusal
            else:
                yield found
        if refusals:
            first = next(iter(refusals.values()))
            raise RequestRefused(f"cannot follow {', '.join(refusals)}: {first.message}") from first

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
        from batch_assets.resources.openai_client import OpenAIClient

        return OpenAIClient(
            api_key=self._api_key,
            base_url=self._base_url,
            organization=self._organization,
            project=self._project,
            timeout_seconds=self._timeout_seconds,
            max_retries=self._max_retries,
        )

    def _listed(self, call: str, since: datetime) -> Iterator[object]:
        """All batches created at `since` or later, and some older ones.

        Ends at the page that reaches back behind `since`. Where the list does not run from new to
        old, as some compatible servers have it, reads it to its end.
        """
        skew = CLOCK_SKEW.total_seconds()
        times: list[int] = []
        after: str | None = None
        while True:
            batches, after = self._client.page(call, after)
            yield from batches
            times += [time for time in map(created_at, batches) if time is not None]
            newest_first = all(newer >= older - skew for newer, older in pairwise(times))
            behind = bool(times) and times[-1] < since.timestamp() - skew
            if after is None or (newest_first and behind):
                return


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


def _account(host: str, organization: str | None, project: str | None) -> str:
    own_host = None if host == urlsplit(OPENAI_URL).hostname else host
    return "/".join(filter(None, ("openai", own_host, organization, project)))


class OpenAIResource(dg.ConfigurableResource[OpenAIProvider]):
    """OpenAI's Batch API as a Dagster resource; assets receive the provider itself.

    Fields are named as in dagster-openai where that has them. Ask for it in an asset with
    `llm: dg.ResourceParam[Provider]`.
    """

    api_key: str = Field(
        repr=False,
        description='The secret key; name its variable: `dg.EnvVar("OPENAI_API_KEY")`.',
    )
    organization: str | None = Field(
        default=None, description="Id of the organization that pays; None is the key's own."
    )
    project: str | None = Field(
        default=None, description="Id of the project that pays; None is the key's own."
    )
    base_url: str | None = Field(
        default=None,
        description=f"Address of the API with its version; None is {OPENAI_URL}.",
    )
    account: str | None = Field(
        default=None,
        description=(
            "Name, in the ledger, of the account whose quota the batches share. None makes one of "
            "openai, another host, organization and project. Keep it while batches are open."
        ),
    )
    timeout_seconds: float = Field(
        default=120.0, description="Seconds of silence after which a call counts as lost."
    )
    max_retries: int = Field(
        default=2,
        description="Further tries of a read or an upload; the creation of a batch has none.",
    )
    max_requests_per_batch: int = Field(
        default=50_000,
        description="Requests in one batch file (openai-python, `types/batch_create_params.py`).",
    )
    max_bytes_per_batch: int = Field(
        default=200_000_000,
        description=(
            "Bytes of one batch file: 200 MB (openai-python, `types/batch_create_params.py`), read "
            "as millions, the smaller reading."
        ),
    )
    max_tokens_per_batch: int | None = Field(
        default=None, description="Estimated prompt tokens in one batch; None is no limit."
    )
    max_enqueued_tokens: int | None = Field(
        default=None,
        description=(
            "Estimated prompt tokens of all open batches together. The provider shows yours on "
            "its limits page only; None is no limit."
        ),
    )
    max_open_batches: int | None = Field(
        default=None, description="Batches open at once; None is no limit."
    )
    input_expires_after_seconds: int | None = Field(
        default=None,
        description=(
            "Seconds after which the provider deletes an uploaded shard, 3600 to 2592000; None "
            "leaves it at the provider's 30 days."
        ),
    )

    @contextmanager
    def yield_for_execution(
        self, context: dg.InitResourceContext
    ) -> Generator[OpenAIProvider, None, None]:
        """Every run and every tick has a client of its own, and gives its connections back."""
        with closing(self.create_resource(context)) as provider:
            yield provider

    def create_resource(self, context: dg.InitResourceContext) -> OpenAIProvider:
        return OpenAIProvider(
            api_key=self.api_key,
            limits=Limits(
                requests=self.max_requests_per_batch,
                bytes=self.max_bytes_per_batch,
                # A shard that the queue could never take would wait for ever.
                tokens=min(
                    filter(None, (self.max_tokens_per_batch, self.max_enqueued_tokens)),
                    default=None,
                ),
            ),
            budget=Budget(tokens=self.max_enqueued_tokens, batches=self.max_open_batches),
            timeout_seconds=self.timeout_seconds,
            max_retries=self.max_retries,
            organization=self.organization,
            project=self.project,
            base_url=self.base_url,
            account=self.account,
            input_expires_after_seconds=self.input_expires_after_seconds,
        )
