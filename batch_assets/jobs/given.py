"""What a person gives a job of an inference, checked before anything is done."""

from collections.abc import Sequence

import dagster as dg


def check_partitions(inference: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Fail where a partition is none of the inference's, or none is given."""
    unknown = sorted(set(given) - set(known))
    if unknown or not given:
        wrong = f"it has no {', '.join(map(repr, unknown))}" if unknown else "none is given"
        raise dg.Failure(
            f"partition_keys of {inference}: {wrong}; it has {', '.join(known[:10])}"
            f"{' …' if len(known) > 10 else ''}",
            allow_retries=False,
        )
