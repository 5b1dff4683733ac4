"""A person's approval: what may be sent, and what a canary held back."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from batch_assets.domain.control import Scope
from batch_assets.domain.errors import DeclarationError
from batch_assets.operations.orders import Order, OrderConfig, ScopeConfig, refusal
from batch_assets.stages.approve import (
    Approvable,
    prepared,
    waiting_for_approval,
)
from batch_assets.stages.approve import approve as record_approval


class ApproveConfig(OrderConfig):
    """Run configuration of approve_batches."""

    given_by: str = Field(description="Your name: the approval stands in the ledger with it.")
    inference: str = Field(description="The inference.")
    partition_keys: list[str] = Field(
        default=[],
        description="Only these partitions. Empty means all of the inference that wait for it.",
    )
    request_set: str = Field(
        default="",
        description="Digest of the request set that is approved, as `requests` shows it: of "
        "exactly one partition, which need not be submitted yet. Left out, what waits now.",
    )


def approve(order: Order, config: ApproveConfig) -> Mapping[str, Any]:
    """Record the approval of each partition; the sensor sends what waited for it."""
    if not config.given_by.strip():
        raise refusal("given_by is empty: an approval stands in the ledger with a name")
    order.scopes(ScopeConfig(inference=config.inference, partition_keys=config.partition_keys))
    found = [_named(order, config)] if config.request_set else _waiting(order, config)
    counts = {}
    for each in found:
        record_approval(order.ledger, each, given_by=order.owner)
        scope = Scope(inference=config.inference, partition_key=each.partition_key)
        order.tell(order.concerned([scope]), f"{scope}: {each}")
        counts[each.partition_key] = str(each)
    return counts


def _waiting(order: Order, config: ApproveConfig) -> Sequence[Approvable]:
    """The partitions that wait for an approval now, those that are named or all."""
    files = order.deployment_of(Scope(inference=config.inference)).files
    found = waiting_for_approval(order.ledger, files, config.inference)
    wanted = {each.partition_key: each for each in found}
    others = [key for key in config.partition_keys if key not in wanted]
    if others or not wanted:
        raise refusal(
            f"{', '.join(others) or f'nothing of {config.inference}'} waits for no approval now; "
            f"{', '.join(wanted) or 'no partition'} does. Materialize batches first, or name the "
            "request_set that `requests` shows"
        )
    return [wanted[key] for key in dict.fromkeys(config.partition_keys)] or list(wanted.values())


def _named(order: Order, config: ApproveConfig) -> Approvable:
    """The request set of that digest, which is in the store at least."""
    if len(config.partition_keys) != 1:
        raise refusal("request_set is of one partition: name it, and no other, in partition_keys")
    [partition_key] = config.partition_keys
    files = order.deployment_of(Scope(inference=config.inference)).files
    try:
        return prepared(files, config.inference, partition_key, config.request_set)
    except DeclarationError as error:
        raise refusal(str(error)) from error
