"""OpenAI's Batch API as a Dagster resource.

Source of the API's limits, unless a line says otherwise: the types of openai-python 3.54.
"""

from dataclasses import replace
from typing import ClassVar

import dagster as dg
from pydantic import Field

from batch_assets.domain.budget import Budget
from batch_assets.domain.shard import Limits
from batch_assets.resources.openai.options import CreateOptions
from batch_assets.resources.openai.profile import OPENAI
from batch_assets.resources.openai.provider import API_KEY, OpenAIProvider
from batch_assets.resources.provider_resource import ProviderResource

#: Embedding inputs of one batch, each element of a list for itself (the SDK's description of
#: `batches.create`).
MOST_INPUTS = 50_000


class OpenAIResource(ProviderResource):
    """OpenAI's Batch API as a Dagster resource.

    Fields are named as in dagster-openai where that has them.
    """

    key_variable: ClassVar[str] = API_KEY
    counts: ClassVar[tuple[str, ...]] = (*ProviderResource.counts, "max_enqueued_inputs")

    organization: str | None = Field(
        default=None, description="Id of the organization that pays; None is the key's own."
    )
    project: str | None = Field(
        default=None, description="Id of the project that pays; None is the key's own."
    )
    base_url: str | None = Field(
        default=None,
        description=f"Address of the API with its version; None is {OPENAI.base_url}.",
    )
    max_requests_per_batch: int = Field(
        default=50_000,
        description="Requests in one batch file (openai-python, `types/batch_create_params.py`).",
    )
    max_bytes_per_batch: int = Field(
        default=200_000_000,
        description=(
            "Bytes of one batch file: 200 MB (openai-python, `types/batch_create_params.py`), read "
            "as millions, the smaller reading."
        ),
    )
    max_enqueued_inputs: int | None = Field(
        default=None,
        description=(
            "Inputs of embedding requests of all open batches together; None is no limit. OpenAI "
            "takes 1,000,000 of an organization (help.openai.com, article 9197833)."
        ),
    )
    completion_window: str = Field(
        default="24h",
        description=(
            "Time that the provider has for a batch, in hours or days. OpenAI takes 24h only; "
            "servers like it take others."
        ),
    )
    metadata: dict[str, str] = Field(
        default={},
        description=(
            "Pairs that every batch carries at the provider, beside our key: 15 at most, names of "
            "64 characters and values of 512. Anybody with access to the account reads them."
        ),
    )
    input_expires_after_seconds: int | None = Field(
        default=None,
        description=(
            "Seconds after which the provider deletes an uploaded shard, 3600 to 2592000; None "
            "leaves it at the provider's 30 days."
        ),
    )
    output_expires_after_seconds: int | None = Field(
        default=None,
        description=(
            "Seconds after which the provider deletes output and error files, counted from when "
            "they are made, 3600 to 2592000; None leaves it to the provider. They are collected as "
            "soon as a batch has ended, so give it longer than your sensor may ever be off."
        ),
    )

    def check(self) -> None:
        super().check()
        self._options()

    def create_resource(self, context: dg.InitResourceContext) -> OpenAIProvider:
        api_key, key_variable = self.key()
        return OpenAIProvider(
            api_key=api_key,
            key_variable=key_variable,
            limits=self.limits(),
            budget=self.budget(),
            timeout_seconds=self.timeout_seconds,
            max_retries=self.max_retries,
            organization=self.organization,
            project=self.project,
            base_url=self.base_url,
            account=self.account,
            price_list=self.price_list,
            options=self._options(),
        )

    def limits(self) -> Limits:
        inputs = min(filter(None, (MOST_INPUTS, self.max_enqueued_inputs)))
        return replace(super().limits(), inputs=inputs)

    def budget(self) -> Budget:
        return replace(super().budget(), inputs=self.max_enqueued_inputs)

    def _options(self) -> CreateOptions:
        return CreateOptions(
            completion_window=self.completion_window,
            metadata=self.metadata,
            input_expires_after_seconds=self.input_expires_after_seconds,
            output_expires_after_seconds=self.output_expires_after_seconds,
        )
