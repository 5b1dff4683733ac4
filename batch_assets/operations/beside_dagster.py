"""The sensor that shows in Dagster what was sent and resolved beside it, from a command line.

Of a request set that no run of Dagster's made it tells `requests` and `batches`; where its results
are written already it starts a collecting run, which finds them resolved and calls nobody. What the
provider still has, the poll sensor collects as any other.
"""

from collections.abc import Iterator, Mapping
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
from batch_assets.assets.location import LocatedInference, Location
from batch_assets.domain.batch import RequestSet
from batch_assets.domain.errors import ArtifactError
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.operations.ranges import range_request
from batch_assets.stages.plan import layout_of, live_batches
from batch_assets.stages.recipe import Deployment

SENSOR_NAME = "batch_beside_dagster"

#: A run of Dagster's that does the same has told of it by then.
GRACE = timedelta(minutes=1)


def beside_dagster_sensor(
    location: Location,
    jobs: list[Any],
    code_versions: Mapping[dg.AssetKey, str | None],
    minimum_interval_seconds: int,
) -> dg.SensorDefinition:
    """The sensor over these inferences; `jobs` are those that collect.

    Its cursor is the time up to which it has looked: without it, it looks again, and tells what
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
    def beside_dagster(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        deployments = {
            name: deployment_from(context.resources, name, owner=SENSOR_NAME)
            for name in location.providers
        }
        ledger = next(iter(deployments.values())).ledger
        since = datetime.fromisoformat(context.cursor) if context.cursor else None
        until = ledger.clock() - GRACE
        look = _Look(context.instance, since, until, code_versions)
        requests: list[dg.RunRequest] = []
        events: list[dg.AssetMaterialization] = []
        for inference in location.inferences.values():
            deployment = deployments[inference.keys.provider]
            for request_set in ledger.request_sets.current_ones(inference.keys.inference):
                events += look.sent(deployment, inference, request_set)
                requests += look.resolved(inference, request_set)
        return dg.SensorResult(
            run_requests=requests,
            asset_events=events,
            cursor=until.isoformat(),
            skip_reason=None if requests else f"{len(events)} materializations told",
        )

    return beside_dagster


class _Look:
    """One tick: what came between two times, and Dagster knows nothing of."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        since: datetime | None,
        until: datetime,
        code_versions: Mapping[dg.AssetKey, str | None],
    ) -> None:
        self._instance = instance
        self._since = since
        self._until = until
        self._code_versions = code_versions

    def sent(
        self, deployment: Deployment, inference: LocatedInference, request_set: RequestSet
    ) -> Iterator[dg.AssetMaterialization]:
        """What `requests` and `batches` are of a new request set."""
        keys, key = inference.keys, request_set.partition_key
        if not self._is_new(request_set.created_at):
            return
        if self._is_told(keys.batches, key, request_set.created_at):
            return
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

    def resolved(
        self, inference: LocatedInference, request_set: RequestSet
    ) -> Iterator[dg.RunRequest]:
        """A run that shows the results of a request set that was resolved beside Dagster."""
        keys, key = inference.keys, request_set.partition_key
        if request_set.resolved_at is None or not self._is_new(request_set.resolved_at):
            return
        if not self._is_told(keys.results, key, request_set.resolved_at):
            config = {"ops": {keys.collect_op: {"config": {"partition_keys": [key]}}}}
            yield range_request(keys.collect_job, [key], config)

    def _is_new(self, at: datetime) -> bool:
        return at <= self._until and (self._since is None or at > self._since)

    def _is_told(self, asset: dg.AssetKey, partition_key: str, since: datetime) -> bool:
        wanted = dg.AssetRecordsFilter(
            asset_key=asset, asset_partitions=[partition_key], after_timestamp=since.timestamp()
        )
        return bool(self._instance.fetch_materializations(wanted, limit=1).records)

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
