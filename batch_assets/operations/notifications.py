"""A sensor that tells a function of the user's own what happened to the inferences."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeAlias, overload

import dagster as dg

from batch_assets.assets.keys import LEDGER
from batch_assets.assets.location import location_of
from batch_assets.ledger import Ledger
from batch_assets.operations.inference_events import InferenceEvent
from batch_assets.operations.ledger_news import approvals, still_standing, stops
from batch_assets.operations.log_news import checks_failed, failed, finished
from batch_assets.operations.told import Cursor

#: What is called with each event, as Dagster's asset sensors call theirs.
Tell: TypeAlias = Callable[[dg.SensorEvaluationContext, InferenceEvent], None]

SENSOR_NAME = "batch_notifications"
_INTERVAL_SECONDS = 120


@overload
def inference_sensor(tell: Tell) -> dg.SensorDefinition: ...


@overload
def inference_sensor(
    *,
    name: str = ...,
    minimum_interval_seconds: int = ...,
    required_resource_keys: Collection[str] = ...,
    default_status: dg.DefaultSensorStatus = ...,
) -> Callable[[Tell], dg.SensorDefinition]: ...


def inference_sensor(
    tell: Tell | None = None,
    *,
    name: str = SENSOR_NAME,
    minimum_interval_seconds: int = _INTERVAL_SECONDS,
    required_resource_keys: Collection[str] = (),
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
) -> dg.SensorDefinition | Callable[[Tell], dg.SensorDefinition]:
    """Decorate a function of a sensor's context and an InferenceEvent to be told what happens.

    The sensor is over every inference of the code location. Events of one kind and one inference
    are one message in a tick. What happened before it was turned on is not told; what waits for a
    person then, is. An event whose function raised is told again in the next tick, and so are all
    of a tick that was killed.
    """

    def decorated(tell: Tell) -> dg.SensorDefinition:
        @dg.sensor(
            name=name,
            minimum_interval_seconds=minimum_interval_seconds,
            default_status=default_status,
            required_resource_keys={LEDGER, *required_resource_keys},
            description="Tells what a person should hear of: results, failed runs and checks, "
            "stops, approvals.",
        )
        def notifications(context: dg.SensorEvaluationContext) -> dg.SensorResult:
            return _tick(context, tell)

        return notifications

    return decorated if tell is None else decorated(tell)


def _tick(context: dg.SensorEvaluationContext, tell: Tell) -> dg.SensorResult:
    assert context.repository_def is not None
    assets = set(context.repository_def.assets_defs_by_key.values())
    location = location_of(dg.Definitions(assets=list(assets)))
    ledger: Ledger = getattr(context.resources, LEDGER)
    cursor, troubles, told = Cursor.of(context), [], 0
    for news in [
        *finished(context, location, ledger, cursor),
        *failed(context, location, ledger, cursor),
        *checks_failed(context, location, cursor),
        *stops(location, ledger, cursor),
        *approvals(location, ledger, cursor),
    ]:
        if news.event is not None:
            try:
                tell(context, news.event)
            except Exception as error:
                context.log.exception(f"not told: {news.event.sentence}")
                troubles.append(error)
                continue
            told += 1
        cursor = news.told(cursor)
    if troubles and not told and context.cursor:
        # A tick that failed is red in the UI, and keeps the cursor that there is.
        raise troubles[0]
    cursor = replace(cursor, standing=cursor.standing & still_standing(location, ledger))
    again = f"; {len(troubles)} not, which come again: {troubles[0]!r}" if troubles else ""
    return dg.SensorResult(skip_reason=f"{told} events were told{again}", cursor=str(cursor))
