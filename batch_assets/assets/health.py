"""Whether somebody asks the provider about the batches that are out, and what to do otherwise."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from batch_assets.assets.keys import LEDGER, InferenceKeys
from batch_assets.domain.cadence import LONGEST
from batch_assets.domain.spoken import spoken_age
from batch_assets.ledger import Ledger

#: The poll sensor, one for a code location.
SENSOR_NAME = "batch_poll"

#: The check on `batches` of each inference.
POLLED = "polled"

#: A batch is asked about every ten minutes at least; three times that is no delay of a tick.
WARNED_AFTER = 3 * LONGEST

#: So long nobody asks by accident: what has ended since then is not collected.
FAILED_AFTER = timedelta(hours=2)

_WAY_OUT = (
    f"see that the sensor {SENSOR_NAME} is on and the daemon runs, and what its last tick says of "
    "the provider"
)


def polled_check(keys: InferenceKeys) -> dg.AssetChecksDefinition:
    """The check of an inference, for whoever runs it by hand; the sensor evaluates it by itself."""

    @dg.asset_check(
        asset=keys.batches,
        name=POLLED,
        required_resource_keys={LEDGER},
        description="Every batch at the provider was asked about in the last "
        f"{spoken_age(WARNED_AFTER)}. The sensor {SENSOR_NAME} evaluates it whenever that changes.",
    )
    def polled(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        ledger: Ledger = getattr(context.resources, LEDGER)
        since = ledger.polls.oldest_unasked([keys.inference]).get(keys.inference)
        return _judged(since, ledger.clock())

    return polled


def changed_checks(
    instance: dg.DagsterInstance,
    inferences: Mapping[str, InferenceKeys],
    oldest: Mapping[str, datetime],
    now: datetime,
) -> Iterator[dg.AssetCheckEvaluation]:
    """The checks that have another outcome now than Dagster shows.

    `oldest` is since when the provider has said nothing of some batch of an inference.
    """
    for name, keys in inferences.items():
        found = _judged(oldest.get(name), now)
        shown = _shown(instance, dg.AssetCheckKey(keys.batches, POLLED))
        is_idle = shown is None and name not in oldest
        if shown != _outcome(found) and not is_idle:
            yield dg.AssetCheckEvaluation(
                asset_key=keys.batches,
                check_name=POLLED,
                passed=found.passed,
                severity=found.severity,
                description=found.description,
                metadata=found.metadata or {},
            )


def why_nobody_asks(
    instance: dg.DagsterInstance, ledger: Ledger, keys: InferenceKeys
) -> str | None:
    """A warning for a run that submits: what it sends would not be collected. None where it is."""
    # An instance of a test has no sensors.
    states = [] if instance.schedule_storage is None else instance.all_instigator_state()
    sensors = [state for state in states if state.instigator_name == SENSOR_NAME]
    if sensors and all(state.status.name == "STOPPED" for state in sensors):
        return (
            f"the sensor {SENSOR_NAME} is switched off: nothing asks the provider and collects "
            "what it finishes; turn it on (Automation, or `dagster sensor start`)"
        )
    since = ledger.polls.oldest_unasked([keys.inference]).get(keys.inference)
    found = _judged(since, ledger.clock())
    return None if found.passed else found.description


def last_heard(oldest: Mapping[str, datetime], now: datetime) -> str:
    """Of all these inferences, how long the provider has said nothing of some batch."""
    since = min(oldest.values(), default=None)
    return (
        "no batch is at the provider"
        if since is None
        else f"every batch at the provider was asked about in the last {spoken_age(now - since)}"
    )


def _judged(since: datetime | None, now: datetime) -> dg.AssetCheckResult:
    unasked = timedelta() if since is None else now - since
    passed = unasked <= WARNED_AFTER
    said: dict[str, Any] = {"oldest_unasked_minutes": unasked.total_seconds() / 60}
    is_error = unasked > FAILED_AFTER
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description="every batch at the provider is asked about in time"
        if passed
        else f"the provider has said nothing of a batch for {spoken_age(unasked)}: {_WAY_OUT}",
        metadata=said,
    )


def _outcome(found: dg.AssetCheckResult | dg.AssetCheckEvaluation) -> tuple[bool, object]:
    return found.passed, None if found.passed else found.severity


def _shown(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> tuple[bool, object] | None:
    """The outcome that Dagster shows; None where the check was never evaluated."""
    record = instance.get_latest_asset_check_evaluation_record(key)
    event = None if record is None or record.event is None else record.event.dagster_event
    evaluation = None if event is None else event.event_specific_data
    return _outcome(evaluation) if isinstance(evaluation, dg.AssetCheckEvaluation) else None
