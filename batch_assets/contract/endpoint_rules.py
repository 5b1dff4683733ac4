"""What an endpoint writes, its provider takes; what its provider answers, the endpoint reads."""

from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from pydantic import BaseModel

from batch_assets.contract.adapter import KEY, PREFIX, Adapter
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.provider import Provider
from batch_assets.domain.request import CUSTOM_ID
from batch_assets.prompt import OutputType
from batch_assets.prompt.answers import Verdict

#: What is asked about; the second is answered as a test wants it.
WORDS = ["oak", "hornbeam", "yew"]
_ODD = WORDS[1]


class _Kind(BaseModel):
    """The output type of the tests about types."""

    label: str


class EndpointContract(Adapter):
    """What every endpoint promises, over its provider and that one's server."""

    def judged(
        self, provider: Provider, server: ContractServer, folder: Path, **declared: object
    ) -> dict[str, Verdict]:
        """The verdict on each word, over a batch of them all."""
        endpoint = self.compiled(**declared)
        shard = folder / "shard.jsonl"
        shard.write_bytes(b"".join(self.lines(WORDS, **declared)))
        batch = provider.submit(shard, endpoint=endpoint.url, key=KEY)
        server.finish()
        [ended] = provider.poll({batch.id}, since=batch.created_at)
        lines = endpoint.read_lines(self.downloaded(provider, ended))
        numbers = [
            int((line.custom_id or "").removeprefix(PREFIX).partition("-")[0]) for line in lines
        ]
        return {WORDS[n]: endpoint.judge(line) for n, line in zip(numbers, lines, strict=True)}

    def test_a_line_is_one_line_and_gives_its_id_and_body_back(self) -> None:
        endpoint = self.compiled()

        for number, line in enumerate(self.lines(WORDS)):
            found = endpoint.envelope.read(line)
            assert found.custom_id == endpoint.envelope.custom_id_of(line) == f"{PREFIX}{number}"
            assert line.endswith(b"\n")
            assert line.count(b"\n") == 1
            assert endpoint.line(found.custom_id, found.body) == line

    def test_the_same_row_gives_the_same_bytes(self) -> None:
        """What is equal was asked already, and is not paid for again."""
        assert self.lines(WORDS) == self.lines(WORDS)
        assert self.compiled().shape_digest == self.compiled().shape_digest

    def test_another_model_or_setting_gives_another_digest(self) -> None:
        assert self.compiled().shape_digest != self.compiled(model="another").shape_digest

    def test_a_body_is_an_object_with_the_prompt_in_it(self) -> None:
        endpoint = self.compiled()

        bodies = [endpoint.envelope.read(line).body for line in self.lines(WORDS)]

        assert {type(msgspec.json.decode(body)) for body in bodies} == {dict}
        assert [
            word for word, body in zip(WORDS, bodies, strict=True) if word.encode() in body
        ] == (WORDS)

    def test_several_items_share_a_request_only_where_their_text_is_found_again(self) -> None:
        endpoint = self.compiled()
        if not endpoint.is_packable:
            pytest.skip("its answer has no place for a list")

        bodies = [endpoint.envelope.read(line).body for line in self.lines(WORDS)]

        assert [endpoint.last_text(msgspec.json.decode(body)) for body in bodies] == WORDS

    def test_our_ids_are_ones_that_every_provider_takes(self) -> None:
        ids = [self.endpoint.envelope.custom_id_of(line) for line in self.lines(WORDS)]

        assert [each for each in ids if not CUSTOM_ID.fullmatch(each)] == []

    def test_the_provider_takes_the_bodies_and_every_answer_is_read(
        self, provider: Provider, server: ContractServer, tmp_path: Path
    ) -> None:
        verdicts = self.judged(provider, server, tmp_path)

        assert {word: each.outcome for word, each in verdicts.items()} == dict.fromkeys(
            WORDS, Outcome.OK
        )
        assert [each.failure for each in verdicts.values()] == [None] * 3
        assert all(each.answer or each.output is not None for each in verdicts.values())

    def test_an_answer_tells_its_tokens(
        self, provider: Provider, server: ContractServer, tmp_path: Path
    ) -> None:
        """They are what it costs."""
        verdicts = self.judged(provider, server, tmp_path).values()

        assert [each.executions for each in verdicts] == [1, 1, 1]
        assert all(each.input_tokens for each in verdicts)

    def test_an_answer_of_a_declared_type_is_of_that_type(
        self, provider: Provider, server: ContractServer, tmp_path: Path
    ) -> None:
        self.need(server, Situation.TYPED)

        verdicts = self.judged(provider, server, tmp_path, output=OutputType(_Kind))

        assert {each.outcome for each in verdicts.values()} == {Outcome.OK}
        assert all(each.output["label"] for each in verdicts.values())

    @pytest.mark.parametrize(
        "outcome", [Outcome.REFUSED, Outcome.TRUNCATED, Outcome.ERRORED], ids=lambda each: each
    )
    def test_what_goes_wrong_with_one_item_is_told_of_it_alone(
        self, provider: Provider, server: ContractServer, tmp_path: Path, outcome: Outcome
    ) -> None:
        self.need(server, outcome)
        server.arrange_answer(_ODD, outcome)

        verdicts = self.judged(provider, server, tmp_path)

        assert {word: each.outcome for word, each in verdicts.items()} == {
            WORDS[0]: Outcome.OK,
            _ODD: outcome,
            WORDS[2]: Outcome.OK,
        }
        assert verdicts[_ODD].failure is not None
        assert verdicts[_ODD].output is None

    def test_an_error_says_what_it_is(
        self, provider: Provider, server: ContractServer, tmp_path: Path
    ) -> None:
        self.need(server, Outcome.ERRORED)
        server.arrange_answer(_ODD, Outcome.ERRORED)

        verdict = self.judged(provider, server, tmp_path)[_ODD]

        assert verdict.error_code or verdict.error_message
        assert verdict.executions == 0

    def test_a_damaged_line_spoils_no_other(
        self, provider: Provider, server: ContractServer, since: datetime, tmp_path: Path
    ) -> None:
        endpoint = self.compiled()
        self.write_shard(tmp_path / "shard.jsonl", 2)
        batch = provider.submit(tmp_path / "shard.jsonl", endpoint=endpoint.url, key=KEY)
        server.finish()
        [ended] = provider.poll({batch.id}, since=since)
        first, second = self.downloaded(provider, ended).splitlines(keepends=True)

        lines = endpoint.read_lines(
            b"".join([first, b"upstream connect error\n", b'{"\xff": }\n', second])
        )

        outcomes = [endpoint.judge(line).outcome for line in lines]
        assert outcomes.count(Outcome.OK) == 2
        assert len(outcomes) == 4
