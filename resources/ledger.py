"""The ledger as a Dagster resource."""

import dagster as dg
from pydantic import Field

from batch_assets.ledger import Ledger


class LedgerResource(dg.ConfigurableResource[Ledger]):
    """Opens the ledger; what an asset or sensor gets is a `batch_assets.ledger.Ledger`."""

    url: str = Field(
        description="SQLAlchemy URL: sqlite:///path/to/ledger.db, or "
        "postgresql+psycopg2://user@host/database (the driver must be named)."
    )

    def create_resource(self, context: dg.InitResourceContext) -> Ledger:
        return Ledger.open(self.url)
