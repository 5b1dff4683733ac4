"""How many partitions the runs of a backfill take at once."""

from dataclasses import dataclass

from batch_assets.domain.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class PartitionsPerRun:
    """Partitions per run of a backfill, and of what a sensor launches.

    Raises DeclarationError for numbers below 1, and for equal ones: with equal backfill policies
    Dagster would put results, which are not there yet, into the run that submits.
    """

    submit: int = 500
    collect: int = 250

    def __post_init__(self) -> None:
        if min(self.submit, self.collect) < 1:
            wrong = f"submit is {self.submit} and collect {self.collect}; give 1 at least"
        elif self.submit == self.collect:
            wrong = (
                f"submit and collect are both {self.submit}; give different numbers: with equal "
                "ones Dagster asks for results in the very run that submits them"
            )
        else:
            return
        raise DeclarationError(f"partitions_per_run: {wrong}", setting="partitions_per_run")
