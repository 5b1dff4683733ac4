"""The seam for scripted misbehaviour. The script is empty: the provider behaves."""

from typing import Any

from starlette.responses import Response


class Faults:
    """Consulted once per request of a named route and once per executed item.

    An answer other than None replaces what the sandbox would have done.
    """

    def on_route(self, route: str) -> Response | None:
        """`route` is a name of `app.ROUTES`, such as "batches.create"."""
        return None

    def on_item(self, batch_id: str, custom_id: str) -> dict[str, Any] | None:
        """A result line in place of the answer; the request then counts as not executed."""
        return None
