"""A server of OpenAI's Batch API as a Dagster resource, by the profile of what it does otherwise.

The profiles, and the documents that they are from, are in `profiles`.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import dagster as dg
from pydantic import Field

from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.shard import Limits
from batch_assets.resources.address import host_of
from batch_assets.resources.compatible.profiles import profile_with
from batch_assets.resources.openai.options import CreateOptions
from batch_assets.resources.openai.profile import OPENAI, Profile
from batch_assets.resources.openai.provider import OpenAIProvider
from batch_assets.resources.provider_resource import ProviderResource


class CompatibleResource(ProviderResource):
    """A server of OpenAI's Batch API as a Dagster resource: Azure, Groq, Together, your own, …

    What it does otherwise than OpenAI is its profile, which is data.
    """

    key_variable: ClassVar[str] = OPENAI.key_variable
    counts: ClassVar[tuple[str, ...]] = (*ProviderResource.counts, "max_enqueued_inputs")

    profile: str = Field(
        default=OPENAI.name,
        description=(
            "Name of the server's limits and quirks: openai, azure, azure-2024-10-21, groq, "
            "together, deepinfra, doubleword, xerotier or novita. A server that has none goes by "
            "openai and `overrides`."
        ),
    )
    overrides: dict[str, Any] = Field(
        default={},
        description=(
            "What the server does otherwise than its profile says, by the names of the fields of "
            "`Profile` (`batch_assets/resources/openai/profile.py`): `{listing: any_order}`."
        ),
    )
    base_url: str | None = Field(
        default=None,
        description=(
            "Address of the API with its version; None is the profile's own. `{slug}` in it stands "
            "for `slug`, and without a path it gets the profile's."
        ),
    )
    slug: str | None = Field(
        default=None,
        description=(
            "Your part of the address, where it has one: the name of the Azure resource, the id of "
            "the Xerotier project."
        ),
    )
    max_requests_per_batch: int = Field(
        default=0, description="Requests in one batch file; 0 is what the profile says."
    )
    max_bytes_per_batch: int = Field(
        default=0, description="Bytes of one batch file; 0 is what the profile says."
    )
    max_enqueued_inputs: int | None = Field(
        default=None,
        description=(
            "Inputs of embedding requests of all open batches together; None is no limit."
        ),
    )
    completion_window: str = Field(
        default="24h",
        description=(
            "Time that the server has for a batch, in hours or days; one that the profile has not "
            "is refused here."
        ),
    )
    metadata: dict[str, str] = Field(
        default={},
        description=(
            "Pairs that every batch carries at the server, beside our key, as many and as long as "
            "the profile says. Anybody with access to the account reads them."
        ),
    )
    input_expires_after_seconds: int | None = Field(
        default=None,
        description=(
            "Seconds after which the server deletes an uploaded shard, where it can be told; None "
            "leaves it to the server."
        ),
    )
    output_expires_after_seconds: int | None = Field(
        default=None,
        description=(
            "Seconds after which the server deletes output and error files, where it can be told. "
            "They are collected as soon as a batch has ended, so give it longer than your sensor "
            "may ever be off."
        ),
    )

    def __init__(self, **values: Any) -> None:
        """What is left out of the limits is the profile's."""
        profile, overrides = values.get("profile", OPENAI.name), values.get("overrides", {})
        # What the environment gives is of a type of Dagster's, and is known the second time.
        if type(profile) is str and type(overrides) is dict:
            known = profile_with(profile, overrides)
            values["max_requests_per_batch"] = (
                values.get("max_requests_per_batch") or known.max_requests
            )
            values["max_bytes_per_batch"] = values.get("max_bytes_per_batch") or known.max_bytes
        super().__init__(**values)

    def check(self) -> None:
        super().check()
        self._options()
        host_of(self._address(), example=OPENAI.base_url)

    def create_resource(self, context: dg.InitResourceContext) -> OpenAIProvider:
        return self.provider()

    def provider(self, *, wait: Callable[[float], None] = time.sleep) -> OpenAIProvider:
        """The adapter; `wait` is called with seconds where it has to wait for the server."""
        api_key, key_variable = self.key()
        return OpenAIProvider(
            api_key=api_key,
            key_variable=key_variable,
            limits=self.limits(),
            budget=self.budget(),
            timeout_seconds=self.timeout_seconds,
            max_retries=self.max_retries,
            slug=self.slug,
            base_url=self._address(),
            account=self.account,
            price_list=self.price_list,
            options=self._options(),
            wait=wait,
        )

    def key(self) -> tuple[str, str]:
        key, variable = super().key()
        return key, self._known.key_variable if variable == self.key_variable else variable

    def limits(self) -> Limits:
        inputs = min(filter(None, (self._known.max_inputs, self.max_enqueued_inputs)), default=None)
        return replace(super().limits(), inputs=inputs)

    def budget(self) -> Budget:
        return replace(super().budget(), inputs=self.max_enqueued_inputs)

    @property
    def _known(self) -> Profile:
        return profile_with(self.profile, self.overrides)

    def _address(self) -> str:
        found = self._known.address(self.base_url, self.slug)
        if found is not None:
            return found
        if self._known.slug_is:
            raise DeclarationError(
                f"slug is not given, which is a part of the address of {self._known.name}: give "
                f"{self._known.slug_is}, or base_url"
            )
        raise DeclarationError(
            f"base_url is not given, and {self._known.name} has no address of its own: give it"
        )

    def _options(self) -> CreateOptions:
        return CreateOptions(
            completion_window=self.completion_window,
            metadata=self.metadata,
            input_expires_after_seconds=self.input_expires_after_seconds,
            output_expires_after_seconds=self.output_expires_after_seconds,
            profile=self._known,
        )
