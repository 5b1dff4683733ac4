"""The sensor that shows in Dagster what was sent and resolved beside it, from a command line.

Of a request set that no run of Dagster's made it tells `requests` and `batches`; where results are
written already, and Dagster does not know of them, it starts a collecting run, which finds them
resolved and calls nobody. What the provider still has, the poll sensor collects as any other.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from batch_assets.assets.deployment import deployment_from
from batch_assets.assets.events import (
    CODE_VERSION,
    DATA_VERSION,
    DATA_VERSION_IS_USER_PROVIDED,
    INPUT_DATA_VERSION,
)
from batch_assets.assets.keys import InferenceKeys
from batch_assets.assets.location import Location
from batch_assets.domain.batch import RequestSet
from batch_assets.domain.errors import ArtifactError
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.ledger import Ledger
from batch_assets.operations.ranges import groups_of, range_request
from batch_assets.stages.plan import layout_of, live_batches
from batch_assets.stages.recipe import Deployment

SENSOR_NAME = "batch_beside_dagster"

#: A run of Dagster's that does the same has told of it by then.
GRACE = timedelta(minutes=1)

#: Dagster takes about a second to launch each run, in the sensor's own thread.
RUNS_PER_TICK = 10

#: What a tick looks up in Dagster's event log, a query each.
LOOKED_UP_PER_TICK = 500


def beside_dagster_sensor(
    location: Location,
    jobs: list[Any],
    code_versions: Mapping[dg.AssetKey, str | None],
    minimum_interval_seconds: int,
) -> dg.SensorDefinition:
    """The sensor over these inferences; `jobs` are those that collect.

    Its cursor has the time up to which it has looked at each inference, so that one which joins the
    location later is looked at from its beginning. Without it, it looks again, and tells what
    Dagster's event log does not have.
    """

    @dg.sensor(
        name=SENSOR_NAME,
        jobs=jobs,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys=location.resources,
        description="Shows what was sent and resolved from a command line.",
    )
    def batch_beside_dagster(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        deployments = {
            name: deployment_from(context.resources, name, owner=SENSOR_NAME)
            for name in location.providers
        }
        ledger = next(iter(deployments.values())).ledger
        since = _read_cursor(context.cursor)
        until = ledger.clock() - GRACE
        found = _facts(ledger, location.inferences, since, until)
        look = _Look(context.instance, location, deployments, code_versions)
        facts = _first(found, LOOKED_UP_PER_TICK)
        news = [each for each in facts if look.is_untold(each)]
        requests = look.runs(news)
        if len(requests) > RUNS_PER_TICK:
            last = _first([each for each in news if each.is_resolved], RUNS_PER_TICK)[-1].at
            facts = [each for each in facts if each.at <= last]
            news = [each for each in news if each.at <= last]
            requests = look.runs(news)
        events = [event for each in news for event in look.sent(each)]
        looked = until if len(facts) == len(found) else facts[-1].at
        return dg.SensorResult(
            run_requests=requests,
            asset_events=events,
            cursor=_cursor(location.inferences, since, looked),
            skip_reason=None if requests else f"{len(events)} materializations told",
        )

    return batch_beside_dagster


@dataclass(frozen=True, kw_only=True)
class _Fact:
    """A request set that was submitted, or resolved."""

    at: datetime
    request_set: RequestSet
    is_resolved: bool


def _read_cursor(cursor: str | None) -> dict[str, datetime]:
    """Up to when each inference was looked at."""
    looked: dict[str, list[str]] = json.loads(cursor) if cursor else {}
    return {name: datetime.fromisoformat(at) for at, names in looked.items() for name in names}


def _cursor(inferences: Iterable[str], since: Mapping[str, datetime], looked: datetime) -> str:
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name in inferences:
        names[max(since.get(name, looked), looked).isoformat()].append(name)
    return json.dumps(names)


def _facts(
    ledger: Ledger, inferences: Iterable[str], since: Mapping[str, datetime], until: datetime
) -> list[_Fact]:
    """What came to be since the inferences were looked at, in that order."""
    names: defaultdict[datetime | None, list[str]] = defaultdict(list)
    for name in inferences:
        names[since.get(name)].append(name)
    found = [
        _Fact(at=at, request_set=each, is_resolved=is_resolved)
        for after, some in names.items()
        for each in ledger.standing.changed(some, after=after, until=until)
        for at, is_resolved in ((each.submitted_at, False), (each.resolved_at, True))
        if at is not None and at <= until and (after is None or at > after)
    ]
    return sorted(found, key=lambda each: each.at)


def _first(facts: Sequence[_Fact], most: int) -> Sequence[_Fact]:
    """The first of them, and those of the same moment as the last of these."""
    if len(facts) <= most:
        return facts
    last = facts[most - 1].at
    return [each for each in facts if each.at <= last]


class _Look:
    """One tick: what Dagster knows of, and what is to be told."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        location: Location,
        deployments: Mapping[str, Deployment],
        code_versions: Mapping[dg.AssetKey, str | None],
    ) -> None:
        self._instance = instance
        self._inferences = location.inferences
        self._deployments = deployments
        self._code_versions = code_versions

    def is_untold(self, fact: _Fact) -> bool:
        """Whether Dagster's event log does not have it, and no run is to bring it there."""
        request_set, keys = fact.request_set, self._keys(fact.request_set)
        if not fact.is_resolved and self._is_of_dagster(request_set.origin):
            return False  # where that run failed, nothing is to look as if it had not
        wanted = dg.AssetRecordsFilter(
            asset_key=keys.results if fact.is_resolved else keys.batches,
            asset_partitions=[request_set.partition_key],
            after_timestamp=fact.at.timestamp(),
        )
        return not self._instance.fetch_materializations(wanted, limit=1).records

    def runs(self, news: Sequence[_Fact]) -> list[dg.RunRequest]:
        """Runs that show the results of what was resolved."""
        resolved: defaultdict[str, set[str]] = defaultdict(set)
        for each in news:
            if each.is_resolved:
                resolved[each.request_set.inference].add(each.request_set.partition_key)
        return [request for name, keys in resolved.items() for request in self._runs_of(name, keys)]

    def _runs_of(self, inference: str, partition_keys: Collection[str]) -> Iterator[dg.RunRequest]:
        located = self._inferences[inference]
        keys = located.keys
        order = located.partitions.get_partition_keys(dynamic_partitions_store=self._instance)
        ready = set(partition_keys)
        for group in groups_of(order, ready, passable=ready, widest=located.partitions_per_run):
            config = {"ops": {keys.collect_op: {"config": {"partition_keys": group}}}}
            yield range_request(keys.collect_job, group, config)

    def sent(self, fact: _Fact) -> Iterator[dg.AssetMaterialization]:
        """What `requests` and `batches` are of a request set that was sent beside Dagster."""
        request_set, keys = fact.request_set, self._keys(fact.request_set)
        if fact.is_resolved:
            return
        deployment = self._deployments[keys.provider]
        try:
            manifest = read_manifest(deployment.files, layout_of(request_set).manifest)
        except ArtifactError:
            return  # removed meanwhile
        yield self._materialization(
            keys.requests,
            manifest,
            {
                "items": manifest.items,
                "requests": manifest.requests,
                "estimated_prompt_tokens": manifest.tokens,
                "source": manifest.source_ref,
                "sent_by": request_set.origin,
            },
        )
        yield self._materialization(
            keys.batches,
            manifest,
            {"batches": len(live_batches(deployment, request_set)), "sent_by": request_set.origin},
            inputs={keys.requests: manifest.digest},
        )

    def _keys(self, request_set: RequestSet) -> InferenceKeys:
        return self._inferences[request_set.inference].keys

    def _is_of_dagster(self, origin: str) -> bool:
        """Whether one of Dagster's runs or backfills asked for it."""
        has_run = self._instance.get_run_by_id(origin) is not None
        return has_run or self._instance.get_backfill(origin) is not None

    def _materialization(
        self,
        asset: dg.AssetKey,
        manifest: Manifest,
        metadata: Mapping[str, str | int],
        *,
        inputs: Mapping[dg.AssetKey, str] | None = None,
    ) -> dg.AssetMaterialization:
        tags = {DATA_VERSION: manifest.digest, DATA_VERSION_IS_USER_PROVIDED: "true"}
        if (code_version := self._code_versions.get(asset)) is not None:
            tags[CODE_VERSION] = code_version
        for key, version in (inputs or {}).items():
            tags[f"{INPUT_DATA_VERSION}/{key.to_user_string()}"] = version
        return dg.AssetMaterialization(
            asset_key=asset, partition=manifest.partition_key, metadata=metadata, tags=tags
        )
