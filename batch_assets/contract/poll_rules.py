"""Asking how batches stand: all that are wanted, by few calls, and no word is guessed."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from batch_assets.contract.adapter import Adapter, Submit
from batch_assets.contract.gateway import Gateway, putting
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.errors import BatchUnknown
from batch_assets.domain.provider import Phase, Provider, ProviderBatch

#: A status that no provider has.
_NOVEL = "pondering"

#: Batches of the test about calls; one call each would be too many.
_MANY = 12


class PollRules(Adapter):
    """`poll`."""

    def test_nothing_is_asked_where_nothing_is_wanted(
        self, provider: Provider, gateway: Gateway, since: datetime
    ) -> None:
        assert list(provider.poll(frozenset(), since=since)) == []
        assert gateway.calls == []

    def test_all_batches_that_are_wanted_are_handed_out_and_no_other(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        wanted = {submit(key=f"{number:016x}" * 2).id for number in range(3)}
        server.others(2)

        polled = [batch.id for batch in provider.poll(wanted, since=since)]

        assert sorted(polled) == sorted(wanted)

    def test_many_batches_are_asked_about_by_few_calls(
        self,
        submit: Submit,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
    ) -> None:
        self.need(server, Situation.LISTED)
        wanted = {submit(requests=1, key=f"{number:016x}" * 2).id for number in range(_MANY)}
        before = gateway.count()

        polled = {batch.id for batch in provider.poll(wanted, since=since)}

        assert polled == wanted
        assert gateway.count() - before <= _MANY // 3

    def test_those_that_are_known_to_be_there_lead_to_what_is_wanted(
        self, submit: Submit, provider: Provider, since: datetime
    ) -> None:
        newest_first = [submit(key=f"{number:016x}" * 2).id for number in range(4)][::-1]
        wanted = newest_first[-1:]

        polled = {batch.id for batch in provider.poll(wanted, since=since, among=newest_first)}

        assert set(wanted) <= polled <= set(newest_first)

    def test_a_batch_is_found_behind_pages_of_newer_ones(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        self.need(server, Situation.LISTED)
        batch = submit()
        server.others(server.crowd)

        assert [each.id for each in provider.poll({batch.id}, since=since)] == [batch.id]

    @pytest.mark.parametrize("is_among", [True, False])
    def test_what_the_provider_does_not_know_is_named_after_all_others(
        self,
        submit: Submit,
        provider: Provider,
        server: ContractServer,
        since: datetime,
        is_among: bool,
    ) -> None:
        wanted = [server.unknown_id, submit().id, submit(key="1" * 32).id]

        found, error = _until_unknown(
            provider.poll(wanted, since=since, among=wanted if is_among else ())
        )

        assert set(found) == set(wanted[1:])
        assert set(error.ids) == {server.unknown_id}

    def test_a_status_that_nobody_knows_is_kept_as_it_is(
        self,
        submit: Submit,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
    ) -> None:
        self.need(server, Situation.WORDED)
        batch = submit()
        gateway.on("*", putting(f'"{batch.status}"'.encode(), f'"{_NOVEL}"'.encode()))

        [polled] = provider.poll({batch.id}, since=since)

        assert (polled.phase, polled.status) == (Phase.UNKNOWN, _NOVEL)

    def test_finished_requests_never_become_fewer(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        counted = [submit(requests=4)]
        for go_on in (server.work, server.finish):
            go_on()
            counted += provider.poll({counted[0].id}, since=since)

        finished = [(batch.completed or 0) + (batch.failed or 0) for batch in counted]
        assert finished == sorted(finished)
        assert {batch.total for batch in counted} <= {None, 0, 4}


def _until_unknown(polled: Iterator[ProviderBatch]) -> tuple[list[str], BatchUnknown]:
    """The ids handed out before the error, and the error."""
    found: list[str] = []
    try:
        found.extend(batch.id for batch in polled)
    except BatchUnknown as error:
        return found, error
    return pytest.fail(f"no BatchUnknown after {found}")
