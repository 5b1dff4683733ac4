"""Gemini's batches as a Dagster resource.

Source of the API's limits: guide "Batch API" and page "Rate limits" of ai.google.dev; of Vertex
AI's, the page "Batch inference" of cloud.google.com.
"""

from dataclasses import replace
from typing import ClassVar

import dagster as dg
from pydantic import Field

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.shard import Limits
from batch_assets.resources.gemini.place import Place
from batch_assets.resources.gemini.provider import API_KEY, GEMINI_URL, GeminiProvider
from batch_assets.resources.provider_resource import VARIABLE, ProviderResource

#: Bytes of a batch's requests at Vertex AI: 1 GB, read as millions, the smaller reading.
VERTEX_BYTES = 1_000_000_000


class GeminiResource(ProviderResource):
    """Gemini's Developer API as a Dagster resource; with `vertexai`, a project at Vertex AI."""

    key_variable: ClassVar[str] = API_KEY

    api_key: str = Field(
        default=f"{VARIABLE}{API_KEY}",
        repr=False,
        description=(
            f'The secret key; name its variable: `dg.EnvVar("{API_KEY}")`, which is also what is '
            "meant where none is named. Vertex AI takes Google's default credentials in its place."
        ),
    )
    base_url: str | None = Field(
        default=None,
        description=(
            f"Address of the API without its version; None is {GEMINI_URL}, or Vertex AI's own."
        ),
    )
    vertexai: bool = Field(
        default=False,
        description="Whether the batches run at Vertex AI, over files of a bucket.",
    )
    project: str | None = Field(default=None, description="Id of the project at Vertex AI.")
    location: str | None = Field(
        default=None, description="Location at Vertex AI, such as us-central1 or global."
    )
    bucket: str | None = Field(
        default=None,
        description=(
            "Folder for the requests and the answers at Vertex AI, gs://my-bucket/batches. What is "
            "in it stays until you delete it, or the inference by `keeps_remote: false`."
        ),
    )
    max_requests_per_batch: int = Field(
        default=200_000,
        description=(
            "Requests in one batch: what Vertex AI takes. The Developer API names no number, and "
            "its 48 hours count for all of them."
        ),
    )
    max_bytes_per_batch: int = Field(
        default=2_000_000_000,
        description=(
            "Bytes of one batch file: 2 GB, read as millions, the smaller reading; 1 GB at Vertex "
            "AI, which is never exceeded there."
        ),
    )
    max_open_batches: int | None = Field(
        default=100,
        description=(
            "Batches open at once: 100, which is what the Developer API lets a project have. None "
            "is no limit."
        ),
    )

    def check(self) -> None:
        super().check()
        self._place()

    def create_resource(self, context: dg.InitResourceContext) -> GeminiProvider:
        api_key, key_variable = self.key()
        return GeminiProvider(
            api_key=api_key,
            key_variable=key_variable,
            limits=self.limits(),
            budget=self.budget(),
            timeout_seconds=self.timeout_seconds,
            max_retries=self.max_retries,
            place=self._place(),
            base_url=self.base_url,
            account=self.account,
            price_list=self.price_list,
        )

    def limits(self) -> Limits:
        limits = super().limits()
        if not self.vertexai:
            return limits
        # A label is put into each request, which makes it longer.
        most = min(self.max_bytes_per_batch, VERTEX_BYTES)
        return replace(limits, bytes=most * 9 // 10)

    def _place(self) -> Place | None:
        given = {"project": self.project, "location": self.location, "bucket": self.bucket}
        missing = [name for name, value in given.items() if not value]
        if not self.vertexai:
            if len(missing) < len(given):
                named = next(name for name, value in given.items() if value)
                raise DeclarationError(
                    f"{named} is said of Vertex AI: set vertexai, or leave it out"
                )
            return None
        if self.project is None or self.location is None or self.bucket is None or missing:
            raise DeclarationError(
                f"vertexai lacks {', '.join(missing)}: name the project, its location, and a "
                "folder of a bucket as gs://my-bucket/batches"
            )
        folder = self.bucket.rstrip("/")
        return Place(project=self.project, location=self.location, folder=folder)
