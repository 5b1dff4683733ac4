"""How long the batches of an account usually take, from those of the ledger that ended."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_assets.domain.batch import Account
from batch_assets.domain.cadence import History, expected_at, history_of
from batch_assets.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is known of an account's turnaround.

    The ledger does not keep the model of a batch; an inference has one, and one endpoint.
    """

    of_inference: dict[str, History | None]
    of_endpoint: dict[str, History | None]

    def history(self, inference: str, endpoint: str) -> History | None:
        """Of the inference's own batches; of all at the endpoint where those are too few."""
        own = self.of_inference.get(inference)
        return self.of_endpoint.get(endpoint) if own is None else own

    def end(self, inference: str, endpoint: str, submitted_at: datetime) -> datetime | None:
        """When a batch usually ends; None where nothing is known of that."""
        return expected_at(submitted_at, self.history(inference, endpoint))


def expected_of(ledger: Ledger, account: Account) -> Expected:
    """What the ledger knows of the account's turnaround."""
    of_inference: defaultdict[str, list[timedelta]] = defaultdict(list)
    of_endpoint: defaultdict[str, list[timedelta]] = defaultdict(list)
    for each in ledger.polls.turnarounds(account):
        of_inference[each.inference].append(each.took)
        of_endpoint[each.endpoint].append(each.took)
    return Expected(
        of_inference={name: history_of(took) for name, took in of_inference.items()},
        of_endpoint={name: history_of(took) for name, took in of_endpoint.items()},
    )
