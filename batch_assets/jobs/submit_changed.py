"""The job that submits the partitions whose requests are others now, and no other."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg
from pydantic import Field

from batch_assets.assets.deployment import deployment_from
from batch_assets.assets.events import Failures
from batch_assets.assets.specs import InferenceSpecs
from batch_assets.assets.submit import Submissions
from batch_assets.assets.tables import table
from batch_assets.assets.upstream import loaded_in
from batch_assets.jobs.given import check_partitions
from batch_assets.jobs.one_op import job_of_one_op
from batch_assets.stages.difference import Difference
from batch_assets.stages.lease import held
from batch_assets.stages.recipe import Recipe


class SubmitChangedConfig(dg.Config):
    """Run configuration of an inference's job submit_changed."""

    partition_keys: list[str] = Field(
        default=[],
        description="Only these partitions. Empty means every one that was submitted before.",
    )
    new_partitions: bool = Field(
        default=False,
        description="Whether partitions that were never submitted count as changed.",
    )
    dry_run: bool = Field(
        default=False, description="Say what would be sent and what it costs, and send nothing."
    )


def submit_changed_job(
    recipe: Recipe, specs: InferenceSpecs, partitions: dg.PartitionsDefinition[str]
) -> dg.JobDefinition:
    """A prompt, a model, a schema or rows changed: send what that changes, and nothing else."""
    keys = specs.keys
    about = (
        f"Prepare the partitions of {keys.inference} anew, and submit those whose requests are "
        "others than when they were submitted: after a change of prompt, model, schema or rows. "
        "What was answered before is reused. With dry_run it says what that costs."
    )

    @dg.op(name=keys.submit_changed_op, description=about, required_resource_keys=keys.resources)
    def submit_changed_(
        context: dg.OpExecutionContext, config: SubmitChangedConfig
    ) -> dg.Output[None]:
        found = _Changes(context, config, recipe, specs)
        order = partitions.get_partition_keys(dynamic_partitions_store=context.instance)
        for event in found.submitted(found.chosen(order)):
            context.log_event(event)
        found.failures.raise_any("submit_changed")
        return dg.Output(None, metadata=found.metadata())

    return job_of_one_op(
        submit_changed_, SubmitChangedConfig, name=keys.submit_changed_job, description=about
    )


class _Changes:
    """One run of the job."""

    def __init__(
        self,
        context: dg.OpExecutionContext,
        config: SubmitChangedConfig,
        recipe: Recipe,
        specs: InferenceSpecs,
    ) -> None:
        self._context = context
        self._config = config
        self._keys = specs.keys
        run_id = context.run.run_id
        self._deployment = deployment_from(
            context.resources,
            self._keys.provider,
            lane=self._keys.lane,
            owner=run_id,
            origin=run_id,
        )
        loaded = replace(recipe, corpus=loaded_in(context, recipe.corpus))
        self._submissions = Submissions(context, self._deployment, loaded, specs)
        self._changed: dict[str, Difference] = {}
        self._counts: Counter[str] = Counter()
        self.failures = Failures(context)

    def chosen(self, order: Sequence[str]) -> Sequence[str]:
        """The partitions to look at, in their order."""
        config, inference = self._config, self._keys.inference
        if config.partition_keys:
            check_partitions(inference, config.partition_keys, order)
            named = set(config.partition_keys)
            return [key for key in order if key in named]
        if config.new_partitions:
            return order
        current = self._deployment.ledger.request_sets.current_ones(inference)
        submitted = {each.partition_key for each in current}
        return [key for key in order if key in submitted]

    def submitted(self, partition_keys: Sequence[str]) -> Iterator[dg.AssetMaterialization]:
        """Each partition that changed, as it is sent."""
        ledger, keys = self._deployment.ledger, self._keys
        holder = self._deployment.owner
        with held(ledger, keys.inference, partition_keys, holder=holder):
            for partition_key in partition_keys:
                with self.failures.of(partition_key):
                    yield from self._submitted(partition_key)

    def _submitted(self, partition_key: str) -> Iterator[dg.AssetMaterialization]:
        manifest = self._submissions.prepared(partition_key)
        found = self._submissions.difference(manifest)
        if found.before is not None and found.before.digest == manifest.digest:
            self._counts["unchanged"] += 1
            return
        self._changed[partition_key] = found
        if self._config.dry_run:
            return
        yield self._submissions.requests(manifest, found).logged(self._context)
        yield self._submissions.batches(manifest).logged(self._context)

    def metadata(self) -> dict[str, Any]:
        """What changed, where, and what it costs."""
        changed = self._changed.items()
        return {
            "partitions_changed": len(self._changed),
            "partitions_unchanged": self._counts["unchanged"],
            "sent": "nothing: it was a dry run" if self._config.dry_run else "what changed",
            "requests_to_pay": sum(found.cost.requests for _, found in changed),
            "estimated_prompt_tokens_to_pay": sum(found.cost.tokens for _, found in changed),
            "changed": table(
                {
                    "partition": partition_key,
                    "changed_by": found.why or "new items",
                    "new_items": found.new.items,
                    "changed_items": found.changed.items,
                    "gone_items": found.gone.items,
                    "requests_reused": found.cost.reused,
                    "requests_to_pay": found.cost.requests,
                    "quote": str(found.quote),
                }
                for partition_key, found in list(changed)[:_SHOWN]
            ),
        }


#: Partitions that the table shows; the numbers are of all.
_SHOWN = 100
