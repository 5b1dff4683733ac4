"""The YAML face of an inference."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field

from batch_assets.corpus import FileCorpus
from batch_assets.domain.wave import MAY_ASK_AGAIN, TRANSIENT, RetryPolicy
from batch_assets.inference import Inference, batch_inference
from batch_assets.prompt import Prompt


class CorpusModel(dg.Model):
    """Where the items come from."""

    path: str = Field(description="Folder, glob or file; a relative one starts at the project.")
    item_id: str = Field(description="Column of the item's key, unique within a partition.")


class PromptModel(dg.Model):
    """What is asked about each item."""

    user: str = Field(description="Jinja2 template over the corpus's columns.")
    system: str | None = Field(default=None, description="Jinja2 template, often without fields.")


class RetriesModel(dg.Model):
    """Which items are asked again in a further wave, how often, and how soon."""

    # Of the class and not of the fields: Dagster resolves no field with constraints of its own.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    max_waves: int = Field(
        default=3,
        description="How often an item is asked at most, the first time included. Times that "
        "failed for the account's sake, or were cancelled, do not count.",
    )
    ask_again: list[str] = Field(
        default_factory=lambda: [str(name) for name in sorted(TRANSIENT)],
        description=f"Failures that are asked again. Left out: {', '.join(sorted(TRANSIENT))}. "
        f"It may name {', '.join(sorted(MAY_ASK_AGAIN - TRANSIENT))} too.",
    )
    first_wait_seconds: float = Field(
        default=60.0,
        description="Seconds before the first further wave; doubled before each one after it.",
    )
    longest_wait_seconds: float = Field(
        default=3600.0, description="The longest wait between two waves."
    )

    def policy(self) -> RetryPolicy:
        """The same as the inference takes it."""
        return RetryPolicy(
            max_waves=self.max_waves,
            ask_again=frozenset(self.ask_again),
            first_wait=timedelta(seconds=self.first_wait_seconds),
            longest_wait=timedelta(seconds=self.longest_wait_seconds),
        )


class ScaffoldParams(BaseModel):
    """What `dg scaffold defs` asks for: the declaration's fields that have no default."""

    corpus_path: str = Field(description="Folder, glob or file of Parquet; below the project.")
    item_id: str = Field(description="Column of the item's key.")
    prompt: str = Field(description="Jinja2 template over the corpus's columns.")
    model_name: str = Field(description="The provider's name of the model.")
    output: str = Field(description="Import path of a Pydantic model, package.module:Class.")


class BatchInferenceScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a component file that loads as it is; the inference has the folder's name."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write the file."""
        given = request.params
        dg.scaffold_component(
            request,
            {
                "name": request.target_path.name,
                "corpus": {"path": given.corpus_path, "item_id": given.item_id},
                "prompt": {"user": given.prompt},
                "model_name": given.model_name,
                "output": given.output,
            },
        )


@dg.scaffold_with(BatchInferenceScaffolder)
class BatchInferenceComponent(dg.Component, dg.Model, dg.Resolvable):
    """A corpus, a prompt, a model and an output type, carried through a provider's batch API."""

    name: str = Field(description="Name of the inference and of its group of assets.")
    corpus: CorpusModel = Field(description="Where the items come from.")
    prompt: PromptModel = Field(description="What is asked about each item.")
    model_name: str = Field(description="The provider's name of the model.")
    output: str = Field(description="Import path of a Pydantic model, package.module:Class.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Model settings, as the provider names them."
    )
    retries: RetriesModel = Field(
        default_factory=RetriesModel, description="Which items are asked again, and how soon."
    )
    provider: str = Field(default="openai", description="Resource key of the provider.")
    min_coverage: float = Field(
        default=0.95, description="Coverage below which the coverage check warns, 0 to 1."
    )
    owners: list[str] = Field(default_factory=list, description="Owners of the assets.")
    description: str | None = Field(default=None, description="What the inference is for.")

    def inference(self, project_root: Path) -> Inference:
        """The declaration; relative paths start at the project's root."""
        path = self.corpus.path
        if "://" not in path:
            path = str(project_root / path)
        return Inference(
            name=self.name,
            corpus=FileCorpus(path=path, item_id=self.corpus.item_id),
            prompt=Prompt(user=self.prompt.user, system=self.prompt.system),
            model=self.model_name,
            output=self.output,
            settings=self.settings,
            retries=self.retries.policy(),
            provider=self.provider,
            min_coverage=self.min_coverage,
            owners=tuple(self.owners),
            description=self.description,
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The same graph as `batch_inference` gives."""
        return batch_inference(self.inference(context.project_root))
