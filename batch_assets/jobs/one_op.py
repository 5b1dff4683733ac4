"""A job of one op that a person fills in from the Launchpad."""

from typing import Any

import dagster as dg


def job_of_one_op(
    op: dg.OpDefinition, config_type: type[dg.Config], *, name: str, description: str
) -> dg.JobDefinition:
    """The job; the Launchpad asks for the op's configuration and nothing else."""

    @dg.config_mapping(config_schema=config_type.to_fields_dict())
    def filled_in(config: dict[str, Any]) -> dict[str, Any]:
        """The configuration as Dagster takes it."""
        return {"ops": {op.name: {"config": config}}}

    @dg.job(
        name=name,
        description=description,
        executor_def=dg.in_process_executor,
        config=filled_in,
    )
    def job_() -> None:
        op()

    return job_
