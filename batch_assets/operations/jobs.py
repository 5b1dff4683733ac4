"""What a person orders from the UI: jobs of the code location, filled in the Launchpad."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import dagster as dg
from pydantic import Field

from batch_assets.assets.location import Location
from batch_assets.domain.batch import HOLDING, BatchId, BatchState
from batch_assets.domain.control import Scope
from batch_assets.domain.errors import BatchAssetsError
from batch_assets.jobs.one_op import job_of_one_op
from batch_assets.operations.approval import ApproveConfig, approve
from batch_assets.operations.orders import Order, OrderConfig, ScopeConfig, refusal
from batch_assets.stages.control import Cancellation, cancel, pause, resume
from batch_assets.stages.decide import Decision, decide


class PauseConfig(ScopeConfig):
    """Run configuration of pause_batches."""

    reason: str = Field(description="Why, for those who wonder what keeps their partitions.")


class CancelConfig(ScopeConfig):
    """Run configuration of cancel_batches."""

    reason: str = Field(description="Why, for the record.")
    at_provider: bool = Field(
        description="true: ask the provider to cancel what it has; false: let that finish. Both "
        "ways what it answered is collected, and paid for."
    )


class DecideConfig(OrderConfig):
    """Run configuration of decide_batch."""

    batch: int = Field(description="The batch's number, as the poll sensor and `batches` show it.")
    decision: Decision = Field(
        description="adopt: the provider has it, as provider_id. offer_again: the provider does "
        "not have it, send its shard again; where it has it all the same, it is paid for twice. "
        "give_up: neither; it waits until its batches are materialized again."
    )
    provider_id: str = Field(
        default="", description="For adopt: the id that the provider shows for the batch."
    )


_Config = TypeVar("_Config", bound=OrderConfig)


def operator_jobs(location: Location) -> list[Any]:
    """The jobs that pause, resume, cancel, approve and decide."""
    return [
        _job(
            location,
            "pause_batches",
            PauseConfig,
            _pause,
            "Send nothing new of an account, an inference or some of its partitions. What is at "
            "the provider finishes and is collected.",
        ),
        _job(
            location,
            "resume_batches",
            ScopeConfig,
            _resume,
            "Lift what was ordered for just this: a pause, or the stop of an account that the "
            "provider refused. What waits is sent from the sensor's next tick on.",
        ),
        _job(
            location,
            "cancel_batches",
            CancelConfig,
            _cancel,
            "End what waits for its results: nothing more is sent, what was answered is collected, "
            "and items without an answer get the outcome cancelled.",
        ),
        _job(
            location,
            "approve_batches",
            ApproveConfig,
            approve,
            "Approve request sets of an inference with approval: required, and what canaries that "
            "did not pass held back; the sensor then sends them. It stands in the ledger who "
            "approved what, when, and at what quote.",
        ),
        _job(
            location,
            "decide_batch",
            DecideConfig,
            _decide,
            "Decide on a batch of which nobody can say whether the provider has it, or that the "
            "provider does not know any more, or whose files are gone there.",
        ),
    ]


def _job(
    location: Location,
    name: str,
    config_type: type[_Config],
    carry_out: Callable[[Order, _Config], Mapping[str, Any]],
    description: str,
) -> dg.JobDefinition:
    """A job of one op, which carries out one order."""
    op_name = f"{name}_order"

    @dg.op(
        name=op_name,
        description=description,
        config_schema=config_type.to_fields_dict(),
        required_resource_keys=location.resources,
    )
    def order_(context: dg.OpExecutionContext) -> dg.Output[None]:
        config = config_type(**context.op_config)
        order = Order(context, location, config.given_by)
        try:
            return dg.Output(None, metadata=carry_out(order, config))
        except BatchAssetsError as error:
            raise refusal(str(error)) from error

    return job_of_one_op(order_, config_type, name=name, description=description)


def _pause(order: Order, config: PauseConfig) -> Mapping[str, Any]:
    scopes, reason = order.scopes(config), _given(config.reason)
    counts = {}
    for scope in scopes:
        pause(order.ledger, scope, owner=order.owner, reason=reason)
        states = _states(order, scope)
        counts[str(scope)] = said = (
            f"{states[BatchState.PLANNED]} batches wait, {_open(states)} are at the provider and "
            "finish"
        )
        order.tell(order.concerned([scope]), f"{scope} is paused: {said}", reason=reason)
    return counts


def _resume(order: Order, config: ScopeConfig) -> Mapping[str, Any]:
    standing = {pause.scope: pause for pause in order.ledger.pauses.standing()}
    scopes = order.scopes_as_given(config)
    for scope in scopes:
        # An account may be resumed without: what was learned of its room is forgotten.
        if scope not in standing and scope.account not in order.accounts:
            orders = "; ".join(f"{each}: {pause.reason}" for each, pause in standing.items())
            raise refusal(f"nothing was ordered for {scope}; what stands: {orders or 'nothing'}")
    counts = {}
    for scope in scopes:
        lifted = resume(order.ledger, scope, owner=order.owner)
        waiting = _states(order, scope)[BatchState.PLANNED]
        counts[str(scope)] = said = f"{lifted} orders lifted, {waiting} batches wait"
        order.tell(order.concerned([scope]), f"{scope} is resumed: {said}")
    return counts


def _cancel(order: Order, config: CancelConfig) -> Mapping[str, Any]:
    scopes = order.scopes(config)
    _given(config.reason)
    counts = {}
    for scope in scopes:
        partitions = order.concerned([scope])
        met = _cancelled(order, scope, config)
        ending = "is asked to cancel what it has" if config.at_provider else "lets it finish"
        counts[str(scope)] = said = (
            f"{met.request_sets} partitions end; {met.dropped} batches are not sent; the provider "
            f"has {met.open} and {ending}; the sensor brings the results"
        )
        order.tell(partitions if met.request_sets else [], f"{scope} is cancelled: {said}")
    return counts


def _cancelled(order: Order, scope: Scope, config: CancelConfig) -> Cancellation:
    try:
        return cancel(
            order.deployment_of(scope),
            scope,
            owner=order.owner,
            reason=f"cancelled by {order.owner}: {config.reason.strip()}",
            at_provider=config.at_provider,
        )
    except BatchAssetsError as error:
        raise refusal(
            f"{scope} is cancelled, and nothing more of it is sent; the provider could not be told "
            f"yet, and the poll sensor tells it: {error}"
        ) from error


def _decide(order: Order, config: DecideConfig) -> Mapping[str, Any]:
    ledger = order.ledger
    said = decide(
        ledger,
        order.accounts,
        BatchId(config.batch),
        config.decision,
        provider_id=config.provider_id,
        owner=order.owner,
    )
    request_set = ledger.batch(BatchId(config.batch)).request_set
    order.tell([(request_set.inference, request_set.partition_key)], said)
    return {f"batch {config.batch}": said}


def _given(reason: str) -> str:
    if not reason.strip():
        raise refusal("give a reason: it is what others read who wonder why nothing is sent")
    return reason.strip()


def _states(order: Order, scope: Scope) -> Counter[BatchState]:
    """How many batches of the scope are in which state."""
    live = order.ledger.batches(states={BatchState.PLANNED, *HOLDING})
    return Counter(batch.state for batch in live if scope.covers(batch))


def _open(states: Counter[BatchState]) -> int:
    return sum(states[state] for state in HOLDING)
