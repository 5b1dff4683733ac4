"""Asking the provider to stop."""

from contextlib import suppress
from datetime import datetime

import pytest

from batch_assets.contract.adapter import Adapter, Submit
from batch_assets.contract.server import ContractServer
from batch_assets.domain.errors import RequestRefused
from batch_assets.domain.provider import Phase, Provider


class CancelRules(Adapter):
    """`cancel`."""

    def test_a_cancelled_batch_ends(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        batch = submit()

        cancelled = provider.cancel(batch.id)
        server.finish()

        [ended] = provider.poll({batch.id}, since=since)
        assert (cancelled.id, cancelled.created_at) == (batch.id, batch.created_at)
        assert cancelled.phase in (Phase.OPEN, Phase.ENDED)
        assert ended.phase is Phase.ENDED

    def test_cancelling_a_batch_that_has_ended_changes_nothing(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        """Refused, or told that it has ended: a provider does either."""
        batch = submit()
        server.finish()
        [ended] = provider.poll({batch.id}, since=since)

        with suppress(RequestRefused):
            assert provider.cancel(batch.id) == ended

        assert list(provider.poll({batch.id}, since=since)) == [ended]

    def test_a_batch_that_the_provider_does_not_know_cannot_be_cancelled(
        self, provider: Provider, server: ContractServer
    ) -> None:
        with pytest.raises(RequestRefused):
            provider.cancel(server.unknown_id)
