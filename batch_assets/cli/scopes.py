"""What an order at the terminal covers: the same scopes as in the UI's jobs."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from batch_assets.cli.completion import inferences
from batch_assets.cli.exit_codes import NotFound
from batch_assets.domain.batch import Account
from batch_assets.domain.control import Scope

if TYPE_CHECKING:
    from batch_assets.ledger import Ledger


def with_scopes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command what its order covers, as its argument `scopes`."""

    @click.argument("inference", shell_complete=inferences, required=False)
    @click.option(
        "--partition", "partitions", multiple=True, help="Only this partition; may be repeated."
    )
    @click.option("--account", help="All that counts against this account's quota.")
    @click.option(
        "--backfill",
        help="What this backfill, or run without one, asked for last and is not finished yet.",
    )
    @wraps(command)
    def covered(
        *given: Any,
        inference: str | None,
        partitions: tuple[str, ...],
        account: str | None,
        backfill: str | None,
        **named: Any,
    ) -> Any:
        try:
            scopes = [
                Scope(
                    account=None if account is None else Account(account),
                    inference=inference,
                    partition_key=key,
                    origin=backfill,
                )
                for key in dict.fromkeys(partitions) or [None]
            ]
        except ValueError as error:
            raise click.UsageError(
                f"{error}: give an INFERENCE, --account or --backfill"
            ) from error
        return command(*given, scopes=scopes, **named)

    return covered


def check_known(ledger: "Ledger", scopes: Sequence[Scope]) -> None:
    """Raise NotFound for what the ledger has never heard of: a typo pauses nothing."""
    for scope in scopes:
        if scope.inference is not None:
            check_inference(ledger, scope.inference, scope.partition_key)
        elif scope.account is not None:
            known = {each.account for each in ledger.batches()}
            if scope.account not in known:
                raise NotFound(
                    f"the ledger has no account {scope.account}; it has {_listed(sorted(known))}"
                )
        elif not ledger.request_sets.unresolved(scope):
            waiting = _listed(ledger.request_sets.waiting_origins())
            raise NotFound(f"nothing that waits is of {scope.origin}; batches of {waiting} wait")


def check_inference(ledger: "Ledger", inference: str, partition_key: str | None = None) -> None:
    """Raise NotFound where nothing of it was ever submitted."""
    if partition_key is not None and ledger.standing.of(inference, partition_key=partition_key):
        return
    known = ledger.standing.inferences()
    if inference not in known:
        raise NotFound(f"the ledger has no {inference}; inferences it has: {_listed(known)}")
    if partition_key is not None:
        keys = [each.partition_key for each in ledger.request_sets.current_ones(inference)]
        raise NotFound(
            f"the ledger has no partition {partition_key!r} of {inference}; it has {_listed(keys)}"
        )


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "none"
