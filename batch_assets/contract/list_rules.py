"""Listing what the account has, for a person: whoever made it, and a page at a time."""

from datetime import datetime
from itertools import islice

import pytest

from batch_assets.contract.adapter import KEY, Adapter, Submit
from batch_assets.contract.gateway import Gateway, answering
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.errors import ProviderUnavailable, RequestRefused
from batch_assets.domain.provider import Provider


class ListRules(Adapter):
    """`batches` and `files`; an adapter whose provider has no such list says so and refuses."""

    def need_batches(self, server: ContractServer) -> None:
        """Skip the test where the adapter declares that it lists no batches."""
        if not self.lists_batches:
            pytest.skip("it declares lists_batches = False")

    def test_every_batch_is_listed_once_whoever_created_it(
        self,
        submit: Submit,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
    ) -> None:
        """Over several pages, of which the first costs one call and no other."""
        if not self.lists_batches:
            with pytest.raises(RequestRefused):
                list(provider.batches())
            return
        ours = submit(requests=1)
        server.others(server.crowd)
        before = gateway.count()

        listed = provider.batches()
        [first] = islice(listed, 1)
        calls = gateway.count() - before
        batches = [first, *listed]

        assert calls == 1
        assert len(batches) == server.crowd + 1
        assert len({batch.id for batch in batches}) == len(batches)
        assert {batch.id for batch in batches if batch.key is not None} <= {ours.id}
        assert ours.id in {batch.id for batch in batches}
        assert max(abs((each.created_at - since).total_seconds()) for each in batches) <= 60

    def test_a_list_goes_on_behind_any_of_its_batches(
        self, submit: Submit, provider: Provider, server: ContractServer
    ) -> None:
        self.need_batches(server)
        server.others(2)
        submit(requests=1)
        listed = [batch.id for batch in provider.batches()]

        found = [[batch.id for batch in provider.batches(after=after)] for after in listed]

        assert found == [listed[1:], listed[2:], []]

    def test_a_list_cannot_go_on_behind_what_is_not_in_it(
        self, submit: Submit, provider: Provider, server: ContractServer
    ) -> None:
        """An empty list would say that there are no more."""
        self.need_batches(server)
        submit(requests=1)

        with pytest.raises(RequestRefused, match=server.unknown_id):
            list(provider.batches(after=server.unknown_id))

    def test_a_list_that_cannot_be_read_is_no_empty_list(
        self, provider: Provider, gateway: Gateway
    ) -> None:
        gateway.on("GET *", answering(503, b"<html>Busy</html>", "text/html"))

        for listed, is_offered in (
            (provider.batches, self.lists_batches),
            (provider.files, self.lists_files),
        ):
            with pytest.raises(ProviderUnavailable if is_offered else RequestRefused):
                list(listed())

    def test_files_are_listed_with_their_names_and_sizes(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        """Those of others, too, and what an adapter adds to a shard counts."""
        if not self.lists_files:
            with pytest.raises(RequestRefused):
                list(provider.files())
            return
        self.need(server, Situation.UPLOADED)
        server.others(1)
        short, long = submit(requests=1), submit(requests=9, key="1" * 32)

        files = {file.id: file for file in provider.files()}

        theirs = files.keys() - {short.input_file_id, long.input_file_id}
        first, second = files[short.input_file_id or ""], files[long.input_file_id or ""]
        assert len(theirs) == 1
        assert [KEY in (first.name or ""), "1" * 32 in (second.name or "")] == [True, True]
        assert 0 < 5 * (first.bytes or 0) < (second.bytes or 0)
        for file in (first, second):
            assert file.created_at is not None
            assert abs((file.created_at - since).total_seconds()) <= 60
