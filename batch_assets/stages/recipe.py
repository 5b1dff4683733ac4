"""What the stages work from."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from batch_assets.corpus import Corpus
from batch_assets.domain.batch import Account
from batch_assets.domain.checks import Checks
from batch_assets.domain.provider import Provider
from batch_assets.domain.stragglers import Stragglers
from batch_assets.domain.wave import RetryPolicy
from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.prices.declared import Prices
from batch_assets.prompt.endpoints import Endpoint
from batch_assets.prompt.packs import Packing, Packs, packing_of
from batch_assets.prompt.ready import ReadyRequests


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An inference ready to be carried out: its declaration compiled."""

    inference: str
    model: str
    corpus: Corpus
    endpoint: Endpoint | ReadyRequests | Packs
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    #: Whether answers of earlier request sets are carried over.
    reuse: bool = True
    #: Whether the provider keeps the files of batches that are collected.
    keeps_remote: bool = True
    #: Where the user says what the model costs; None takes published prices.
    prices: Prices | None = None
    #: Whether nothing is sent before a person approved the request set.
    needs_approval: bool = False
    #: Requests of a partition that are asked and checked before the rest; None asks all at once.
    canary: int | None = None
    #: What is demanded of the answers.
    checks: Checks = field(default_factory=Checks)
    #: When what the provider has not answered is asked live; None never does it.
    stragglers: Stragglers | None = None

    @property
    def packing(self) -> Packing:
        """How its items stand in its requests."""
        return packing_of(self.endpoint)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The outside systems a stage acts on, and in whose name it acts."""

    ledger: Ledger
    files: Files
    provider: Provider
    #: A Dagster run's id, or the sensor's name; stands in the ledger beside every move.
    owner: str
    #: Who asks for the partitions that are submitted, a backfill's id: fair shares are counted by
    #: it. Empty means the owner.
    origin: str = ""
    #: The lane that stragglers are asked by; None where there is none.
    live: Provider | None = None

    @property
    def by_provider(self) -> "Sequence[Deployment]":
        """The deployment once for each of its providers, the inference's own first."""
        own = replace(self, live=None)
        return [own] if self.live is None else [own, replace(own, provider=self.live)]

    def of(self, account: Account) -> "Deployment":
        """The deployment with the provider of that account; the inference's own where none is."""
        found = (each for each in self.by_provider if each.provider.account == account)
        return next(found, self.by_provider[0])
