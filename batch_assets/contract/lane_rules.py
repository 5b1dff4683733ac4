"""The contract of a lane: batches that a process of ours carries out."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from batch_assets.contract.adapter import KEY, PREFIX, Adapter, ids
from batch_assets.domain.errors import DeclarationError, RequestRefused
from batch_assets.domain.lane import Ask, Carrying, Lane
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.provider import Phase


class Work(Carrying):
    """The requests of a batch that have no line yet, and the lines that came."""

    def __init__(self, asks: list[Ask], *, stops_after: int | None = None) -> None:
        self.lines: list[bytes] = []
        self._asks = asks
        self._stops_after = stops_after
        self._lock = threading.Lock()

    def asks(self) -> Iterator[Ask]:
        yield from self._asks

    def answered(self, line: bytes, *, failed: bool = False) -> None:
        with self._lock:
            self.lines.append(line)

    def goes_on(self) -> bool:
        return self._stops_after is None or len(self.lines) < self._stops_after


class LaneContract(Adapter):
    """What every lane promises. Give `lane` and `endpoint`; a server is your own affair."""

    @pytest.fixture
    def lane(self) -> Any:
        """Your Lane, before something that answers every request. Yours takes this one's place."""
        raise NotImplementedError("a fixture `lane` that gives a Lane")

    def test_to_submit_calls_nobody_and_the_batch_is_known_by_its_key(
        self, lane: Lane, tmp_path: Path
    ) -> None:
        now = datetime.now(UTC)

        submitted = lane.submit(tmp_path / "unread.jsonl", endpoint=self.compiled().url, key=KEY)

        found = lane.find(KEY, since=now, requests=3)
        assert (submitted.id, submitted.phase, submitted.key) == (KEY, Phase.OPEN, KEY)
        assert found is not None
        assert found.id == KEY
        assert [(each.id, each.phase) for each in lane.poll({KEY}, since=now)] == [
            (KEY, Phase.OPEN)
        ]

    def test_every_request_has_one_line_with_its_answer(self, lane: Lane) -> None:
        work = self.work(range(5))

        assert self.carried_out(lane, work) == dict.fromkeys(ids(5), Outcome.OK)

    def test_a_line_is_one_line(self, lane: Lane) -> None:
        work = self.work(range(3))

        self.carried_out(lane, work)

        assert [line.endswith(b"\n") for line in work.lines] == [True] * 3
        assert [line.count(b"\n") for line in work.lines] == [1] * 3

    def test_only_what_has_no_answer_is_asked(self, lane: Lane) -> None:
        work = self.work(range(3, 5))

        assert self.carried_out(lane, work).keys() == {f"{PREFIX}3", f"{PREFIX}4"}

    def test_nothing_is_asked_once_nothing_may_be(self, lane: Lane) -> None:
        work = self.work(range(3), stops_after=0)

        assert self.carried_out(lane, work) == {}

    def test_a_batch_without_requests_is_carried_out(self, lane: Lane) -> None:
        assert self.carried_out(lane, self.work(range(0))) == {}

    def test_a_closed_lane_opens_again_where_it_has_something_to_do(self, lane: Lane) -> None:
        first = self.carried_out(lane, self.work(range(1)))
        lane.close()

        assert self.carried_out(lane, self.work(range(1))) == first

    def test_nothing_of_it_is_at_a_provider(self, lane: Lane) -> None:
        assert list(lane.uploads(since=datetime.now(UTC))) == []
        with pytest.raises(RequestRefused):
            lane.download("file-1", BytesIO())
        with pytest.raises(RequestRefused):
            list(lane.files())
        with pytest.raises(RequestRefused):
            lane.upload(Path("requests.jsonl"), name="requests.jsonl")

    def test_it_has_no_batches_but_those_of_the_ledger(self, lane: Lane, tmp_path: Path) -> None:
        """One that a person created elsewhere would never be carried out."""
        asked: dict[str, Any] = {"endpoint": self.compiled().url, "key": KEY}
        self.write_shard(tmp_path / "requests.jsonl", 1)

        with pytest.raises(RequestRefused):
            list(lane.batches())
        for requests in (tmp_path / "requests.jsonl", "file-1"):
            with pytest.raises(RequestRefused):
                lane.create(requests, metadata={}, **asked)
        with pytest.raises(DeclarationError, match="metadata"):
            lane.check_metadata({"owner": "me"})

    def test_account_limits_budget_and_prices_are_the_same_every_time(self, lane: Lane) -> None:
        told = [(lane.account, lane.limits, lane.budget, lane.price_list) for _ in range(2)]

        assert told[0] == told[1]
        assert lane.account != ""
        assert lane.lacks is None

    def work(self, numbers: range, *, stops_after: int | None = None) -> Work:
        """The requests of these numbers, of a longer batch."""
        endpoint = self.compiled()
        lines = self.lines([f"word {number}" for number in range(numbers.stop)])
        read = [(endpoint.envelope.read(line), line) for line in lines]
        asks = [Ask(custom_id=found.custom_id, body=found.body, line=line) for found, line in read]
        return Work(asks[numbers.start :], stops_after=stops_after)

    def carried_out(self, lane: Lane, work: Work) -> dict[str, Outcome]:
        """The outcomes of what was answered, by custom_id."""
        endpoint = self.compiled()
        lane.carry_out(work, endpoint=endpoint.url)
        found = endpoint.read_lines(b"".join(work.lines))
        assert len({line.custom_id for line in found}) == len(found), "ids that came twice"
        return {line.custom_id or "": endpoint.judge(line).outcome for line in found}
