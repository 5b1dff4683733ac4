"""Whatever a call meets, an error of ours comes out: of the right kind, and without the secret."""

import re
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest

from batch_assets.contract.adapter import KEY, SECRET, Adapter, Providers
from batch_assets.contract.gateway import (
    Gateway,
    Incident,
    answering,
    hanging_up,
    json_body,
    resetting,
)
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    CapacityRefused,
    ProviderUnavailable,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.provider import Provider

Kind = type[BatchAssetsError]

#: What a status says, in any call: nothing was created.
REFUSALS: Mapping[int, Kind] = {
    400: RequestRefused,
    401: AccountRefused,
    402: AccountRefused,
    403: AccountRefused,
    404: RequestRefused,
    409: RequestRefused,
    413: RequestRefused,
    422: RequestRefused,
    429: CapacityRefused,
}

#: Statuses after which nobody knows whether the call was carried out.
BROKEN_OFF = (408, 500, 502, 503, 504, 529)

_PAGE = b"<html><head><title>Oops</title></head><body>gateway</body></html>"

#: What no answer can be read from, and connections that break.
UNREADABLE: Mapping[str, Incident] = {
    "web page": answering(200, _PAGE, "text/html"),
    "web page that says it is JSON": answering(200, _PAGE),
    "truncated JSON": answering(200, b'{"id": "batch-1", "sta'),
    "not UTF-8": answering(200, b'{"id": "\xff\xfe\x80"}'),
    "nothing": answering(200, b""),
    "null": answering(200, b"null"),
    "list": answering(200, b"[1]"),
    "number": answering(200, b"3"),
    "empty object": answering(200, b"{}"),
    "other types": answering(200, json_body({"id": 1, "data": 2, "status": 3, "name": 4})),
    "hung up": hanging_up,
    "reset": resetting,
}

#: Those that some providers' empty lists look like.
_STRANGE_OBJECTS = ("empty object", "other types")


class FailureRules(Adapter):
    """Errors of every call, by what the provider answered."""

    @pytest.mark.parametrize("status", REFUSALS)
    def test_a_refused_creation_is_known_not_to_exist(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        tmp_path: Path,
        status: int,
    ) -> None:
        gateway.on(server.creating, answering(status, server.refusal(status, "No.")))

        with pytest.raises(REFUSALS[status]):
            self.offered(provider, tmp_path)

    @pytest.mark.parametrize("status", BROKEN_OFF)
    def test_a_creation_that_the_provider_broke_off_may_have_happened(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        tmp_path: Path,
        status: int,
    ) -> None:
        gateway.on(server.creating, answering(status, server.refusal(status, "Oh.")))

        with pytest.raises(ReplyLost):
            self.offered(provider, tmp_path)

    @pytest.mark.parametrize("incident", UNREADABLE.values(), ids=UNREADABLE)
    def test_a_creation_whose_answer_cannot_be_read_may_have_happened(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        tmp_path: Path,
        incident: Incident,
    ) -> None:
        gateway.on(server.creating, incident)

        with pytest.raises(ReplyLost):
            self.offered(provider, tmp_path)

    @pytest.mark.parametrize("status", REFUSALS)
    def test_every_other_call_that_is_refused_raises_the_same_kind(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
        status: int,
    ) -> None:
        gateway.on("*", answering(status, server.refusal(status, "No.")))

        raised = self.raised(provider, server, since)

        _check_kinds(raised, REFUSALS[status])

    @pytest.mark.parametrize("status", BROKEN_OFF)
    def test_every_other_call_that_the_provider_broke_off_can_be_made_later(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
        status: int,
    ) -> None:
        gateway.on("*", answering(status, server.refusal(status, "Oh.")))

        raised = self.raised(provider, server, since)

        _check_kinds(raised, ProviderUnavailable)

    @pytest.mark.parametrize("unreadable", UNREADABLE)
    def test_an_answer_that_cannot_be_read_is_never_taken_for_an_empty_one(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
        unreadable: str,
    ) -> None:
        if unreadable in _STRANGE_OBJECTS:
            self.need(server, Situation.LIST_NAMED)
        gateway.on("*", UNREADABLE[unreadable])

        raised = self.raised(provider, server, since)

        _check_kinds(raised, ProviderUnavailable)

    def test_a_gateways_own_page_is_an_error_like_any_other(
        self, provider: Provider, gateway: Gateway, server: ContractServer, since: datetime
    ) -> None:
        gateway.on("*", answering(502, _PAGE * 1_000, "text/html"))

        with pytest.raises(ProviderUnavailable) as raised:
            provider.find(KEY, since=since, requests=1)

        assert len(raised.value.message) < 2_000

    def test_without_a_connection_nothing_reached_the_provider(
        self, providers: Providers, tmp_path: Path, since: datetime
    ) -> None:
        with _closed_port() as origin:
            provider = providers(origin)

            with pytest.raises(ProviderUnreachable, match=re.escape(origin)):
                self.offered(provider, tmp_path)
            with pytest.raises(ProviderUnreachable):
                provider.find(KEY, since=since, requests=1)

    @pytest.mark.parametrize("status", [400, 401, 429, 500])
    def test_a_provider_that_repeats_the_secret_does_not_spread_it(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
        tmp_path: Path,
        status: int,
    ) -> None:
        self.need(server, Situation.SECRET)
        said = server.refusal(status, f"Wrong: Bearer {SECRET} is not welcome")
        gateway.on("*", answering(status, said))

        calls: tuple[Callable[[], object], ...] = (
            lambda: self.offered(provider, tmp_path),
            lambda: provider.find(KEY, since=since, requests=1),
        )
        for call in calls:
            with pytest.raises(BatchAssetsError) as raised:
                call()
            assert SECRET not in "".join(traceback.format_exception(raised.value))

    def raised(
        self, provider: Provider, server: ContractServer, since: datetime
    ) -> dict[str, Kind | None]:
        """What each call but the creating one raises. A foreign error is the test's own."""
        unknown = server.unknown_id
        calls: dict[str, Callable[[], object]] = {
            "find": lambda: provider.find(KEY, since=since, requests=1),
            "poll": lambda: list(provider.poll({unknown}, since=since)),
            "poll among": lambda: list(provider.poll({unknown}, since=since, among=[unknown])),
            "cancel": lambda: provider.cancel(unknown),
            "download": lambda: provider.download(server.unknown_file_id, BytesIO()),
            "uploads": lambda: list(provider.uploads(since=since)),
            "delete_upload": lambda: provider.delete_upload(server.unknown_file_id),
        }
        return {name: _kind_raised(call) for name, call in calls.items()}


#: Calls that may end well: a file is any bytes, and one that is gone is gone.
_FORGIVING = frozenset({"download", "uploads", "delete_upload"})


def _check_kinds(raised: Mapping[str, Kind | None], expected: Kind) -> None:
    wrong = {
        name: kind
        for name, kind in raised.items()
        if not (kind is None and name in _FORGIVING)
        and not (kind is not None and issubclass(kind, expected))
    }
    assert wrong == {}, f"they are to raise {expected.__name__}"


def _kind_raised(call: Callable[[], object]) -> Kind | None:
    try:
        call()
    except BatchAssetsError as error:
        return type(error)
    return None


@contextmanager
def _closed_port() -> Iterator[str]:
    """An address that nobody listens on, and that nobody else can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
