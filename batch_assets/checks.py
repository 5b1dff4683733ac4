"""The checks of the results as Dagster has them: a state for each partition."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from batch_assets.domain.checks import Rule, Severity
from batch_assets.domain.errors import BlockedByChecks
from batch_assets.domain.plain_text import cell
from batch_assets.domain.quality import Evaluation

_SEVERITIES = {
    Severity.WARN: dg.AssetCheckSeverity.WARN,
    Severity.ERROR: dg.AssetCheckSeverity.ERROR,
}

_ABOUT = {
    "nothing_lost": "Every item has exactly one row in the results, and no request was left "
    "without an answer or a reason.",
    "coverage": "Share of the items whose outcome is ok.",
    "invalid_share": "Share of the items whose answer is not of the output type.",
    "refused_share": "Share of the items that the model or a filter declined to answer.",
    "truncated_share": "Share of the items whose answer stops at the token limit.",
    "token_estimate": "Prompt tokens that the provider reports, for each one that was estimated.",
    "duplicate_answers": "Share of the answers that another request has word for word.",
    "label_drift": "Share of the items that are labelled otherwise than in the partition before, "
    "beyond what chance does.",
}

#: What a person does about a check that does not pass.
_WAYS_OUT = {
    "nothing_lost": "have the missing items asked again with the job {ask_again}",
    "coverage": "have items asked again with the job {ask_again}, correct the prompt, or lower "
    "checks.coverage",
    "invalid_share": "correct the prompt or the output type, have the invalid items asked again "
    "with the job {ask_again}, or raise checks.invalid_share",
    "refused_share": "correct the prompt, have the refused items asked again with the job "
    "{ask_again}, or raise checks.refused_share",
    "truncated_share": "raise the token limit in settings, or raise checks.truncated_share",
    "token_estimate": "look at the prompts of a few rows, and set the band of "
    "checks.token_estimate around what is right",
    "duplicate_answers": "look at the repeated answers: correct the prompt, declare them as labels "
    "if there are few, or raise checks.duplicate_answers",
    "label_drift": "look at the labels that moved: correct the prompt or the model if the items "
    "did not change, or raise checks.label_drift",
}


def check_specs(
    results: dg.AssetKey, rules: Sequence[Rule], partitions: dg.PartitionsDefinition[str]
) -> list[dg.AssetCheckSpec]:
    """The checks of the results asset."""
    with warnings.catch_warnings():
        # Checks with partitions are a preview in dagster 1.13. What is used of them was tried on
        # 1.13.27 and is held by tests: the spec takes the partitions, and an AssetCheckEvaluation
        # that a run yields is the state of the one partition that it names, in a run over one
        # partition and over a range alike. An AssetCheckResult has no partition in a range.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                rule.name,
                asset=results,
                description=f"{_ABOUT[rule.name]} {_demand(rule)}",
                blocking=rule.blocking,
                partitions_def=partitions,
                metadata={"threshold": rule.threshold, "severity": rule.severity.value},
            )
            for rule in rules
        ]


def _demand(rule: Rule) -> str:
    ending = "; blocks the bundle" if rule.blocking else ""
    return f"Demanded: {rule.threshold} (else {rule.severity}{ending})."


def check_event(
    results: dg.AssetKey, partition_key: str, evaluation: Evaluation
) -> dg.AssetCheckEvaluation:
    """The state of one check for one partition.

    It does not say that it blocks, which its spec does: Dagster would end the run with an error of
    its own, which names neither partition nor threshold.
    """
    rule = evaluation.rule
    return dg.AssetCheckEvaluation(
        asset_key=results,
        check_name=rule.name,
        passed=evaluation.passed,
        severity=_SEVERITIES[rule.severity],
        partition=partition_key,
        description=evaluation.said,
        metadata=_metadata(partition_key, evaluation),
    )


def _metadata(partition_key: str, evaluation: Evaluation) -> Mapping[str, Any]:
    rule, value = evaluation.rule, evaluation.value
    metadata: dict[str, Any] = {
        "value": dg.MetadataValue.text("nothing to judge") if value is None else float(value),
        "threshold": dg.MetadataValue.text(rule.threshold),
        "items": evaluation.items,
        "partition": dg.MetadataValue.text(partition_key),
    }
    if evaluation.worst:
        metadata["worst"] = dg.MetadataValue.table(
            [
                dg.TableRecord({"what": cell(what), "count_or_share": round(float(amount), 6)})
                for what, amount in evaluation.worst
            ]
        )
    return metadata


def blocked(evaluations: Sequence[Evaluation], *, ask_again: str) -> BlockedByChecks | None:
    """Why a partition gets no bundle: each check with its value, threshold and way out.

    `ask_again` is the name of the job that asks items again.
    """
    reasons = [
        f"check {each.name} is {each.value:g}, demanded is {each.rule.threshold} ({each.said}): "
        f"{_WAYS_OUT[each.name].format(ask_again=ask_again)}"
        for each in evaluations
        if each.blocks
    ]
    if not reasons:
        return None
    return BlockedByChecks(
        f"{'; '.join(reasons)}. The results are there, the bundle is not: after a change of the "
        "thresholds materialize the bundle alone, which costs nothing"
    )
