"""How a component file says when stragglers are asked live."""

from pydantic import ConfigDict, Field

from batch_assets.component.choice import Declared
from batch_assets.domain.stragglers import Stragglers


class StragglersModel(Declared):
    """What is not answered so many hours after it was submitted is asked live, by a lane."""

    # Of the class and not of the fields: Dagster resolves no field with constraints of its own.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    provider: str = Field(
        description="Resource key of the lane, such as openai_live: of the wire that the "
        "inference's provider speaks.",
        examples=["openai_live"],
    )
    after_hours: float = Field(
        description="Hours after a partition was submitted, above 0: fewer than the provider's "
        "window, such as 20 of 24.",
        examples=[20],
    )

    def check(self) -> None:
        self.declared()

    def declared(self) -> Stragglers:
        """The same as the inference takes it."""
        return Stragglers(provider=self.provider, after_hours=self.after_hours)
