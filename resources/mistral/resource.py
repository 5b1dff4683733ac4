"""Mistral's batch jobs as a Dagster resource."""

import time
from collections.abc import Callable
from typing import ClassVar

import dagster as dg
from pydantic import Field

from batch_assets.domain.errors import DeclarationError
from batch_assets.resources.address import host_of
from batch_assets.resources.mistral.provider import (
    API_KEY,
    METADATA,
    MISTRAL_URL,
    MistralProvider,
)
from batch_assets.resources.provider_resource import ProviderResource

#: Hours that a job may be given: "can't be more than 7 days" (docs.mistral.ai, batch inference).
HOURS = range(1, 7 * 24 + 1)


class MistralResource(ProviderResource):
    """Mistral's batch jobs as a Dagster resource."""

    key_variable: ClassVar[str] = API_KEY

    base_url: str | None = Field(
        default=None,
        description=f"Address of the API without its version; None is {MISTRAL_URL}.",
    )
    max_requests_per_batch: int = Field(
        default=100_000,
        description=(
            'Requests in one batch file: 100,000 says docs.mistral.ai, "Known limitations", and 1 '
            'million "Batch Inference"; the smaller is safe.'
        ),
    )
    max_bytes_per_batch: int = Field(
        default=512_000_000,
        description=(
            "Bytes of one batch file: 512 MB (mistralai, `client/files.py`), read as millions, the "
            "smaller reading."
        ),
    )
    timeout_hours: int = Field(
        default=24, description="Hours that the provider has for a batch, 1 to 168."
    )
    metadata: dict[str, str] = Field(
        default={},
        description=(
            "Pairs that every batch carries at the provider, beside our key. Anybody with access "
            "to the account reads them."
        ),
    )

    def check(self) -> None:
        super().check()
        if self.timeout_hours not in HOURS:
            raise DeclarationError(
                f"timeout_hours is {self.timeout_hours}; give 1 to {HOURS[-1]}, a week"
            )
        METADATA.check(self.metadata, "mistral")
        if self.base_url is not None:
            host_of(self.base_url, example=MISTRAL_URL)

    def create_resource(self, context: dg.InitResourceContext) -> MistralProvider:
        return self.provider()

    def provider(self, *, wait: Callable[[float], None] = time.sleep) -> MistralProvider:
        """The adapter; `wait` is called with seconds before a further try."""
        api_key, key_variable = self.key()
        return MistralProvider(
            api_key=api_key,
            key_variable=key_variable,
            limits=self.limits(),
            budget=self.budget(),
            timeout_seconds=self.timeout_seconds,
            max_retries=self.max_retries,
            timeout_hours=self.timeout_hours,
            metadata=self.metadata,
            base_url=self.base_url,
            account=self.account,
            price_list=self.price_list,
            wait=wait,
        )
