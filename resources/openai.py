"""OpenAI's Batch API as a Dagster resource.

Source of the API's limits, unless a line says otherwise: the types of openai-python 3.54.
"""

import os
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any

import dagster as dg
from pydantic import Field

from batch_assets.domain.budget import Budget, target
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.shard import Limits
from batch_assets.resources.openai_options import CreateOptions
from batch_assets.resources.openai_provider import API_KEY, OPENAI_URL, OpenAIProvider

#: Embedding inputs of one batch, each element of a list for itself (the SDK's description of
#: `batches.create`).
MOST_INPUTS = 50_000

#: What stands before the name of a variable in place of a key.
VARIABLE = "env:"

#: Settings that would let nothing through below 1.
COUNTS = (
    "max_requests_per_batch",
    "max_bytes_per_batch",
    "max_batch_enqueued_tokens",
    "token_limit",
    "max_enqueued_requests",
    "max_enqueued_inputs",
    "max_open_batches",
)
CHECKED = (
    *COUNTS,
    "timeout_seconds",
    "max_retries",
    "target_ratio",
    "headroom",
    "completion_window",
    "metadata",
    "input_expires_after_seconds",
    "output_expires_after_seconds",
)
#: What a setting is once it is known; one from the environment is of a type of Dagster's until
#: then.
PLAIN = (int, float, str, dict, type(None))


class OpenAIResource(dg.ConfigurableResource[OpenAIProvider]):
    """OpenAI's Batch API as a Dagster resource; assets receive the provider itself.

    Fields are named as in dagster-openai where that has them. Ask for it in an asset with
    `llm: dg.ResourceParam[Provider]`.

    A value that cannot be is a DeclarationError where the resource is declared; one that comes from
    the environment, where a run or a tick resolves it.
    """

    api_key: str = Field(
        repr=False,
        description='The secret key; name its variable: `dg.EnvVar("OPENAI_API_KEY")`.',
    )
    organization: str | None = Field(
        default=None, description="Id of the organization that pays; None is the key's own."
    )
    project: str | None = Field(
        default=None, description="Id of the project that pays; None is the key's own."
    )
    base_url: str | None = Field(
        default=None,
        description=f"Address of the API with its version; None is {OPENAI_URL}.",
    )
    account: str | None = Field(
        default=None,
        description=(
            "Name, in the ledger, of the account whose quota the batches share. None makes one of "
            "openai, another host, organization and project. Keep it while batches are open."
        ),
    )
    price_list: str | None = Field(
        default=None,
        description=(
            "Whose published prices the answers cost, by the name that genai-prices has: openai, "
            "groq, mistral, … None is openai at OpenAI's own address, and nobody's at another: "
            "then a cost is known only where the inference declares prices."
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
    max_enqueued_inputs: int | None = Field(
        default=None,
        description=(
            "Inputs of embedding requests of all open batches together; None is no limit. OpenAI "
            "takes 1,000,000 of an organization (help.openai.com, article 9197833)."
        ),
    )
    max_open_batches: int | None = Field(
        default=None, description="Batches open at once; None is no limit."
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

    def __init__(self, **values: Any) -> None:
        """Dagster makes the resource anew once it has resolved what the environment gives.

        The key's variable is read by the process that calls the provider: Dagster would fail every
        run and tick where it is not set, those too that call nobody.
        """
        if isinstance(key := values.get("api_key"), dg.EnvVar):
            values["api_key"] = f"{VARIABLE}{key.env_var_name}"
        super().__init__(**values)
        if all(type(getattr(self, name)) in PLAIN for name in CHECKED):
            self._check_numbers()
            self._options()
            self._limits()

    @contextmanager
    def yield_for_execution(
        self, context: dg.InitResourceContext
    ) -> Generator[OpenAIProvider, None, None]:
        """Every run and every tick has a client of its own, and gives its connections back."""
        with closing(self.create_resource(context)) as provider:
            yield provider

    def create_resource(self, context: dg.InitResourceContext) -> OpenAIProvider:
        variable = self.api_key.removeprefix(VARIABLE)
        is_named = variable != self.api_key
        return OpenAIProvider(
            api_key=os.environ.get(variable, "") if is_named else self.api_key,
            key_variable=variable if is_named else API_KEY,
            limits=self._limits(),
            budget=self._budget(),
            timeout_seconds=self.timeout_seconds,
            max_retries=self.max_retries,
            organization=self.organization,
            project=self.project,
            base_url=self.base_url,
            account=self.account,
            price_list=self.price_list,
            options=self._options(),
        )

    def _limits(self) -> Limits:
        """A shard that the queue could never take would wait for ever."""
        queue = self._budget()
        return Limits(
            requests=min(filter(None, (self.max_requests_per_batch, queue.requests))),
            bytes=self.max_bytes_per_batch,
            tokens=min(filter(None, (self.max_batch_enqueued_tokens, queue.tokens)), default=None),
            inputs=min(filter(None, (MOST_INPUTS, queue.inputs))),
        )

    def _budget(self) -> Budget:
        return Budget(
            requests=self.max_enqueued_requests,
            tokens=self._usable_tokens(),
            inputs=self.max_enqueued_inputs,
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

    def _options(self) -> CreateOptions:
        return CreateOptions(
            completion_window=self.completion_window,
            metadata=self.metadata,
            input_expires_after_seconds=self.input_expires_after_seconds,
            output_expires_after_seconds=self.output_expires_after_seconds,
        )

    def _check_numbers(self) -> None:
        for name in COUNTS:
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
