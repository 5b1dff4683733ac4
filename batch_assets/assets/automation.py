"""When an inference is submitted without a click, and when its results are too old."""

from collections.abc import Mapping
from datetime import timedelta

import dagster as dg

from batch_assets.domain.errors import DeclarationError

Condition = dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]

#: Submits what is new, and what an upstream asset has new data for.
EAGER = "eager"


def conditions_of(automation: str | None) -> Mapping[str, Condition]:
    """The condition of `requests`, and of `batches`; of neither where there is no automation.

    `automation` is "eager" or a cron schedule. Raises DeclarationError for anything else.
    """
    if automation is None:
        return {}
    prepare = dg.AutomationCondition.eager() if automation == EAGER else _on_cron(automation)
    # A person's dry run materializes requests too, and must send nothing.
    submit = dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.will_be_requested()
    ).with_label("with its requests")
    return {"requests": prepare, "batches": submit}


def _on_cron(schedule: str) -> Condition:
    try:
        return dg.AutomationCondition.on_cron(schedule)
    except Exception as error:  # Dagster's own of a parameter, which is not public
        raise DeclarationError(
            f"automation is {schedule!r}; give {EAGER}, or a cron schedule such as '0 6 * * *'",
            setting="automation",
        ) from error


def freshness_of(hours: float | None) -> Mapping[str, dg.FreshnessPolicy]:
    """The freshness policy of `results`: they fail it once nothing of them was made for so long.

    Raises DeclarationError for less than a minute, which Dagster does not take.
    """
    if hours is None:
        return {}
    if not hours * 60 >= 1:
        raise DeclarationError(
            f"fresh_within_hours is {hours}; give a minute or more, in hours",
            setting="fresh_within_hours",
        )
    return {"results": dg.FreshnessPolicy.time_window(timedelta(hours=hours))}
