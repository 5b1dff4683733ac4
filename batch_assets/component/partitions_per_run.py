"""How a component file says how many partitions a run takes."""

from pydantic import ConfigDict, Field

from batch_assets.assets.partitions_per_run import PartitionsPerRun
from batch_assets.component.choice import Declared


class PartitionsPerRunModel(Declared):
    """Partitions per run of a backfill, and of what a sensor launches; the two must differ."""

    # Of the class and not of the fields: Dagster resolves no field with constraints of its own.
    model_config = ConfigDict(extra="forbid")

    submit: int = Field(default=500, description="Of runs that prepare and submit.")
    collect: int = Field(default=250, description="Of runs that collect.")

    def check(self) -> None:
        self.declared()

    def declared(self) -> PartitionsPerRun:
        """The same as the inference takes it."""
        return PartitionsPerRun(submit=self.submit, collect=self.collect)
