"""The ledger as a Dagster resource."""

from collections.abc import Generator
from contextlib import closing, contextmanager

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

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Ledger, None, None]:
        """Every run and every tick opens the ledger, so each gives its connections back."""
        with closing(self.create_resource(context)) as ledger:
            yield ledger
