"""The checks of the answers of a partition: what is measured, and what each check says of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import pi, sqrt

from batch_assets.domain.checks import Checks, Rule
from batch_assets.domain.outcome import Outcome

#: Reasons, texts or labels that an evaluation names at most.
_WORST = 5


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Answers to different requests, held against each other."""

    #: Requests whose answers were compared.
    compared: int
    #: Of these, those whose answer another one has too.
    repeated: int
    #: The texts that came most often, and how often.
    most: Sequence[tuple[str, int]] = ()


#: How many items have which label.
LabelCounts = Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is known of the answers of a partition, or of a sample of it."""

    #: Items that must have a row.
    expected: int
    #: Items that have one.
    items: int
    #: How many items ended how, by the names of Outcome.
    outcomes: Mapping[str, int]
    #: Answers of the model that came back, and the prompt tokens that the provider reports of them.
    executions: int = 0
    input_tokens: int = 0
    #: What was estimated for as many requests.
    estimated_tokens: float = 0
    #: Why items are not ok: (outcome, code or message) and how many.
    reasons: Mapping[tuple[str, str], int] = field(default_factory=dict)
    #: None where answers were not compared.
    repeats: Repeats | None = None
    #: By the name of each field that holds labels; None where labels were not counted.
    labels: Mapping[str, LabelCounts] | None = None
    #: The same of the partition before, and its key; None where there is none.
    labels_before: Mapping[str, LabelCounts] | None = None
    partition_before: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a check found."""

    rule: Rule
    #: None where there was nothing to judge; the check then passes.
    value: float | None
    #: Items it rests on.
    items: int
    #: What the value is, in a sentence.
    said: str
    #: The worst reasons, texts or labels, and how many items or which share each has.
    worst: Sequence[tuple[str, float]] = ()

    @property
    def name(self) -> str:
        return self.rule.name

    @property
    def passed(self) -> bool:
        return self.value is None or self.rule.holds(self.value)

    @property
    def blocks(self) -> bool:
        """Whether what rests on these answers must not go on."""
        return self.rule.blocking and not self.passed


def evaluate(checks: Checks, measured: Measured) -> Sequence[Evaluation]:
    """What each check that is on says of what was measured; those that cannot apply say nothing."""
    evaluations = [_EVALUATIONS[rule.name](rule, measured) for rule in checks.rules]
    return [each for each in evaluations if each is not None]


def _nothing_lost(rule: Rule, measured: Measured) -> Evaluation:
    rowless = abs(measured.expected - measured.items)
    missing = measured.outcomes.get(Outcome.MISSING, 0)
    return Evaluation(
        rule=rule,
        value=rowless + missing,
        items=measured.expected,
        said=f"{measured.expected:,} items have {measured.items:,} rows, {missing:,} of them "
        "without an answer or a reason",
        worst=_reasons(measured, Outcome.MISSING),
    )


def _coverage(rule: Rule, measured: Measured) -> Evaluation:
    ok = measured.outcomes.get(Outcome.OK, 0)
    return Evaluation(
        rule=rule,
        value=ok / measured.items if measured.items else None,
        items=measured.items,
        said=f"{ok:,} of {measured.items:,} items are ok",
        worst=_reasons(measured, *(outcome for outcome in Outcome if outcome != Outcome.OK)),
    )


def _share_of(outcome: Outcome) -> Callable[[Rule, Measured], Evaluation]:
    def share(rule: Rule, measured: Measured) -> Evaluation:
        found = measured.outcomes.get(outcome, 0)
        return Evaluation(
            rule=rule,
            value=found / measured.items if measured.items else None,
            items=measured.items,
            said=f"{found:,} of {measured.items:,} items are {outcome}",
            worst=_reasons(measured, outcome),
        )

    return share


def _token_estimate(rule: Rule, measured: Measured) -> Evaluation:
    """What the model really read, for each token that the quote rests on."""
    reported, estimated = measured.input_tokens, measured.estimated_tokens
    is_known = reported > 0 and estimated > 0
    said = f"{reported:,} prompt tokens reported, {estimated:,.0f} estimated"
    return Evaluation(
        rule=rule,
        value=reported / estimated if is_known else None,
        items=measured.executions,
        said=said if is_known else "the provider was not asked, or reports no tokens",
    )


def _duplicate_answers(rule: Rule, measured: Measured) -> Evaluation | None:
    repeats = measured.repeats
    if repeats is None:
        return None
    is_enough = repeats.compared >= max(rule.min_items or 0, 1)
    said = f"{repeats.repeated:,} of {repeats.compared:,} answers came for another request too"
    return Evaluation(
        rule=rule,
        value=repeats.repeated / repeats.compared if is_enough else None,
        items=repeats.compared,
        said=said if is_enough else _too_few(rule, repeats.compared),
        worst=repeats.most[:_WORST],
    )


def _label_drift(rule: Rule, measured: Measured) -> Evaluation | None:
    """The field whose labels moved most since the partition before."""
    labels, before, partition = (
        measured.labels,
        measured.labels_before,
        measured.partition_before,
    )
    if labels is None:
        return None
    most = max((sum(counts.values()) for counts in labels.values()), default=0)
    if before is None:
        return Evaluation(
            rule=rule, value=None, items=most, said="no partition before it has results"
        )
    found = [
        drift
        for name, counts in labels.items()
        if (drift := _drift(rule, name, counts, before.get(name, {}), str(partition))) is not None
    ]
    fewest = min(most, max((sum(counts.values()) for counts in before.values()), default=0))
    too_few = Evaluation(rule=rule, value=None, items=most, said=_too_few(rule, fewest))
    return max(found, key=lambda each: each.value or 0, default=too_few)


def _drift(
    rule: Rule, name: str, now: LabelCounts, before: LabelCounts, partition: str
) -> Evaluation | None:
    """The total variation distance of two counts, less what chance alone does; None of too few.

    It is the share of items that would have to get another label to make both alike: it has a
    meaning of its own, goes from 0 to 1 for any number of labels, and is finite where a label is
    new, which the population stability index (PSI) is not. Two samples of one distribution are
    apart too, the more so the smaller they are and the more labels there are: that much is
    expected, and subtracted.
    """
    items, items_before = sum(now.values()), sum(before.values())
    if min(items, items_before) < max(rule.min_items or 0, 1):
        return None
    distance = by_chance = 0.0
    moves: list[tuple[str, float]] = []
    for label in now.keys() | before.keys():
        here, there = now.get(label, 0), before.get(label, 0)
        move = here / items - there / items_before
        pooled = (here + there) / (items + items_before)
        distance += abs(move) / 2
        # The mean of the absolute value of a normal variable of this variance.
        variance = pooled * (1 - pooled) * (1 / items + 1 / items_before)
        by_chance += sqrt(2 / pi * variance) / 2
        moves.append((label, move))
    moves.sort(key=lambda each: (-abs(each[1]), each[0]))
    return Evaluation(
        rule=rule,
        value=max(0.0, distance - by_chance),
        items=items,
        said=f"{name}: {distance:.1%} of the items are labelled otherwise than in partition "
        f"{partition}, where chance alone makes {by_chance:.1%}",
        worst=[(f"{name}: {label}", move) for label, move in moves[:_WORST] if move],
    )


def _too_few(rule: Rule, items: int) -> str:
    return f"{items:,} items are too few to say anything: it takes {rule.min_items:,} (min_items)"


def _reasons(measured: Measured, *outcomes: Outcome) -> Sequence[tuple[str, float]]:
    """Why items ended so, the most frequent first."""
    found = [
        (f"{outcome}: {why}" if why else str(outcome), count)
        for (outcome, why), count in measured.reasons.items()
        if outcome in outcomes
    ]
    return sorted(found, key=lambda each: -each[1])[:_WORST]


_EVALUATIONS: Mapping[str, Callable[[Rule, Measured], Evaluation | None]] = {
    "nothing_lost": _nothing_lost,
    "coverage": _coverage,
    "invalid_share": _share_of(Outcome.INVALID),
    "refused_share": _share_of(Outcome.REFUSED),
    "truncated_share": _share_of(Outcome.TRUNCATED),
    "token_estimate": _token_estimate,
    "duplicate_answers": _duplicate_answers,
    "label_drift": _label_drift,
}
