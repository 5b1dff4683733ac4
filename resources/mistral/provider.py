"""Mistral's batch jobs behind the port.

The SDK takes long to import, so it is imported at the first call and never before. `client` makes
the calls, `errors` says what they raise, `replies` what they return.
"""

import json
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
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import (
    ArtifactError,
    BatchAssetsError,
    BatchUnknown,
    OutOfTime,
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
from batch_assets.resources.lists import behind
from batch_assets.resources.metadata import MetadataLimits
from batch_assets.resources.patience import Patience

if TYPE_CHECKING:
    from batch_assets.resources.mistral.client import MistralClient

#: The variable that holds the key, by the SDK's custom and in our deployments.
API_KEY = "MISTRAL_API_KEY"

#: `client/sdkconfiguration.py`, the server `eu`; paths of the SDK begin with /v1.
MISTRAL_URL = "https://api.mistral.ai"

#: What we can ask for of `client/models/apiendpoint.py`.
ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings")

#: Nothing is documented: OpenAI's, which the same tools write.
METADATA = MetadataLimits()

#: The name under which a batch's requests are uploaded: its key.
_OUR_FILE = re.compile(r"([0-9a-f]{32})\.jsonl")

_LISTING = "listing the batches"


class MistralProvider(Provider):
    """One account at Mistral.

    Reads and uploads are tried again. The call that creates a job never is: every try that gets
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
        timeout_hours: int = 24,
        metadata: Mapping[str, str] | None = None,
        base_url: str | None = None,
        account: str | None = None,
        price_list: str | None = None,
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
        self._timeout_hours = timeout_hours
        self._metadata = dict(metadata or {})
        self._base_url = base_url or MISTRAL_URL
        self._wait = wait
        host = host_of(self._base_url, example=MISTRAL_URL)
        is_own = host == host_of(MISTRAL_URL, example=None)
        self._account = account or ("mistral" if is_own else f"mistral/{host}")
        named = price_list or ("mistral" if is_own else None)
        note = "" if is_own else f"{host}, which answers, may charge something else or nothing"
        self._price_list = None if named is None else PriceList(provider=named, note=note)
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
        if find_spec("mistralai") is None:
            return (
                "Mistral's SDK is not installed: pip install 'batch-assets[mistral]' where the "
                "code location runs, and start that again"
            )
        return None

    def takes(self, endpoint: str) -> bool:
        return endpoint in ENDPOINTS

    def within(self, seconds: float, *, calls: int | None = None) -> AbstractContextManager[None]:
        """In this block each call is tried once, and none is waited for after so many seconds."""
        return self._patience.within(seconds, calls)

    def submit(self, shard: Path, *, endpoint: str, key: str) -> ProviderBatch:
        """Upload the shard, then create its job by one single request.

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
        """The job that carries the key: by one call where the server filters by metadata, and by
        as many pages as reach back to `since` where it does not.
        """
        for batch in self._jobs(f"looking for the batch {key}", since, key=key):
            if batch.key == key:
                return batch
        return None

    def poll(
        self, ids: Collection[str], *, since: datetime, among: Sequence[str] = ()
    ) -> Iterator[ProviderBatch]:
        """The jobs of these ids: by pages of 100 from the newest, then one by one.

        With `among` the first of `ids` is asked about alone, before the pages: they can be entered
        at a number only, and it may stand behind the last that there is time for.
        """
        missing = dict.fromkeys(ids)
        refusals: dict[str, RequestRefused] = {}
        try:
            if among:
                yield from self._alone(next(iter(missing)), missing, refusals)
            for batch in self._jobs(_LISTING, since) if missing else ():
                if batch.id in missing:
                    del missing[batch.id]
                    yield batch
                    if not missing:
                        break
            for batch_id in list(missing):
                yield from self._alone(batch_id, missing, refusals)
        except OutOfTime as error:
            _check_refusals(refusals, error)
            raise
        _check_refusals(refusals, None)

    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        """The request files of ours, and some older ones. Ours are known by their names."""
        call = "listing the uploaded files"
        enough = (since - CLOCK_SKEW).timestamp()
        page, size = 0, 1
        while size:
            # That the newest come first is not documented: the list is read to its end.
            files = self._client.file_page(call, page, purpose="batch")
            page, size = page + 1, len(files)
            for file in files:
                ours = _OUR_FILE.fullmatch(file.filename)
                if ours and file.created_at >= enough:
                    yield Upload(id=file.id, key=ours[1])

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
        """All jobs of the account, from new to old, by pages of 100.

        The list can be entered at a number only: with `after` it is read from its beginning.
        """
        yield from behind(_LISTING, self._jobs(_LISTING), after)

    def files(self) -> Iterator[RemoteFile]:
        """All files of the account, of whatever purpose, by pages of 100."""
        from batch_assets.resources.mistral.replies import file_described

        page, size = 0, 1
        while size:
            files = self._client.file_page("listing the files", page)
            page, size = page + 1, len(files)
            yield from map(file_described, files)

    def upload(self, path: Path, *, name: str) -> RemoteFile:
        check_file_name(name)
        return self._client.upload(path, name=name, call=f"uploading {path}")

    def check_metadata(self, metadata: Mapping[str, str]) -> None:
        """Raise DeclarationError for what is too much beside our key and the resource's own."""
        METADATA.check({**self._metadata, **metadata}, "mistral")

    def create(
        self, requests: Path | str, *, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        """`submit` for a person, of a request file here or of one that is uploaded already.

        The model of a job is that of its first request. Raises RequestRefused for an uploaded file
        that names none, and ArtifactError for one here.
        """
        self.check_metadata(metadata)
        if isinstance(requests, Path):
            return self._offered(requests, endpoint, key, metadata)
        model = _model_in(self._client.first_line(requests))
        if model is None:
            raise RequestRefused(
                f"creating the batch {key}: the first line of {requests} names no model, which a "
                'job of Mistral\'s must have: write it into the body of each request ("model": '
                '"mistral-small-latest") and upload the file again'
            )
        return self._created(requests, model, endpoint, key, metadata)

    def close(self) -> None:
        """Give the connections back; the next call opens new ones."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    @cached_property
    def _client(self) -> "MistralClient":
        if self.lacks is not None:
            raise ProviderUnreachable(self.lacks)
        from batch_assets.resources.mistral.client import MistralClient

        return MistralClient(
            api_key=self._api_key,
            key_variable=self._key_variable,
            base_url=self._base_url,
            timeout_seconds=self._timeout_seconds,
            max_retries=self._max_retries,
            patience=self._patience,
            wait=self._wait,
        )

    def _offered(
        self, shard: Path, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        """The job of a file of ours, which is deleted where it is sure that no job has it."""
        model = _model_of(shard)
        call = f"uploading {shard.name} of the batch {key}"
        input_file_id = self._client.upload(shard, name=f"{key}.jsonl", call=call).id
        try:
            return self._created(input_file_id, model, endpoint, key, metadata)
        except ReplyLost:
            raise
        except BatchAssetsError:
            with suppress(BatchAssetsError):
                self._client.delete_file(input_file_id, retrying=False)
            raise

    def _created(
        self, input_file_id: str, model: str, endpoint: str, key: str, metadata: Mapping[str, str]
    ) -> ProviderBatch:
        return self._client.create(
            input_file_id,
            endpoint=endpoint,
            model=model,
            timeout_hours=self._timeout_hours,
            metadata={**self._metadata, **metadata},
            key=key,
        )

    def _jobs(
        self, call: str, since: datetime | None = None, key: str | None = None
    ) -> Iterator[ProviderBatch]:
        """All jobs created at `since` or later, from new to old, by the clock of the provider.

        Those that come in meanwhile move others to a later page: none is hidden, nor told twice.
        """
        from batch_assets.resources.mistral.client import PAGE
        from batch_assets.resources.mistral.replies import described

        page, size = 0, PAGE
        told: set[str] = set()
        while size >= PAGE:
            jobs = self._client.job_page(call, page, since=since and since - CLOCK_SKEW, key=key)
            yield from (described(job) for job in jobs if job.id not in told)
            told.update(job.id for job in jobs)
            page, size = page + 1, len(jobs)

    def _alone(
        self, batch_id: str, missing: dict[str, None], refusals: dict[str, RequestRefused]
    ) -> Iterator[ProviderBatch]:
        try:
            found = self._client.retrieve(batch_id)
        except RequestRefused as refusal:
            refusals[batch_id] = refusal
        else:
            yield found
        del missing[batch_id]


def _check_refusals(refusals: Mapping[str, RequestRefused], cause: Exception | None) -> None:
    """Raise BatchUnknown for those that the provider does not know."""
    if refusals:
        first = next(iter(refusals.values()))
        raise BatchUnknown(
            f"cannot follow {', '.join(refusals)}: {first.message}", ids=set(refusals)
        ) from cause or first


def _model_of(shard: Path) -> str:
    """The model of the shard's first request, which is that of all. Raises ArtifactError."""
    try:
        with shard.open("rb") as lines:
            model = _model_in(lines.readline())
    except OSError as error:
        raise ArtifactError(f"cannot read the model in {shard}: {error!r}") from error
    if model is None:
        raise ArtifactError(
            f"the first line of {shard} names no model: write it into the body of each request"
        )
    return model


def _model_in(line: bytes) -> str | None:
    try:
        model = json.loads(line)["body"]["model"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return model if isinstance(model, str) and model else None
