"""The seam for misbehaviour: where the sandbox asks whether to behave. Here it always does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import Response

from batch_assets.sandbox.batch_faults import BatchFault
from batch_assets.sandbox.call_faults import CallFault
from batch_assets.sandbox.item_faults import ItemFault


@dataclass(frozen=True, kw_only=True)
class NewBatch:
    """A batch that is about to be created."""

    input_path: Path | None
    """None where the input file does not exist."""
    input_tokens: int
    enqueued_tokens: Callable[[], int]
    """Input tokens of the unfinished batches of the same model."""

    def contains(self, text: str) -> bool:
        return self.input_path is not None and text.encode() in self.input_path.read_bytes()

    def exceeds(self, token_limit: int) -> bool:
        return self.enqueued_tokens() + self.input_tokens > token_limit


class Faults:
    """Consulted once per call of a named route, per created batch and per executed item.

    An answer other than None or nothing takes effect in place of what the sandbox would have done.
    `ScriptedFaults` answers by a script; a subclass of your own may answer as it likes.
    """

    def on_route(self, route: str) -> Response | None:
        """A response in place of the work. `route` is a name of `app.ROUTES`: "batches.create"."""
        return None

    def on_call(self, route: str) -> CallFault | None:
        """What goes wrong around the work of a route; never asked for the sandbox's own routes."""
        return None

    def on_batch(self, batch: NewBatch) -> Sequence[BatchFault]:
        """What goes wrong with a batch, for all of its life."""
        return ()

    def on_item(self, batch_id: str, custom_id: str) -> dict[str, Any] | None:
        """A result line in place of the answer; the request then counts as not executed."""
        return None

    def on_request(self, custom_id: str, body: dict[str, Any]) -> ItemFault | None:
        """What goes wrong with the answer to a request that the endpoint would answer."""
        return None

    def on_reset(self) -> None:
        """The sandbox forgets everything."""
