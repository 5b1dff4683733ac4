"""Finding a batch whose reply was lost: what `find` says is never a guess."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from batch_assets.contract.adapter import KEY, NOBODYS_KEY, Adapter, Submit
from batch_assets.contract.gateway import Gateway, losing_the_reply
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.errors import ReplyLost
from batch_assets.domain.provider import Provider

#: How far a machine's clock is easily wrong.
_AHEAD = timedelta(minutes=10)


class FindRules(Adapter):
    """`find`, told what the ledger knows: the key, the time of the offer, the number of requests.

    Where a batch carries no key, it may be told apart only by what comes back: then it is looked
    for once it has ended.
    """

    def test_a_batch_is_found_by_its_key(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        batch = submit(requests=3)

        found = self.found(provider, server, KEY, since=since, requests=3)

        assert found is not None
        assert (found.id, found.created_at) == (batch.id, batch.created_at)

    def test_a_clock_ahead_of_the_providers_hides_no_batch(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        """A batch that is overlooked is paid for twice."""
        batch = submit(requests=3)

        found = self.found(provider, server, KEY, since=since + _AHEAD, requests=3)

        assert found is not None
        assert found.id == batch.id

    def test_a_batch_whose_reply_was_lost_is_found(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
        tmp_path: Path,
    ) -> None:
        gateway.on(server.creating, losing_the_reply)
        with pytest.raises(ReplyLost):
            self.offered(provider, tmp_path, requests=3)
        gateway.behave()

        found = self.found(provider, server, KEY, since=since, requests=3)

        assert found is not None
        assert [each.id for each in provider.poll({found.id}, since=since)] == [found.id]

    def test_a_batch_that_never_was_is_not_found(
        self, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        assert self.found(provider, server, NOBODYS_KEY, since=since, requests=3) is None

    def test_another_batch_of_ours_with_as_many_requests_is_not_taken_for_it(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        other = submit(requests=3)

        found = self.found(
            provider, server, NOBODYS_KEY, since=since, requests=3, besides={other.id}
        )

        assert found is None

    def test_a_batch_of_ours_that_nobody_knows_yet_is_not_taken_for_it_either(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        """Two replies may be lost one after the other."""
        submit(requests=3)

        assert self.found(provider, server, NOBODYS_KEY, since=since, requests=3) is None

    def test_a_batch_is_found_behind_pages_of_others(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        self.need(server, Situation.LISTED)
        batch = submit(requests=3)
        server.others(server.crowd)

        found = self.found(provider, server, KEY, since=since, requests=3)

        assert found is not None
        assert found.id == batch.id

    def test_a_batch_of_others_is_never_taken_for_ours(
        self, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        self.need(server, Situation.LISTED)
        server.others(server.crowd)

        assert self.found(provider, server, KEY, since=since, requests=1) is None
