"""The rules of a script: who is hit, and how often. As JSON they are what `Script` says."""

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from batch_assets.sandbox.batch_faults import AnyBatchFault
from batch_assets.sandbox.call_faults import AnyCallFault, Share
from batch_assets.sandbox.executions import body_digest
from batch_assets.sandbox.item_faults import AnyItemFault

RouteName = Literal[
    "*",
    "files.create",
    "files.list",
    "files.retrieve",
    "files.content",
    "files.delete",
    "batches.create",
    "batches.list",
    "batches.retrieve",
    "batches.cancel",
    "models.list",
    "live.create",
]
"""A route of the provider; "*" is any of them. The sandbox's own routes have no faults."""

Body = dict[str, Any]
Times = Annotated[int, msgspec.Meta(ge=1)]
Skipped = Annotated[int, msgspec.Meta(ge=0)]


class Rule(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    times: Times | None
    """How many are hit; None is all of them."""
    after: Skipped = 0
    """How many pass before."""

    def takes(self, number: int) -> bool:
        """Whether it hits the `number`-th, counted from 1."""
        last = None if self.times is None else self.after + self.times
        return number > self.after and (last is None or number <= last)


class CallRule(Rule, kw_only=True, frozen=True):
    """Calls of a route, in the order of their arrival."""

    route: RouteName
    fault: AnyCallFault
    times: Times | None = 1

    def wants(self, route: str) -> bool:
        return self.route in ("*", route)


class BatchRule(Rule, kw_only=True, frozen=True):
    """Batches, in the order of their creation."""

    faults: Annotated[tuple[AnyBatchFault, ...], msgspec.Meta(min_length=1)]
    times: Times | None = 1
    containing: str | None = None
    """Only batches whose input file has these characters in it."""


class ItemRule(Rule, kw_only=True, frozen=True):
    """Requests to which all of this applies. `times` and `after` count each body by itself."""

    fault: AnyItemFault
    times: Times | None = None
    custom_id: str | None = None
    containing: str | None = None
    """Only requests with this text in a string of their body, such as a message."""
    share: Share | None = None
    """About this part of all requests; the same body is always in it or never."""

    def wants(self, custom_id: str, body: Body) -> bool:
        return (
            (self.custom_id is None or self.custom_id == custom_id)
            and (self.share is None or _place(body) < self.share)
            and (self.containing is None or any(self.containing in text for text in _texts(body)))
        )


class Script(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Rules of all three kinds. The first rule that takes a call, a batch or a request has it."""

    calls: tuple[CallRule, ...] = ()
    batches: tuple[BatchRule, ...] = ()
    items: tuple[ItemRule, ...] = ()


def _place(body: Body) -> float:
    """A number in [0, 1) that depends on the body only, and on no other use of its digest."""
    digest = hashlib.sha256(b"share" + body_digest(body)).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
