"""What an inference demands of its answers: a rule for each check."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cached_property
from typing import Final, Literal

from batch_assets.domain.errors import DeclarationError


class Severity(StrEnum):
    """How a check that does not pass is shown."""

    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one check demands. What is left out is as the check has it by itself."""

    at_least: float | None = None
    at_most: float | None = None
    severity: Literal["warn", "error"] | None = None
    #: Whether a partition that does not pass gets no bundle. A check that blocks is an error.
    blocking: bool | None = None
    #: The check says nothing of fewer items.
    min_items: int | None = None


OFF: Final = "off"

#: A check as it is declared: its threshold alone, all of it, or that it is not made.
Demand = Check | float | Literal["off"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A check with everything settled."""

    name: str
    at_least: float | None = None
    at_most: float | None = None
    severity: Severity = Severity.WARN
    blocking: bool = False
    min_items: int | None = None

    @property
    def threshold(self) -> str:
        """As a person says it."""
        bounds = {"at least": self.at_least, "at most": self.at_most}
        return " and ".join(f"{word} {x:g}" for word, x in bounds.items() if x is not None)

    def holds(self, value: float) -> bool:
        """Whether the value is within the thresholds."""
        is_enough = self.at_least is None or value >= self.at_least
        return is_enough and (self.at_most is None or value <= self.at_most)


#: The checks as they are by themselves, in the order in which they are shown. What is None there
#: cannot be set.
_DEFAULTS: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(name="nothing_lost", at_most=0, severity=Severity.ERROR, blocking=True),
        Rule(name="coverage", at_least=0.95),
        Rule(name="invalid_share", at_most=0.02),
        Rule(name="refused_share", at_most=0.02),
        Rule(name="truncated_share", at_most=0.02),
        # A schema is estimated with the prompt, and not every provider counts it.
        Rule(name="token_estimate", at_least=0.25, at_most=1.5),
        Rule(name="duplicate_answers", at_most=0.2, min_items=20),
        Rule(name="label_drift", at_most=0.2, min_items=100),
    )
}

#: Checks whose thresholds are no shares: any number from 0 on.
_RATIOS = {"token_estimate"}

#: Checks whose threshold is not a matter of opinion.
_FIXED = {"nothing_lost"}


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What is demanded of the answers of each partition.

    Each check is a `Check`, its threshold alone, or `"off"`. Raises DeclarationError for what the
    check does not have, and for values that cannot be.
    """

    #: Every item has its row, and no request was left without an answer or a reason.
    nothing_lost: Demand = Check()
    #: Share of the items whose outcome is ok.
    coverage: Demand = Check()
    #: Share of the items whose answer is not of the output type.
    invalid_share: Demand = Check()
    #: Share of the items that the model or a filter declined to answer.
    refused_share: Demand = Check()
    #: Share of the items whose answer stops at the token limit.
    truncated_share: Demand = Check()
    #: Prompt tokens that the provider reports, for each one that was estimated.
    token_estimate: Demand = Check()
    #: Share of the answers that another request has word for word. Not made where an answer has no
    #: free text.
    duplicate_answers: Demand = Check()
    #: Share of the items whose label is another than in the partition before, beyond what chance
    #: does. Not made where an answer has no field with labels.
    label_drift: Demand = Check()

    def __post_init__(self) -> None:
        _ = self.rules

    @cached_property
    def rules(self) -> Sequence[Rule]:
        """The checks that are on, each with everything settled, in the order they are shown."""
        demands = {field.name: getattr(self, field.name) for field in fields(self)}
        return [
            _settled(_DEFAULTS[name], demand) for name, demand in demands.items() if demand != OFF
        ]


def settings_of(name: str) -> Mapping[str, object]:
    """What of the check of that name can be set, and what it is by itself."""
    default = _DEFAULTS[name]
    own = [] if name in _FIXED else ["at_least", "at_most", "min_items"]
    there = {each: getattr(default, each) for each in (*own, "severity", "blocking")}
    return {each: value for each, value in there.items() if value is not None}


def _settled(default: Rule, demand: Check | float) -> Rule:
    name = default.name
    if not isinstance(demand, Check):
        demand = _with_threshold(name, demand)
    given = {
        field.name: value
        for field in fields(demand)
        if (value := getattr(demand, field.name)) is not None
    }
    can_be_set = settings_of(name)
    if unknown := sorted(set(given) - set(can_be_set)):
        raise _wrong(name, f"it has no {' and no '.join(unknown)}; set {', '.join(can_be_set)}")
    settled = {**{each: getattr(default, each) for each in given | vars(default)}, **given}
    rule = Rule(**{**settled, **_standing(name, default, given)})
    _check_bounds(rule)
    return rule


def _standing(name: str, default: Rule, given: Mapping[str, object]) -> Mapping[str, object]:
    """Severity and blocking, of which each follows from the other where one alone is given."""
    severity, blocking = given.get("severity"), given.get("blocking")
    if severity not in (None, *Severity):
        raise _wrong(name, f"severity is {severity!r}; write {' or '.join(Severity)}")
    if blocking not in (None, True, False):
        raise _wrong(name, f"blocking is {blocking!r}; write true or false")
    if severity == Severity.WARN and blocking:
        raise _wrong(
            name, "a check that only warns blocks nothing: severity: error, or blocking: false"
        )
    if severity is None:
        severity = Severity.ERROR if blocking else default.severity
    if blocking is None:
        blocking = default.blocking and severity == Severity.ERROR
    return {"severity": Severity(str(severity)), "blocking": blocking}


def _with_threshold(name: str, threshold: float) -> Check:
    """The check with its one threshold."""
    bounds = [each for each in settings_of(name) if each.startswith("at_")]
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or len(bounds) != 1:
        number = "a number for its threshold, " if len(bounds) == 1 else ""
        raise _wrong(
            name,
            f"it is {threshold!r}; give {number}'off', or some of {', '.join(settings_of(name))}",
        )
    return Check(**{bounds[0]: threshold})  # type: ignore[arg-type]  # which of the two


def _check_bounds(rule: Rule) -> None:
    for bound in ("at_least", "at_most"):
        value = getattr(rule, bound)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise _wrong(rule.name, f"{bound} is {value!r}, not a number")
        if rule.name in _RATIOS:
            if value < 0:
                raise _wrong(rule.name, f"{bound} is {value:g}; a ratio is 0 or more")
        elif not 0 <= value <= 1:
            raise _wrong(rule.name, f"{bound} is {value:g}, not a share of 0 to 1")
    if rule.at_least is not None and rule.at_most is not None and rule.at_least > rule.at_most:
        raise _wrong(
            rule.name,
            f"at_least is {rule.at_least:g} and at_most {rule.at_most:g}; nothing lies between",
        )
    least = rule.min_items
    if least is not None and (isinstance(least, bool) or not isinstance(least, int) or least < 0):
        raise _wrong(rule.name, f"min_items is {least!r}; give a number of items, 0 or more")


def _wrong(name: str, why: str) -> DeclarationError:
    return DeclarationError(f"checks: {name}: {why}")
