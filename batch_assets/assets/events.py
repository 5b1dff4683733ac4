"""Materializations as Dagster's event log wants them, for one partition and for a range.

A run over a range of partitions logs one materialization per partition itself: Dagster would give
all of them one data version.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from batch_assets.domain.errors import BatchAssetsError

#: Tags by which Dagster reads a materialization's data version and provenance (dagster 1.13,
#: _core/definitions/data_version.py); a test holds them to the installed version.
DATA_VERSION = "dagster/data_version"
DATA_VERSION_IS_USER_PROVIDED = "dagster/data_version_is_user_provided"
CODE_VERSION = "dagster/code_version"
INPUT_DATA_VERSION = "dagster/input_data_version"
INPUT_EVENT_POINTER = "dagster/input_event_pointer"

#: Dagster's pointer to an input that was never materialized.
_NO_EVENT = "NULL"

#: What a run of assets, or of a job's op, is told by Dagster.
RunContext = dg.AssetExecutionContext | dg.OpExecutionContext


@dataclass(frozen=True, kw_only=True)
class Materialized:
    """One partition of one asset, as it was written."""

    key: dg.AssetKey
    partition_key: str
    data_version: str
    metadata: Mapping[str, Any]
    #: The asset's; one without has the run's id for it.
    code_version: str | None = None
    #: Data versions of the assets it was made from.
    inputs: Mapping[dg.AssetKey, str] = field(default_factory=dict)

    def event(
        self, context: dg.AssetExecutionContext
    ) -> dg.MaterializeResult[Any] | dg.AssetMaterialization:
        """What the asset's body yields for it."""
        partitions = context.partition_key_range
        if partitions.start == partitions.end:
            return dg.MaterializeResult(
                asset_key=self.key,
                metadata=self.metadata,
                data_version=dg.DataVersion(self.data_version),
            )
        return self.logged(context)

    def logged(self, context: RunContext) -> dg.AssetMaterialization:
        """The same for Dagster's event log, where the asset may be another op's."""
        return dg.AssetMaterialization(
            asset_key=self.key,
            partition=self.partition_key,
            metadata=self.metadata,
            tags=self._tags(context),
        )

    def is_news(self, context: RunContext) -> bool:
        """Whether the event log's newest materialization of the partition is of other data."""
        newest = _newest(context, self.key, self.partition_key)
        known = newest.asset_materialization if newest is not None else None
        return known is None or (known.tags or {}).get(DATA_VERSION) != self.data_version

    def _tags(self, context: RunContext) -> Mapping[str, str]:
        """What Dagster writes beside a materialization of its own; without them it sees none stale.

        An asset without a code version has the run's id for one.
        """
        tags = {
            DATA_VERSION: self.data_version,
            DATA_VERSION_IS_USER_PROVIDED: "true",
            CODE_VERSION: self.code_version or context.run.run_id,
        }
        for key, version in self.inputs.items():
            name = key.to_user_string()
            tags[f"{INPUT_DATA_VERSION}/{name}"] = version
            tags[f"{INPUT_EVENT_POINTER}/{name}"] = self._pointer_to(context, key)
        return tags

    def _pointer_to(self, context: RunContext, key: dg.AssetKey) -> str:
        """The input's newest event: an event after it makes this materialization stale."""
        newest = _newest(context, key, self.partition_key)
        return _NO_EVENT if newest is None else str(newest.storage_id)


def _newest(context: RunContext, key: dg.AssetKey, partition_key: str) -> dg.EventLogRecord | None:
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition_key])
    records = context.instance.fetch_materializations(wanted, limit=1).records
    return records[0] if records else None


class Failures:
    """Partitions that failed in a run, each with its error; the others go on."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._errors: dict[str, BatchAssetsError] = {}

    @contextmanager
    def of(self, partition_key: str) -> Iterator[None]:
        """What fails in this block is the partition's failure, and no other's."""
        try:
            yield
        except BatchAssetsError as error:
            self.add(partition_key, error)

    def add(self, partition_key: str, error: BatchAssetsError) -> None:
        self._context.log.error(f"{partition_key}: {error}")
        self._errors[partition_key] = error

    def raise_any(self, stage: str) -> None:
        """Raise the failure of the run, where a partition failed."""
        if self._errors:
            raise _failure_of(self._errors, stage)


def _failure_of(failures: Mapping[str, Exception], stage: str) -> dg.Failure:
    """The failure of a run in which some partitions failed; the others are materialized."""
    together: defaultdict[str, list[str]] = defaultdict(list)
    for partition_key, error in failures.items():
        together[str(error)].append(partition_key)
    reasons = [f"{', '.join(partition_keys)}: {why}" for why, partition_keys in together.items()]
    return dg.Failure(
        description=f"{stage} failed for {len(failures)} partition(s)\n" + "\n".join(reasons),
        metadata={
            partition_key: dg.MetadataValue.text(str(error))
            for partition_key, error in failures.items()
        },
        allow_retries=False,
    )
