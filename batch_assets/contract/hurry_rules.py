"""A caller that cannot wait, as a sensor's tick: bounds of time and of calls."""

from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest

from batch_assets.contract.adapter import KEY, Adapter, Providers
from batch_assets.contract.gateway import Gateway, answering
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.errors import OutOfTime, ProviderUnavailable
from batch_assets.domain.provider import Provider

#: Calls that are allowed in the test about them.
_CALLS = 2


class HurryRules(Adapter):
    """`within`."""

    def test_after_its_time_a_caller_in_a_hurry_calls_nobody(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
        tmp_path: Path,
    ) -> None:
        unknown = server.unknown_id
        calls: dict[str, Callable[[], object]] = {
            "find": lambda: provider.find(KEY, since=since, requests=1),
            "poll": lambda: list(provider.poll({unknown}, since=since)),
            "submit": lambda: self.offered(provider, tmp_path),
            "download": lambda: provider.download(server.unknown_file_id, BytesIO()),
            "cancel": lambda: provider.cancel(unknown),
        }

        with provider.within(60), provider.within(0):
            for call in calls.values():
                with pytest.raises(OutOfTime):
                    call()

        assert gateway.calls == []

    def test_a_caller_with_few_calls_makes_no_more(
        self, provider: Provider, gateway: Gateway, since: datetime
    ) -> None:
        def ask() -> None:
            for _ in range(_CALLS + 1):
                provider.find(KEY, since=since, requests=1)

        with provider.within(60, calls=_CALLS), pytest.raises(OutOfTime):
            ask()

        assert gateway.count() <= _CALLS

    def test_a_caller_in_a_hurry_tries_no_call_again(
        self, providers: Providers, gateway: Gateway, server: ContractServer, since: datetime
    ) -> None:
        gateway.on("*", answering(503, server.refusal(503, "Not now.")))
        provider = providers(max_retries=2)

        with provider.within(60), pytest.raises(ProviderUnavailable):
            provider.find(KEY, since=since, requests=1)

        assert gateway.count() == 1

    def test_a_caller_in_a_hurry_does_not_wait_for_a_silent_provider(
        self, providers: Providers, gateway: Gateway, server: ContractServer, since: datetime
    ) -> None:
        provider = providers(timeout_seconds=200.0)
        # What the adapter imports at its first call takes a while.
        self.found(provider, server, KEY, since=since, requests=1)
        gateway.on("*", lambda exchange: exchange.wait())

        with provider.within(1), pytest.raises(ProviderUnavailable):
            provider.find(KEY, since=since, requests=1)

    def test_a_caller_in_a_hurry_does_not_wait_for_the_list_of_uploads(
        self, providers: Providers, gateway: Gateway, server: ContractServer, since: datetime
    ) -> None:
        self.need(server, Situation.UPLOADED)
        provider = providers(timeout_seconds=200.0)
        list(provider.uploads(since=since))
        gateway.on("*", lambda exchange: exchange.wait())

        with provider.within(1), pytest.raises(ProviderUnavailable):
            list(provider.uploads(since=since))

    def test_who_was_in_a_hurry_has_time_again(
        self, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        with provider.within(0), pytest.raises(OutOfTime):
            provider.find(KEY, since=since, requests=1)

        assert self.found(provider, server, KEY, since=since, requests=1) is None
