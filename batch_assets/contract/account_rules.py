"""What a provider says of itself, without calling anybody."""

from datetime import datetime
from pathlib import Path

import pytest

from batch_assets.contract.adapter import KEY, SECRET, Adapter, Providers
from batch_assets.contract.gateway import Gateway
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.errors import ProviderUnreachable
from batch_assets.domain.provider import Provider


class AccountRules(Adapter):
    """`account`, `limits`, `budget`, `price_list`, `lacks` and `close`."""

    def test_account_limits_budget_and_prices_are_the_same_every_time(
        self, providers: Providers, gateway: Gateway
    ) -> None:
        """The ledger counts by the account, in every process and after every restart."""
        first, second = providers(), providers()

        told = [
            (each.account, each.limits, each.budget, each.price_list)
            for each in (first, first, second)
        ]

        assert told[0] == told[1] == told[2]
        assert told[0][0] != ""
        assert gateway.calls == []

    def test_the_account_does_not_tell_the_secret(self, provider: Provider) -> None:
        assert SECRET not in provider.account

    def test_it_lacks_nothing_where_it_has_its_key(self, provider: Provider) -> None:
        assert provider.lacks is None

    @pytest.mark.parametrize("key", ["", " "])
    def test_without_a_key_it_says_so_and_calls_nobody(
        self,
        providers: Providers,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
        tmp_path: Path,
        key: str,
    ) -> None:
        """Nothing is refused for good: what was to be sent goes out once the key is there."""
        self.need(server, Situation.SECRET)
        provider = providers(api_key=key)

        assert provider.lacks
        with pytest.raises(ProviderUnreachable):
            self.offered(provider, tmp_path)
        with pytest.raises(ProviderUnreachable):
            provider.find(KEY, since=since, requests=1)

        assert gateway.calls == []

    def test_a_closed_provider_opens_again_where_it_is_called(
        self, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        self.found(provider, server, KEY, since=since, requests=1)
        provider.close()
        provider.close()

        assert self.found(provider, server, KEY, since=since, requests=1) is None
