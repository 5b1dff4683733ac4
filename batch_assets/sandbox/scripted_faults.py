"""Faults by a script, which may grow and be cleared while the sandbox runs."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from batch_assets.sandbox.batch_faults import AnyBatchFault, BatchFault, QueueFull
from batch_assets.sandbox.call_faults import AnyCallFault, CallFault
from batch_assets.sandbox.executions import body_digest
from batch_assets.sandbox.fault_script import (
    BatchRule,
    Body,
    CallRule,
    ItemRule,
    RouteName,
    Rule,
    Script,
)
from batch_assets.sandbox.faults import Faults, NewBatch
from batch_assets.sandbox.item_faults import AnyItemFault, ItemFault

RuleT = TypeVar("RuleT", bound=Rule)


class Scripted(Generic[RuleT]):
    """One rule at work; a test reads `hits` to know that the fault did happen."""

    def __init__(self, rule: RuleT, where: Callable[[Body], bool] | None = None) -> None:
        self.rule = rule
        self.where = where
        self.hits = 0
        self._asked: Counter[bytes] = Counter()

    def takes(self, key: bytes = b"") -> bool:
        self._asked[key] += 1
        taken = self.rule.takes(self._asked[key])
        self.hits += taken
        return taken

    def to_json(self) -> dict[str, Any]:
        """The rule as a script has it, and its hits; a predicate in Python cannot be shown."""
        shown: dict[str, Any] = msgspec.to_builtins(self.rule)
        return shown | {"hits": self.hits}


class ScriptedFaults(Faults):
    """Misbehaves as it is told to; without a script the sandbox behaves.

    Each method adds a rule behind those that are there and returns it at work. The first rule that
    takes a call, a batch or a request has it; the rules behind do not even count it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget the script and the calls. Batches keep the faults they were created with."""
        with self._lock:
            self._calls: list[Scripted[CallRule]] = []
            self._batches: list[Scripted[BatchRule]] = []
            self._items: list[Scripted[ItemRule]] = []
            self._called: Counter[str] = Counter()

    def calls(
        self, route: RouteName, fault: AnyCallFault, *, times: int | None = 1, after: int = 0
    ) -> Scripted[CallRule]:
        """Hit the next `times` calls of a route, or all with None, once `after` have passed."""
        return self._add(
            self._calls, CallRule, {"route": route, "fault": fault, "times": times, "after": after}
        )

    def batches(
        self,
        *faults: AnyBatchFault,
        times: int | None = 1,
        after: int = 0,
        containing: str | None = None,
    ) -> Scripted[BatchRule]:
        """Hit the next `times` batches with all the faults at once."""
        facts = {"faults": faults, "times": times, "after": after, "containing": containing}
        return self._add(self._batches, BatchRule, facts)

    def items(
        self,
        fault: AnyItemFault,
        *,
        custom_id: str | None = None,
        containing: str | None = None,
        share: float | None = None,
        where: Callable[[Body], bool] | None = None,
        times: int | None = None,
        after: int = 0,
    ) -> Scripted[ItemRule]:
        """Hit the requests to which all of this applies, each of them `times` times.

        `where` is asked with the body of the request.
        """
        facts = {
            "fault": fault,
            "custom_id": custom_id,
            "containing": containing,
            "share": share,
            "times": times,
            "after": after,
        }
        return self._add(self._items, ItemRule, facts, where)

    def add(self, script: Script) -> None:
        """Add all rules of a script."""
        with self._lock:
            self._calls += map(Scripted, script.calls)
            self._batches += map(Scripted, script.batches)
            self._items += map(Scripted, script.items)

    def called(self, route: RouteName) -> int:
        """How often a route was called, whatever came of it; "*" is all routes together."""
        with self._lock:
            return self._called.total() if route == "*" else self._called[route]

    def to_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "calls": [scripted.to_json() for scripted in self._calls],
                "batches": [scripted.to_json() for scripted in self._batches],
                "items": [scripted.to_json() for scripted in self._items],
                "called": dict(self._called),
            }

    def _add(
        self,
        rules: list[Scripted[RuleT]],
        kind: type[RuleT],
        facts: dict[str, Any],
        where: Callable[[Body], bool] | None = None,
    ) -> Scripted[RuleT]:
        """Raises `msgspec.ValidationError` for what no script may say."""
        rule = msgspec.convert(msgspec.to_builtins(facts), kind)
        scripted = Scripted(rule, where)
        with self._lock:
            rules.append(scripted)
        return scripted

    def on_call(self, route: str) -> CallFault | None:
        with self._lock:
            self._called[route] += 1
            for scripted in self._calls:
                if scripted.rule.wants(route) and scripted.takes():
                    return scripted.rule.fault
        return None

    def on_batch(self, batch: NewBatch) -> Sequence[BatchFault]:
        with self._lock:
            for scripted in self._batches:
                if _concerns(scripted.rule, batch) and scripted.takes():
                    return scripted.rule.faults
        return ()

    def on_request(self, custom_id: str, body: Body) -> ItemFault | None:
        with self._lock:
            for scripted in self._items:
                if not scripted.rule.wants(custom_id, body):
                    continue
                if scripted.where is not None and not scripted.where(body):
                    continue
                if scripted.takes(body_digest(body)):
                    return scripted.rule.fault
        return None

    def on_reset(self) -> None:
        self.clear()


def _concerns(rule: BatchRule, batch: NewBatch) -> bool:
    if rule.containing is not None and not batch.contains(rule.containing):
        return False
    limits = [fault.limit for fault in rule.faults if isinstance(fault, QueueFull)]
    return all(limit is None or batch.exceeds(limit) for limit in limits)
