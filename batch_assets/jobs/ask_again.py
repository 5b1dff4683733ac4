"""The job that asks items again by a person's word."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import dagster as dg
from pydantic import Field

from batch_assets.assets.deployment import deployment_from
from batch_assets.assets.keys import InferenceKeys
from batch_assets.assets.tables import batches_table
from batch_assets.domain.errors import BatchAssetsError
from batch_assets.domain.outcome import Outcome
from batch_assets.jobs.given import check_partitions
from batch_assets.jobs.one_op import job_of_one_op
from batch_assets.stages.ask_again import ASKABLE, ask_again
from batch_assets.stages.plan import live_batches
from batch_assets.stages.recipe import Deployment, Recipe


class AskAgainConfig(dg.Config):
    """Run configuration of an inference's job ask_again."""

    partition_keys: list[str] = Field(description="Partitions whose results are there.")
    outcomes: list[str] = Field(
        description="Items that ended so are asked once more, and paid for once more: some of "
        f"{', '.join(sorted(ASKABLE))}."
    )


def ask_again_job(
    recipe: Recipe, keys: InferenceKeys, partitions: dg.PartitionsDefinition[str]
) -> dg.JobDefinition:
    """Items whose outcome was final, asked once more in a further wave."""
    about = (
        f"Ask items of {keys.inference} once more whose outcome was final, in a further wave; the "
        "sensor sends it and brings the new results."
    )

    @dg.op(name=keys.ask_again_op, description=about, required_resource_keys=keys.resources)
    def ask_again_(context: dg.OpExecutionContext, config: AskAgainConfig) -> dg.Output[None]:
        known = partitions.get_partition_keys(dynamic_partitions_store=context.instance)
        check_partitions(keys.inference, config.partition_keys, known)
        outcomes = _outcomes(config.outcomes)
        deployment = deployment_from(
            context.resources, keys.provider, lane=keys.lane, owner=context.run.run_id
        )
        counts: dict[str, Any] = {}
        refused: list[str] = []
        for partition_key in dict.fromkeys(config.partition_keys):
            try:
                asked = _ask_partition(deployment, recipe, partition_key, outcomes)
            except BatchAssetsError as error:
                refused.append(f"{partition_key}: {error}")
                continue
            counts[partition_key] = asked
            context.log.info(f"{partition_key}: {asked} requests are asked again")
            context.log_event(_observation(deployment, keys, partition_key, asked))
        if refused:
            raise dg.Failure(
                "\n".join(["some partitions could not be asked again:", *refused]),
                metadata={"asked_again": counts},
                allow_retries=False,
            )
        return dg.Output(None, metadata=counts)

    return job_of_one_op(ask_again_, AskAgainConfig, name=keys.ask_again_job, description=about)


def _outcomes(given: Sequence[str]) -> AbstractSet[Outcome]:
    if not given or set(given) - set(ASKABLE):
        raise dg.Failure(
            f"outcomes: {', '.join(given) or 'none'}; give some of {', '.join(sorted(ASKABLE))}",
            allow_retries=False,
        )
    return {Outcome(each) for each in given}


def _ask_partition(
    deployment: Deployment,
    recipe: Recipe,
    partition_key: str,
    outcomes: AbstractSet[Outcome],
) -> int:
    request_set = deployment.ledger.request_sets.current(recipe.inference, partition_key)
    if request_set is None:
        raise BatchAssetsError("nothing of it was ever submitted: materialize its batches first")
    return ask_again(deployment, recipe, request_set, outcomes)


def _observation(
    deployment: Deployment, keys: InferenceKeys, partition_key: str, asked: int
) -> dg.AssetObservation:
    ledger = deployment.ledger
    request_set = ledger.request_sets.current(keys.inference, partition_key)
    batches = [] if request_set is None else live_batches(deployment, request_set)
    return dg.AssetObservation(
        asset_key=keys.batches,
        partition=partition_key,
        metadata={
            "order": f"{asked} requests are asked again",
            "given_by": deployment.owner,
            "batches": batches_table(batches, ledger.clock()),
        },
    )
