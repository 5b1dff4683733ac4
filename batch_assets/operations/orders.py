"""What a person's order is about: its scopes, checked against the location before anything changes,
and the partitions it concerns, told on their assets.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from batch_assets.assets.deployment import deployment_from
from batch_assets.assets.keys import InferenceKeys
from batch_assets.assets.location import LocatedInference, Location
from batch_assets.assets.tables import batches_table
from batch_assets.domain.batch import Account
from batch_assets.domain.control import Scope
from batch_assets.ledger import Ledger
from batch_assets.stages.recipe import Deployment

#: Names that an error lists of what there is.
_NAMED = 10


class OrderConfig(dg.Config):
    """Who gives an order."""

    given_by: str = Field(
        default="", description="Your name, for the record; the run's id stands beside it."
    )


class ScopeConfig(OrderConfig):
    """What an order covers."""

    account: str = Field(
        default="",
        description="The account, as the poll sensor names it: everything that counts against its "
        "quota. Give this, an inference or a backfill.",
    )
    backfill: str = Field(
        default="",
        description="Id of a backfill: what it asked for last and is not finished yet. Of a run "
        "without a backfill, the run's id.",
    )
    inference: str = Field(
        default="", description="The inference: all its partitions, or those of partition_keys."
    )
    partition_keys: list[str] = Field(
        default=[],
        description="Only these partitions of the inference. Empty means the whole inference.",
    )


def refusal(reason: str) -> dg.Failure:
    """The failure of an order that cannot be carried out."""
    return dg.Failure(reason, allow_retries=False)


class Order:
    """One order, in one run of an operator's job."""

    def __init__(self, context: dg.OpExecutionContext, location: Location, given_by: str) -> None:
        self._context = context
        self._location = location
        run = f"run {context.run.run_id[:8]}"
        #: Who gives it, for the record.
        self.owner = f"{given_by.strip()} ({run})" if given_by.strip() else run
        self._deployments = {
            name: deployment_from(context.resources, name, owner=self.owner)
            for name in location.providers
        }

    @property
    def ledger(self) -> Ledger:
        return next(iter(self._deployments.values())).ledger

    @property
    def accounts(self) -> Mapping[Account, Deployment]:
        """The deployments of this location by their account."""
        return {each.provider.account: each for each in self._deployments.values()}

    def deployment_of(self, scope: Scope) -> Deployment:
        """The deployment that has what a checked scope covers."""
        if scope.account is not None:
            return self.accounts[scope.account]
        if scope.origin is not None:
            # Of several providers the others are told by the sensor.
            return self._deployments[self._waiting_of(scope)[0].keys.provider]
        return self._deployments[self._location.inferences[str(scope.inference)].keys.provider]

    def scopes(self, config: ScopeConfig) -> Sequence[Scope]:
        """What the order covers. Fails where this location has no such thing."""
        scopes = self.scopes_as_given(config)
        for scope in scopes:
            if scope.account is not None and scope.account not in self.accounts:
                raise refusal(
                    f"account {scope.account} is not one of this code location; it has "
                    f"{_listed(self.accounts)}"
                )
            if scope.inference is not None:
                self._check_inference(scope.inference, scope.partition_key)
            if scope.origin is not None and not self._waiting_of(scope):
                raise refusal(
                    f"nothing of this code location that waits for results was asked for last by "
                    f"backfill or run {scope.origin}; batches of "
                    f"{_listed(self.ledger.request_sets.waiting_origins())} are to be sent"
                )
        return scopes

    def _waiting_of(self, scope: Scope) -> Sequence[LocatedInference]:
        """The inferences of this location that have something of the scope to finish."""
        names = {each.inference for each in self.ledger.request_sets.unresolved(scope)}
        return [found for name, found in self._location.inferences.items() if name in names]

    def scopes_as_given(self, config: ScopeConfig) -> Sequence[Scope]:
        """What the order covers, whether or not there is such a thing here."""
        if not (config.account or config.inference or config.backfill):
            raise refusal(
                "the order is about nothing: give an account "
                f"({_listed(self.accounts)}), an inference ({_listed(self._location.inferences)}) "
                "or a backfill"
            )
        account = None if not config.account else Account(config.account)
        partition_keys: Sequence[str | None] = config.partition_keys or [None]
        try:
            return [
                Scope(
                    account=account,
                    inference=config.inference or None,
                    partition_key=key,
                    origin=config.backfill or None,
                )
                for key in dict.fromkeys(partition_keys)
            ]
        except ValueError as error:
            raise refusal(f"{error}") from error

    def _check_inference(self, name: str, partition_key: str | None) -> None:
        inferences = self._location.inferences
        if name not in inferences:
            raise refusal(
                f"inference {name} is not one of this code location; it has {_listed(inferences)}"
            )
        if partition_key is None:
            return
        known = self._partition_keys(inferences[name])
        # One that left the corpus may have batches still.
        waiting = self.ledger.request_sets.unresolved(Scope(inference=name))
        if partition_key not in {*known, *(each.partition_key for each in waiting)}:
            raise refusal(
                f"inference {name} has no partition {partition_key!r}; it has {_listed(known)}"
            )

    def _partition_keys(self, inference: LocatedInference) -> Sequence[str]:
        return inference.partitions.get_partition_keys(
            dynamic_partitions_store=self._context.instance
        )

    def concerned(self, scopes: Iterable[Scope]) -> list[tuple[str, str]]:
        """The partitions that an order concerns: those named, or those that wait for results."""
        found: dict[tuple[str, str], None] = {}
        for scope in scopes:
            if scope.inference is not None and scope.partition_key is not None:
                found[scope.inference, scope.partition_key] = None
                continue
            for request_set in self.ledger.request_sets.unresolved(scope):
                found[request_set.inference, request_set.partition_key] = None
        return list(found)

    def tell(self, partitions: Iterable[tuple[str, str]], said: str, **metadata: Any) -> None:
        """Observe the order on `batches` of the partitions, and log it."""
        self._context.log.info(said)
        for observation in self._observations(partitions, said, metadata):
            self._context.log_event(observation)

    def _observations(
        self, partitions: Iterable[tuple[str, str]], said: str, metadata: Mapping[str, Any]
    ) -> Iterator[dg.AssetObservation]:
        now = self.ledger.clock()
        for inference, partition_key in partitions:
            batches = self.ledger.batches(partition=(inference, partition_key))
            yield dg.AssetObservation(
                asset_key=self._keys_of(inference).batches,
                partition=partition_key,
                metadata={
                    "order": said,
                    "given_by": self.owner,
                    **metadata,
                    "batches": batches_table(batches, now),
                },
            )

    def _keys_of(self, inference: str) -> InferenceKeys:
        """An account's orders concern other code locations too, whose translations nobody knows."""
        found = self._location.inferences.get(inference)
        return InferenceKeys(inference=inference, provider="") if found is None else found.keys


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return (", ".join(found[:_NAMED]) + more) or "none"
