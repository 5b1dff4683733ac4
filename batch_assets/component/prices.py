"""How a component file says what a model's batches cost."""

from pydantic import ConfigDict, Field

from batch_assets.component.choice import Declared
from batch_assets.prices.declared import Prices


class PricesModel(Declared):
    """What a model's batches cost, in USD per million tokens, as the provider bills them."""

    # Of the class and not of the fields: Dagster resolves no field with constraints of its own.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    input: float | None = Field(default=None, description="Tokens of the prompts.")
    output: float | None = Field(
        default=None,
        description="Tokens of the answers; left out, answers are not priced by tokens, as of "
        "embeddings.",
    )
    cached_input: float | None = Field(
        default=None, description="Cached tokens of the prompts; left out, they cost as input."
    )
    batch_discount: float | None = Field(
        default=None,
        description="Share that a batch takes off the published standard price, 0 to 1, for a "
        "model of which no batch price is published. Given alone, without prices.",
    )

    def check(self) -> None:
        self.prices()

    def prices(self) -> Prices:
        """The same as the inference takes it."""
        return Prices(
            input=self.input,
            output=self.output,
            cached_input=self.cached_input,
            batch_discount=self.batch_discount,
        )
