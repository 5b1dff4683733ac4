"""vLLM's batch runner as a Dagster resource."""

from pathlib import Path
from typing import ClassVar

import dagster as dg
from pydantic import Field

from batch_assets.domain.errors import DeclarationError
from batch_assets.resources.provider_resource import ProviderResource
from batch_assets.resources.vllm.lane import VllmLane


class VllmResource(ProviderResource):
    """`vllm run-batch` where the run is: no server, no key, and no published price."""

    key_variable: ClassVar[str] = "VLLM_API_KEY"
    needs_key: ClassVar[bool] = False

    api_key: str = Field(
        default="", repr=False, description="Not used: the command reads a file, and calls nobody."
    )
    command: list[str] = Field(
        default=["vllm", "run-batch"],
        description=(
            "The command, with what it needs beside `-i FILE -o FILE --model NAME`, which is "
            "added: [vllm, run-batch, --max-model-len, '8192']."
        ),
    )
    model: str | None = Field(
        default=None,
        description=(
            "What --model says, a name or a folder; None is the model of the requests. With "
            "another one, have the command say --served-model-name."
        ),
    )
    work_folder: str | None = Field(
        default=None,
        description=(
            "Folder for the command's files, where it cannot read the system's temporary one."
        ),
    )
    max_requests_per_batch: int = Field(
        default=50_000, description="Requests that the command answers at once."
    )
    max_bytes_per_batch: int = Field(
        default=1_000_000_000, description="Bytes of the file that the command reads."
    )

    def check(self) -> None:
        super().check()
        if not self.command:
            raise DeclarationError("command is empty: give the command that starts vLLM")

    def create_resource(self, context: dg.InitResourceContext) -> VllmLane:
        return VllmLane(
            command=self.command,
            model=self.model,
            account=self.account or "vllm",
            limits=self.limits(),
            budget=self.budget(),
            folder=None if self.work_folder is None else Path(self.work_folder),
        )
