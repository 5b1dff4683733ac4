"""What the author of an adapter tells the contract suite, and what its rules have in common."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from batch_assets.contract.gateway import Gateway
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.errors import ProviderUnavailable
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.provider import Provider, ProviderBatch
from batch_assets.domain.request import mark_of
from batch_assets.prompt import Prompt
from batch_assets.prompt.endpoints.endpoint import Endpoint
from batch_assets.prompt.output import TextOutput

#: A batch's key, as the ledger makes them: 32 hexadecimal digits.
KEY = "0123456789abcdef0123456789abcdef"

#: The key of no batch.
NOBODYS_KEY = "f" * 32

#: The key of a batch that a person creates, as `key_for_a_person` makes them.
PERSONS_KEY = "0" * 8 + "1" * 24

#: The account's secret: long enough, and in no provider's form.
SECRET = "contract-suite-secret-0123456789"

#: What custom_ids begin with; see batch_assets.domain.request.
PREFIX = "feedfacefeedface-"

#: Offers a shard; keywords are `requests` and `key`.
Submit = Callable[..., ProviderBatch]

#: Makes a provider behind the gateway; keywords are those of `make_provider`.
Providers = Callable[..., Provider]


class Adapter:
    """Give `server`, `make_provider` and `endpoint` in a class of your own, put before a contract:

    class TestMine(MyAdapter, ProviderContract): ...
    """

    #: How the requests are written that shards are made of, and how their answers are judged.
    endpoint: ClassVar[type[Endpoint]]
    model: ClassVar[str] = "a-model"
    #: Settings that each request needs.
    settings: ClassVar[Mapping[str, Any]] = {}

    #: What the provider has for a person. Where one is False, the call raises: RequestRefused, and
    #: DeclarationError for metadata.
    lists_batches: bool = True
    lists_files: bool = True
    creates_of_uploads: bool = True
    uploads_files: bool = True
    keeps_metadata: bool = True
    #: Whether a batch that a person created is found by its key after a lost reply.
    finds_created: bool = True

    @pytest.fixture
    def server(self) -> Any:
        """A ContractServer without batches, for one test. Yours takes this one's place."""
        raise NotImplementedError("a fixture `server` that gives a ContractServer")

    def make_provider(
        self, origin: str, *, api_key: str, timeout_seconds: float, max_retries: int
    ) -> Provider:
        """Your provider at that address, such as http://127.0.0.1:8750; no call is made yet."""
        raise NotImplementedError("a method `make_provider` that returns your Provider")

    def as_downloaded(self, answered: bytes) -> bytes:
        """What `download` makes of what the provider answers: nothing else, as a rule."""
        return answered

    def write_shard(self, path: Path, requests: int) -> None:
        """Write a shard of so many requests, with custom_ids of PREFIX and a number from 0."""
        words = [f"word {number}" for number in range(requests)]
        path.write_bytes(b"".join(self.lines(words)))

    def lines(self, words: list[str], **declared: Any) -> list[bytes]:
        """One line of a batch file per word that is asked about."""
        endpoint = self.compiled(**declared)
        rows = pa.RecordBatch.from_pydict({"word": words})
        return [
            endpoint.line(f"{PREFIX}{number}", body)
            for number, body in enumerate(endpoint.bodies(rows, str))
        ]

    def compiled(self, **declared: Any) -> Endpoint:
        """The endpoint of a declaration; keywords are those of Endpoint."""
        facts: dict[str, Any] = {
            "model": self.model,
            "prompt": Prompt(field="word"),
            "output": TextOutput(),
            "settings": self.settings,
        }
        return self.endpoint(**{**facts, **declared})

    @pytest.fixture
    def gateway(self, server: ContractServer) -> Iterator[Gateway]:
        """What stands before the server: every call of the provider's comes through it."""
        gateway = Gateway(server.origin)
        yield gateway
        gateway.stop()

    @pytest.fixture
    def providers(self, gateway: Gateway) -> Iterator[Providers]:
        """Makes providers behind the gateway; keywords are those of make_provider."""
        made: list[Provider] = []

        def make(origin: str | None = None, **over: Any) -> Provider:
            chosen = {"api_key": SECRET, "timeout_seconds": 30.0, "max_retries": 0, **over}
            made.append(self.make_provider(origin or gateway.origin, **chosen))
            return made[-1]

        yield make
        for provider in made:
            provider.close()

    @pytest.fixture
    def provider(self, providers: Providers) -> Provider:
        """One that tries no call again."""
        return providers()

    @pytest.fixture
    def since(self, server: ContractServer) -> datetime:
        """The provider's time when the test begins."""
        return server.now()

    @pytest.fixture
    def submit(self, provider: Provider, tmp_path: Path) -> Submit:
        """Offers a new shard of so many requests under a key."""
        return lambda requests=3, key=KEY: self.offered(provider, tmp_path, requests, key)

    def offered(
        self, provider: Provider, folder: Path, requests: int = 3, key: str = KEY
    ) -> ProviderBatch:
        """The batch of a new shard."""
        path = folder / f"shard-{key}.jsonl"
        self.write_shard(path, requests)
        return provider.submit(path, endpoint=self.compiled().url, key=key)

    def need(self, server: ContractServer, *needed: Situation | Outcome) -> None:
        """Skip the test, with the author's reason, where the server cannot do what it needs."""
        for each in needed:
            if each in server.cannot:
                pytest.skip(f"{each.value}: {server.cannot[each]}")

    def found(
        self, provider: Provider, server: ContractServer, key: str, **known: Any
    ) -> ProviderBatch | None:
        """What `find` says; where a batch carries no key, once all batches have ended."""
        try:
            return provider.find(key, **known)
        except ProviderUnavailable:
            if Situation.KEYED not in server.cannot:
                raise
            server.finish()
            return provider.find(key, **known)

    def outcomes(
        self, provider: Provider, batch: ProviderBatch, *, key: str = KEY
    ) -> dict[str, Outcome]:
        """The outcome of each request that something came back for, by its custom_id."""
        endpoint = self.compiled()
        lines = endpoint.read_lines(self.downloaded(provider, batch))
        told = Counter(line.custom_id for line in lines)
        assert [each for each, times in told.items() if times > 1] == [], "ids that came twice"
        return {
            (line.custom_id or "").removesuffix(mark_of(key)): endpoint.judge(line).outcome
            for line in lines
        }

    def came_back(self, provider: Provider, batch: ProviderBatch) -> list[str]:
        """The ids of what came back, sorted."""
        lines = self.compiled().read_lines(self.downloaded(provider, batch))
        return sorted(line.custom_id or "" for line in lines)

    def downloaded(self, provider: Provider, batch: ProviderBatch) -> bytes:
        """All files of a batch, one after the other."""
        sink = BytesIO()
        for file_id in dict.fromkeys((batch.output_file_id, batch.error_file_id)):
            if file_id is not None:
                provider.download(file_id, sink)
        return sink.getvalue()


def ids(requests: int) -> set[str]:
    """The custom_ids of a shard of so many requests."""
    return {f"{PREFIX}{number}" for number in range(requests)}
