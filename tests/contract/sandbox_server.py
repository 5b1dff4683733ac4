"""Our sandbox as the contract suite wants a server: one wire of it, and the clock in our hands."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import ClassVar

from batch_assets.contract import ContractServer, Situation
from batch_assets.domain.outcome import Outcome
from batch_assets.sandbox import (
    Expires,
    FailsValidation,
    ItemError,
    LateFiles,
    Refusal,
    ScriptedSandbox,
    TruncatedAnswer,
)
from batch_assets.sandbox.batch_faults import AnyBatchFault
from batch_assets.sandbox.item_faults import AnyItemFault
from batch_assets.sandbox.stored_batches import BatchOrder

#: Seconds that a batch takes; half of them is half of the work (timeline.py).
LATENCY = 100.0

#: The request file of everybody else.
_THEIRS = "file-others"

_BATCH_FAULTS: Mapping[Situation, AnyBatchFault] = {
    Situation.REJECTED: FailsValidation(lines=(1,)),
    Situation.EXPIRED: Expires(at=0.5),
    Situation.EMPTY: LateFiles(),
}

_ITEM_FAULTS: Mapping[Outcome, AnyItemFault] = {
    Outcome.REFUSED: Refusal(),
    Outcome.TRUNCATED: TruncatedAnswer(),
    Outcome.ERRORED: ItemError(status=400, message="Not this one."),
}


class SandboxServer(ContractServer):
    """One wire of the sandbox; a subclass names its routes and how a batch looks in its store."""

    #: As the sandbox has it.
    wire: ClassVar[str]
    #: The path of the requests of other people's batches, and a line of them.
    url: ClassVar[str]
    line: ClassVar[bytes]
    #: What else the sandbox keeps of such a batch.
    told: ClassVar[Mapping[str, str] | None] = None
    #: Two pages of OpenAI's list and more.
    crowd: ClassVar[int] = 210

    def __init__(self, sandbox: ScriptedSandbox) -> None:
        sandbox.reset()
        sandbox.change_settings(latency=LATENCY)
        self._sandbox = sandbox
        self.clock = sandbox.clock
        self.origin = sandbox.origin

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._sandbox.clock.now(), UTC)

    def arrange(self, situation: Situation) -> None:
        if situation is Situation.ALL_FAILED:
            self._sandbox.faults.items(ItemError(status=400, message="Not this one."))
        elif situation in _BATCH_FAULTS:
            self._sandbox.faults.batches(_BATCH_FAULTS[situation])

    def arrange_answer(self, containing: str, outcome: Outcome) -> None:
        self._sandbox.faults.items(_ITEM_FAULTS[outcome], containing=containing)

    def work(self) -> None:
        self._sandbox.clock.advance(LATENCY / 2)

    def finish(self) -> None:
        self._sandbox.clock.advance(LATENCY)

    def others(self, count: int) -> None:
        """Of one line each, without a key, behind the back of the wire."""
        state = self._sandbox.state
        with state.receiving(_THEIRS) as sink:
            sink.write(self.line)
        file = state.add_upload(_THEIRS, "theirs.jsonl", 86_400.0, wire=self.wire)
        order = BatchOrder(
            endpoint=self.url,
            input_file_id=file.id,
            metadata=self.told,
            output_lifetime=86_400.0,
            wire=self.wire,
        )
        for _ in range(count):
            state.create_batch(order)

    def uploads(self) -> Collection[str]:
        """Request files of this wire, but for that of others."""
        page, _ = self._sandbox.state.files.page(
            purpose="batch", after=None, limit=100, descending=True, wire=self.wire
        )
        return [file.id for file in page if file.id != _THEIRS]


def chat_line(model: str = "gpt-4.1-mini", url: str = "/v1/chat/completions") -> bytes:
    """A request of somebody else's, as OpenAI's batch file has it."""
    body = {"model": model, "messages": [{"role": "user", "content": "Theirs"}]}
    line = {"custom_id": "theirs-0", "method": "POST", "url": url, "body": body}
    return json.dumps(line).encode() + b"\n"
