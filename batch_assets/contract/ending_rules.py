"""Every way in which a batch can end, and what there is to collect then."""

from datetime import datetime

from batch_assets.contract.adapter import NOBODYS_KEY, Adapter, Submit, ids
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.provider import Phase, Provider, ProviderBatch


class EndingRules(Adapter):
    """`poll` and `download` at each terminal status."""

    def ended(
        self,
        submit: Submit,
        provider: Provider,
        server: ContractServer,
        situation: Situation,
        requests: int,
    ) -> ProviderBatch:
        """The batch of a shard, once it has ended so."""
        self.need(server, situation)
        server.arrange(situation)
        batch = submit(requests=requests)
        server.finish()
        [ended] = provider.poll({batch.id}, since=batch.created_at)
        assert ended.phase is Phase.ENDED
        return ended

    def test_a_completed_batch_has_an_answer_to_every_request(
        self, submit: Submit, provider: Provider, server: ContractServer
    ) -> None:
        ended = self.ended(submit, provider, server, Situation.COMPLETED, requests=5)

        assert self.outcomes(provider, ended) == dict.fromkeys(ids(5), Outcome.OK)
        assert (ended.completed in (5, None), ended.failed in (0, None)) == (True, True)
        assert ended.problems == ()

    def test_a_batch_of_which_every_request_failed_has_an_error_for_each(
        self, submit: Submit, provider: Provider, server: ContractServer
    ) -> None:
        ended = self.ended(submit, provider, server, Situation.ALL_FAILED, requests=3)

        assert self.outcomes(provider, ended) == dict.fromkeys(ids(3), Outcome.ERRORED)
        assert ended.completed in (0, None)

    def test_a_batch_that_failed_as_a_whole_says_why(
        self, submit: Submit, provider: Provider, server: ContractServer
    ) -> None:
        ended = self.ended(submit, provider, server, Situation.REJECTED, requests=3)

        assert any(problem.code or problem.message for problem in ended.problems)
        assert Outcome.OK not in self.outcomes(provider, ended).values()

    def test_an_expired_batch_has_the_answers_that_were_ready(
        self, submit: Submit, provider: Provider, server: ContractServer
    ) -> None:
        ended = self.ended(submit, provider, server, Situation.EXPIRED, requests=4)

        _check_part(self.outcomes(provider, ended), of=4, otherwise=Outcome.EXPIRED)

    def test_a_cancelled_batch_has_the_answers_that_were_ready(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        self.need(server, Situation.CANCELLED)
        batch = submit(requests=4)
        server.work()
        provider.cancel(batch.id)
        server.finish()

        [ended] = provider.poll({batch.id}, since=since)

        assert ended.phase is Phase.ENDED
        _check_part(self.outcomes(provider, ended), of=4, otherwise=Outcome.CANCELLED)

    def test_a_batch_that_ended_without_any_output_has_ended(
        self, submit: Submit, provider: Provider, server: ContractServer
    ) -> None:
        ended = self.ended(submit, provider, server, Situation.EMPTY, requests=3)

        assert (ended.output_file_id, ended.error_file_id) == (None, None)

    def test_what_is_kept_of_a_collected_batch_is_deleted_and_nothing_else(
        self, submit: Submit, provider: Provider, server: ContractServer
    ) -> None:
        batch = self.ended(submit, provider, server, Situation.COMPLETED, requests=3)
        files = (batch.input_file_id, batch.output_file_id, batch.error_file_id)
        kept = [file_id for file_id in files if file_id is not None]
        other = submit(key=NOBODYS_KEY)

        provider.delete_remote(batch.id, kept)
        provider.delete_remote(batch.id, kept)

        [found] = provider.poll({other.id}, since=other.created_at)
        assert found.phase is Phase.OPEN
        if Situation.UPLOADED not in server.cannot:
            assert len(set(server.uploads())) == 1

    def test_the_same_is_told_of_an_ended_batch_every_time(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        ended = self.ended(submit, provider, server, Situation.COMPLETED, requests=3)

        assert list(provider.poll({ended.id}, since=since)) == [ended]


def _check_part(outcomes: dict[str, Outcome], *, of: int, otherwise: Outcome) -> None:
    """Some answers are there; a request without one says so, or is left out."""
    answered = {each for each, outcome in outcomes.items() if outcome is Outcome.OK}
    assert outcomes.keys() <= ids(of)
    assert 0 < len(answered) < of
    assert {outcomes[each] for each in outcomes.keys() - answered} <= {otherwise}
