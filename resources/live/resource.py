"""An endpoint that answers at once, as a Dagster resource."""

from typing import ClassVar, Literal
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.price import PriceList, Tier
from batch_assets.resources.address import host_of
from batch_assets.resources.live.caller import Caller
from batch_assets.resources.live.lane import LiveLane
from batch_assets.resources.live.pace import Pace
from batch_assets.resources.provider_resource import ProviderResource

#: Where each wire's own provider is. The price library calls it as the wire is called.
_OWN = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


class LiveResource(ProviderResource):
    """Requests sent one by one, with the ledger, outcomes and files of batches.

    For an endpoint without a batch API, or for answers that cannot wait for one. What is asked so
    costs the standard price.
    """

    key_variable: ClassVar[str] = "OPENAI_API_KEY"
    counts: ClassVar[tuple[str, ...]] = (
        *ProviderResource.counts,
        "concurrency",
        "requests_per_minute",
        "tokens_per_minute",
    )

    wire: Literal["openai", "anthropic"] = Field(
        default="openai",
        description="Whose API the endpoint speaks: openai, as most servers do, or anthropic.",
    )
    base_url: str | None = Field(
        default=None,
        description=(
            "Address of the API, with its version where it speaks OpenAI's; None is the wire's own "
            "provider."
        ),
    )
    organization: str | None = Field(
        default=None, description="OpenAI: id of the organization that pays; None is the key's own."
    )
    project: str | None = Field(
        default=None, description="OpenAI: id of the project that pays; None is the key's own."
    )
    betas: list[str] = Field(default=[], description="Anthropic: beta features, for every request.")
    concurrency: int = Field(
        default=16,
        description=(
            "Requests on their way at once, in each run. So many, at most, are asked again after "
            "a run was killed. Where the server says that it is full, fewer are sent."
        ),
    )
    requests_per_minute: int | None = Field(
        default=None,
        description="Requests that a run sends in a minute, spread over it; None is no limit.",
    )
    tokens_per_minute: int | None = Field(
        default=None,
        description=(
            "Tokens, of prompts and answers, that a run uses in a minute; None is no limit. A "
            "prompt is estimated until the server has counted it."
        ),
    )
    timeout_seconds: float = Field(
        default=120.0,
        description="Seconds of silence after which a request counts as failed and is sent again.",
    )
    max_retries: int = Field(
        default=5,
        description=(
            "Further tries of a request that failed; then its item is errored, and asked again in "
            "the next wave. Waits that the server asks for are kept, and use up none."
        ),
    )
    max_requests_per_batch: int = Field(
        default=10_000, description="Requests that one run carries out after the other."
    )
    max_bytes_per_batch: int = Field(default=200_000_000, description="Bytes of them.")

    def check(self) -> None:
        super().check()
        host_of(self._address(), example=_OWN["openai"])
        if self.wire != "openai" and (self.organization or self.project):
            raise DeclarationError("organization and project are OpenAI's: leave them out")
        if self.wire != "anthropic" and self.betas:
            raise DeclarationError("betas are Anthropic's: leave them out")

    def create_resource(self, context: dg.InitResourceContext) -> LiveLane:
        api_key, key_variable = self.key()
        host = host_of(self._address(), example=_OWN["openai"])
        return LiveLane(
            account=self.account or self._account(host),
            limits=self.limits(),
            budget=self.budget(),
            caller=lambda: self._caller(api_key.strip(), key_variable),
            pace=self._pace,
            concurrency=self.concurrency,
            max_retries=self.max_retries,
            price_list=self._prices(host),
            has_key=bool(api_key.strip()),
            key_variable=key_variable,
            sdk=self.wire,
        )

    def _address(self) -> str:
        return self.base_url or _OWN[self.wire]

    def _is_own(self, host: str) -> bool:
        return host == urlsplit(_OWN[self.wire]).hostname

    def _account(self, host: str) -> str:
        own_host = None if self._is_own(host) else host
        name = f"{self.wire}-live"
        return "/".join(filter(None, (name, own_host, self.organization, self.project)))

    def _prices(self, host: str) -> PriceList | None:
        if self._is_own(host):
            return PriceList(provider=self.price_list or self.wire, tier=Tier.STANDARD)
        if self.price_list is None:
            return None
        note = f"{host}, which answers, may charge something else or nothing"
        return PriceList(provider=self.price_list, tier=Tier.STANDARD, note=note)

    def _caller(self, api_key: str, key_variable: str) -> Caller:
        account = {"api_key": api_key, "key_variable": key_variable, "base_url": self._address()}
        if self.wire == "anthropic":
            from batch_assets.resources.live.anthropic_caller import anthropic_caller

            return anthropic_caller(
                **account, betas=self.betas, timeout_seconds=self.timeout_seconds
            )
        from batch_assets.resources.live.openai_caller import openai_caller

        return openai_caller(
            **account,
            organization=self.organization,
            project=self.project,
            timeout_seconds=self.timeout_seconds,
        )

    def _pace(self) -> Pace:
        return Pace(
            concurrency=self.concurrency,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
        )
