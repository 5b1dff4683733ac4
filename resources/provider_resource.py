"""What every provider's resource has: the key, the account, and what may be queued at once."""

import os
from abc import abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, ClassVar

import dagster as dg
from pydantic import Field

from batch_assets.domain.budget import Budget, target
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.provider import Provider
from batch_assets.domain.shard import Limits

#: What stands before the name of a variable in place of a key.
VARIABLE = "env:"

#: What a setting is once it is known; one from the environment is of a type of Dagster's until
#: then.
_PLAIN = (int, float, str, bool, dict, list, tuple, type(None))


class ProviderResource(dg.ConfigurableResource[Provider]):
    """An account at a provider of batches; assets receive the provider itself.

    Ask for it in an asset with `llm: dg.ResourceParam[Provider]`.

    A value that cannot be is a DeclarationError where the resource is declared; one that comes from
    the environment, where a run or a tick resolves it.
    """

    #: Where the key is, by the custom of the provider's SDK.
    key_variable: ClassVar[str]

    #: Whether it answers nobody without one.
    needs_key: ClassVar[bool] = True

    #: Settings that would let nothing through below 1.
    counts: ClassVar[tuple[str, ...]] = (
        "max_requests_per_batch",
        "max_bytes_per_batch",
        "max_batch_enqueued_tokens",
        "token_limit",
        "max_enqueued_requests",
        "max_open_batches",
    )

    api_key: str = Field(
        repr=False,
        description='The secret key; name its variable: `dg.EnvVar("OPENAI_API_KEY")`.',
    )
    account: str | None = Field(
        default=None,
        description=(
            "Name, in the ledger, of the account whose quota the batches share. None makes one of "
            "the provider's name and what else tells accounts apart. Keep it while batches are "
            "open."
        ),
    )
    price_list: str | None = Field(
        default=None,
        description=(
            "Whose published prices the answers cost, by the name that genai-prices has: openai, "
            "anthropic, groq, mistral, … None is the provider's own at its own address, and "
            "nobody's at another: then a cost is known only where the inference declares prices."
        ),
    )
    timeout_seconds: float = Field(
        default=120.0, description="Seconds of silence after which a call counts as lost."
    )
    max_retries: int = Field(
        default=2,
        description=(
            "Further tries of a read or an upload, each after the wait that the provider asks for, "
            "two minutes at most. The creation of a batch has none, nor has a call of the sensor."
        ),
    )
    max_requests_per_batch: int = Field(description="Requests in one batch.")
    max_bytes_per_batch: int = Field(description="Bytes of one batch.")
    max_batch_enqueued_tokens: int | None = Field(
        default=None,
        description=(
            "Estimated prompt tokens in one batch; None is no limit but what token_limit leaves."
        ),
    )
    token_limit: int | None = Field(
        default=None,
        description=(
            "Prompt tokens that the provider lets the account have queued. It shows yours on its "
            "limits page only; None is no limit. What is used of it, estimated, over all open "
            "batches: min(token_limit x target_ratio, token_limit - headroom)."
        ),
    )
    target_ratio: float = Field(
        default=1.0, description="Share of token_limit to use, above 0 and 1 at most."
    )
    headroom: int = Field(
        default=0,
        description="Tokens of token_limit to leave to others who use the account, 0 or more.",
    )
    max_enqueued_requests: int | None = Field(
        default=None, description="Requests of all open batches together; None is no limit."
    )
    max_open_batches: int | None = Field(
        default=None, description="Batches open at once; None is no limit."
    )

    def __init__(self, **values: Any) -> None:
        """Dagster makes the resource anew once it has resolved what the environment gives.

        The key's variable is read by the process that calls the provider: Dagster would fail every
        run and tick where it is not set, those too that call nobody.
        """
        if isinstance(key := values.get("api_key"), dg.EnvVar):
            values["api_key"] = f"{VARIABLE}{key.env_var_name}"
        super().__init__(**values)
        if all(type(getattr(self, name)) in _PLAIN for name in type(self).model_fields):
            self.check()

    def check(self) -> None:
        """Raise DeclarationError for settings that cannot be; all of them are known."""
        for name in self.counts:
            count = getattr(self, name)
            if count is not None and count < 1:
                raise DeclarationError(
                    f"{name} is {count}, which would let nothing through: give it 1 or more, or "
                    "leave it out"
                )
        if self.timeout_seconds <= 0:
            raise DeclarationError(
                f"timeout_seconds is {self.timeout_seconds}; give every call some seconds"
            )
        if self.max_retries < 0:
            raise DeclarationError(
                f"max_retries is {self.max_retries}; give it 0 for no further try, or more"
            )
        self.limits()

    @contextmanager
    def yield_for_execution(
        self, context: dg.InitResourceContext
    ) -> Generator[Provider, None, None]:
        """Every run and every tick has a client of its own, and gives its connections back."""
        provider = self.create_resource(context)
        try:
            yield provider
        finally:
            provider.close()

    @abstractmethod
    def create_resource(self, context: dg.InitResourceContext) -> Provider:
        """The provider; nothing is imported or called before it is asked for something."""

    def key(self) -> tuple[str, str]:
        """The key, empty where it is not set, and the name of the variable it is from."""
        variable = self.api_key.removeprefix(VARIABLE)
        if variable != self.api_key:
            return os.environ.get(variable, ""), variable
        return self.api_key, self.key_variable

    def limits(self) -> Limits:
        """What one batch may hold; a shard that the queue could never take would wait for ever."""
        queue = self.budget()
        return Limits(
            requests=min(filter(None, (self.max_requests_per_batch, queue.requests))),
            bytes=self.max_bytes_per_batch,
            tokens=min(filter(None, (self.max_batch_enqueued_tokens, queue.tokens)), default=None),
        )

    def budget(self) -> Budget:
        """What the account may have queued at once."""
        return Budget(
            requests=self.max_enqueued_requests,
            tokens=self._usable_tokens(),
            batches=self.max_open_batches,
        )

    def _usable_tokens(self) -> int | None:
        limit, ratio, headroom = self.token_limit, self.target_ratio, self.headroom
        if limit is None:
            if (ratio, headroom) != (1.0, 0):
                raise DeclarationError(
                    "target_ratio and headroom are parts of token_limit, which is not set: set it "
                    "to what the provider's limits page shows, or leave them out"
                )
            return None
        try:
            return target(limit, ratio=ratio, headroom=headroom)
        except ValueError as error:
            raise DeclarationError(f"token_limit: {error}") from error
