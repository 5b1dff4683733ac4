"""Anthropic's Message Batches as a Dagster resource."""

import re
from dataclasses import replace
from typing import ClassVar

import dagster as dg
from pydantic import Field

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.shard import Limits
from batch_assets.resources.anthropic.provider import (
    ANTHROPIC_URL,
    API_KEY,
    AnthropicProvider,
)
from batch_assets.resources.anthropic.request_body import AROUND, MARK_BYTES
from batch_assets.resources.provider_resource import ProviderResource

#: The form of a beta's name, which is a part of a header.
_BETA = re.compile(r"[A-Za-z0-9._-]+")

#: No line of a batch file is shorter: it has a custom_id, a model and a message.
_SHORTEST_LINE = 100


class AnthropicResource(ProviderResource):
    """Anthropic's Message Batches as a Dagster resource.

    Fields are named as in dagster-anthropic and the SDK where they have them.
    """

    key_variable: ClassVar[str] = API_KEY

    base_url: str | None = Field(
        default=None,
        description=f"Address of the API without its version; None is {ANTHROPIC_URL}.",
    )
    workspace_id: str | None = Field(
        default=None,
        description="Id of the workspace that pays, for a key of several; None is the key's own.",
    )
    betas: list[str] = Field(
        default=[],
        description=(
            "Beta features, for all requests of a batch: Anthropic takes none for one request."
        ),
    )
    max_requests_per_batch: int = Field(
        default=100_000,
        description='Requests in one batch (guide "Batch processing", "Batch limitations").',
    )
    max_bytes_per_batch: int = Field(
        default=256_000_000,
        description=(
            'Bytes of one batch: 256 MB (guide "Batch processing"), read as millions, the smaller '
            "reading. A little of it is for what stands around the requests."
        ),
    )

    def check(self) -> None:
        super().check()
        for beta in self.betas:
            if not _BETA.fullmatch(beta):
                raise DeclarationError(
                    f"betas has {beta!r}, which is no name of a beta: write each one by itself, as "
                    "Anthropic's pages have it"
                )

    def create_resource(self, context: dg.InitResourceContext) -> AnthropicProvider:
        api_key, key_variable = self.key()
        return AnthropicProvider(
            api_key=api_key,
            key_variable=key_variable,
            limits=self.limits(),
            budget=self.budget(),
            timeout_seconds=self.timeout_seconds,
            max_retries=self.max_retries,
            workspace_id=self.workspace_id,
            base_url=self.base_url,
            betas=self.betas,
            account=self.account,
            price_list=self.price_list,
        )

    def limits(self) -> Limits:
        """A shard is smaller than the call it is sent in, where each request has its mark."""
        limits = super().limits()
        most = min(limits.requests, limits.bytes // _SHORTEST_LINE)
        return replace(limits, bytes=max(1, limits.bytes - AROUND - MARK_BYTES * most))
