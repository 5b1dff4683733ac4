"""What is checked of results, each time they are written."""

from collections.abc import Iterator, Mapping

import dagster as dg

from batch_assets.domain.outcome import Outcome
from batch_assets.stages.resolve import Resolution

NOTHING_LOST = "nothing_lost"
COVERAGE = "coverage"


def check_specs(results: dg.AssetKey, min_coverage: float) -> list[dg.AssetCheckSpec]:
    """The checks of the results asset."""
    return [
        dg.AssetCheckSpec(
            NOTHING_LOST,
            asset=results,
            description="Every item of the corpus has exactly one row in the results, "
            "and no request was left without an answer or a reason.",
        ),
        dg.AssetCheckSpec(
            COVERAGE,
            asset=results,
            description=f"At least {min_coverage:.1%} of the items have the outcome ok.",
        ),
    ]


def check_results(
    results: dg.AssetKey, resolutions: Mapping[str, Resolution], min_coverage: float
) -> Iterator[dg.AssetCheckResult]:
    """One result per check over the partitions that this run resolved."""
    lost = {key: _lost(resolution) for key, resolution in resolutions.items()}
    yield dg.AssetCheckResult(
        asset_key=results,
        check_name=NOTHING_LOST,
        passed=not any(lost.values()),
        metadata={
            "items": sum(resolution.manifest.items for resolution in resolutions.values()),
            "rows": sum(resolution.summary.items for resolution in resolutions.values()),
            "lost": {key: count for key, count in lost.items() if count},
            "partitions": list(resolutions),
        },
    )
    coverage = {key: resolution.summary.coverage for key, resolution in resolutions.items()}
    short = {key: share for key, share in coverage.items() if share < min_coverage}
    yield dg.AssetCheckResult(
        asset_key=results,
        check_name=COVERAGE,
        passed=not short,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "lowest": min(coverage.values()),
            "required": min_coverage,
            "below": short,
            "partitions": list(resolutions),
        },
    )


def _lost(resolution: Resolution) -> int:
    """Items without a row, and items that the provider never gave an answer or a reason for."""
    summary = resolution.summary
    return abs(resolution.manifest.items - summary.items) + summary.outcomes[Outcome.MISSING]
