"""Sending: a creating call is made once, and an error says whether the batch may exist."""

from datetime import datetime
from pathlib import Path

import pytest

from batch_assets.contract.adapter import KEY, Adapter, Providers, Submit
from batch_assets.contract.gateway import (
    Gateway,
    Incident,
    answering,
    hanging_up,
    losing_the_reply,
    resetting,
)
from batch_assets.contract.server import ContractServer
from batch_assets.domain.errors import ArtifactError, BatchAssetsError, ReplyLost
from batch_assets.domain.provider import Phase, Provider

#: What may become of the creating call so that nobody knows whether there is a batch.
DOUBTS = {"reply lost": losing_the_reply, "hung up": hanging_up, "reset": resetting}

#: Statuses after which the official SDKs would send a call again.
TRIED_AGAIN = (408, 409, 429, 500, 503, 529)


class SubmitRules(Adapter):
    """`submit`."""

    def test_a_submitted_batch_is_open_and_known_by_its_id(
        self, submit: Submit, provider: Provider, since: datetime
    ) -> None:
        batch = submit()

        [polled] = provider.poll({batch.id}, since=since)
        assert (batch.phase, polled.phase, polled.id) == (Phase.OPEN, Phase.OPEN, batch.id)
        assert (batch.output_file_id, batch.error_file_id) == (None, None)

    def test_a_submitted_batch_carries_its_own_key_or_none(self, submit: Submit) -> None:
        assert submit().key in (KEY, None)

    def test_a_batch_is_as_old_as_the_provider_says(self, submit: Submit, since: datetime) -> None:
        created_at = submit().created_at

        assert abs((created_at - since).total_seconds()) <= 60

    def test_two_offers_are_two_batches(self, submit: Submit) -> None:
        assert submit().id != submit(key="1" * 32).id

    def test_a_batch_is_created_by_one_call(
        self, submit: Submit, gateway: Gateway, server: ContractServer
    ) -> None:
        submit()

        assert gateway.count(server.creating) == 1

    @pytest.mark.parametrize("incident", DOUBTS.values(), ids=DOUBTS)
    def test_a_creation_in_doubt_is_sent_once_and_told_of_as_lost(
        self,
        providers: Providers,
        gateway: Gateway,
        server: ContractServer,
        tmp_path: Path,
        incident: Incident,
    ) -> None:
        gateway.on(server.creating, incident)

        with pytest.raises(ReplyLost, match=KEY):
            self.offered(providers(max_retries=2), tmp_path)

        assert gateway.count(server.creating) == 1

    @pytest.mark.parametrize("status", TRIED_AGAIN)
    def test_a_creation_is_sent_once_though_other_calls_are_tried_again(
        self,
        providers: Providers,
        gateway: Gateway,
        server: ContractServer,
        tmp_path: Path,
        status: int,
    ) -> None:
        """Every try that gets through is a batch of its own, and is paid for."""
        gateway.on(server.creating, answering(status, server.refusal(status, "Not now.")))

        with pytest.raises(BatchAssetsError):
            self.offered(providers(max_retries=2), tmp_path)

        assert gateway.count(server.creating) == 1

    def test_a_silent_provider_may_have_created_the_batch(
        self, providers: Providers, gateway: Gateway, server: ContractServer, tmp_path: Path
    ) -> None:
        provider = providers(timeout_seconds=1.0)
        gateway.on(server.creating, lambda exchange: exchange.wait())

        with pytest.raises(ReplyLost):
            self.offered(provider, tmp_path)

        assert gateway.count(server.creating) == 1

    def test_a_shard_that_cannot_be_read_is_our_own_fault(
        self, provider: Provider, gateway: Gateway, tmp_path: Path
    ) -> None:
        with pytest.raises(ArtifactError, match=r"gone\.jsonl"):
            provider.submit(tmp_path / "gone.jsonl", endpoint=self.compiled().url, key=KEY)

        assert gateway.calls == []

    def test_it_takes_requests_of_its_endpoint(self, provider: Provider) -> None:
        assert provider.takes(self.compiled().url)
