"""Numbers within the bounds of a JSON schema (JSON Schema Validation 2020-12, section 6.2)."""

import math
from collections.abc import Mapping
from typing import Any

SPAN_WITHOUT_BOUNDS = 10
ROUNDED_DIGITS = 2
MULTIPLES_TRIED = 1_000


def sample_integer(node: Mapping[str, Any], share: float) -> int:
    """`share`, in [0, 1), says which of the allowed integers to take."""
    low, high = _bounds(node)
    step = node.get("multipleOf", 1)
    if step != 1:
        return int(_multiple(node, low, high, step))
    least = math.floor(low) + 1 if _excludes(node, "Minimum", low) else math.ceil(low)
    most = math.ceil(high) - 1 if _excludes(node, "Maximum", high) else math.floor(high)
    return least + int(share * (most - least + 1))


def sample_number(node: Mapping[str, Any], share: float) -> float:
    low, high = _bounds(node)
    if "multipleOf" in node:
        return _multiple(node, low, high, node["multipleOf"])
    exact = low + (high - low) * share
    rounded = round(exact, ROUNDED_DIGITS)
    for candidate in (rounded, exact):
        if _allowed(node, candidate):
            return candidate
    return low + (high - low) / 2


def _bounds(node: Mapping[str, Any]) -> tuple[float, float]:
    lows = [node[key] for key in ("minimum", "exclusiveMinimum") if key in node]
    highs = [node[key] for key in ("maximum", "exclusiveMaximum") if key in node]
    if lows:
        low = max(lows)
        return low, min(highs) if highs else low + SPAN_WITHOUT_BOUNDS
    if highs:
        return min(highs) - SPAN_WITHOUT_BOUNDS, min(highs)
    return 0, SPAN_WITHOUT_BOUNDS


def _excludes(node: Mapping[str, Any], side: str, bound: float) -> bool:
    return bool(node.get(f"exclusive{side}") == bound)


def _allowed(node: Mapping[str, Any], value: float) -> bool:
    return bool(
        value >= node.get("minimum", -math.inf)
        and value <= node.get("maximum", math.inf)
        and value > node.get("exclusiveMinimum", -math.inf)
        and value < node.get("exclusiveMaximum", math.inf)
    )


def _multiple(node: Mapping[str, Any], low: float, high: float, step: float) -> float:
    """The first multiple inside the bounds that also divides evenly in binary arithmetic."""
    start = math.ceil(low / step)
    for factor in range(start, start + MULTIPLES_TRIED):
        value = factor * step
        if _allowed(node, value) and (value / step).is_integer():
            return value
    return math.ceil(high / step) * step
