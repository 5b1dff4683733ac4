"""The component: one inference, declared in YAML."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args

import dagster as dg
from pydantic import BaseModel, Field, create_model

from batch_assets.component.corpora import CorpusModel
from batch_assets.component.prompts import PromptModel
from batch_assets.component.retries import RetriesModel
from batch_assets.component.scaffolder import BatchInferenceScaffolder
from batch_assets.inference import Inference, batch_inference
from batch_assets.prompt import output_of


def _rendered(context: dg.ResolutionContext, given: Any) -> Any:
    """What is given, with those texts resolved that are templates of Dagster's.

    Dagster itself would read every text as a value of Python's: a version `"1.0"` as a number.
    """
    match given:
        case str():
            return context.resolve_value(given) if "{{" in given else given
        case Mapping():
            return {name: _rendered(context.at_path(name), each) for name, each in given.items()}
        case list() | tuple():
            return [_rendered(context.at_path(place), each) for place, each in enumerate(given)]
        case _:
            return given


def _output(context: dg.ResolutionContext, given: Any) -> Any:
    """The output; a mapping is checked here, so that an error names the line, and left as it is."""
    if isinstance(given, Mapping):
        output_of(given)
        return given
    return _rendered(context, given)


_Settings = Annotated[
    dict[str, Any],
    dg.Resolver(_rendered, model_field_type=dict[str, Any], inject_before_resolve=False),
]
_Output = Annotated[
    str | dict[str, Any] | None,
    dg.Resolver(_output, model_field_type=dict[str, Any] | None, inject_before_resolve=False),
]


@dg.scaffold_with(BatchInferenceScaffolder)
class BatchInferenceComponent(dg.Component, dg.Model, dg.Resolvable):
    """A corpus, a prompt, a model and an output type, carried through a provider's batch API."""

    name: str = Field(description="Name of the inference and of its group of assets.")
    corpus: CorpusModel = Field(
        description="Where the items come from: files (path), a query (sql), an upstream asset "
        "(asset), several sources (composite), ready-made requests (request_files), or a corpus "
        "of your own (own)."
    )
    prompt: PromptModel | None = Field(
        default=None,
        description="What is asked about each item; left out only with request_files.",
    )
    model_name: str | None = Field(
        default=None,
        description="The provider's name of the model; left out only with request_files.",
    )
    endpoint: str = Field(
        default="chat",
        description="chat, responses, embeddings, moderations, completions or images; or its URL.",
    )
    output: _Output = Field(
        default=None,
        description="What an answer must be: the import path of a Pydantic model, "
        "package.module:Class; a JSON schema, inline or as a .json file in the component's folder "
        "or the project; labels with a list, and several; text or json_object. Left out, it is "
        "free text.",
    )
    settings: _Settings = Field(
        default_factory=dict, description="Model settings, as the provider names them."
    )
    retries: RetriesModel = Field(
        default_factory=RetriesModel, description="Which items are asked again, and how soon."
    )
    rows_per_request: int = Field(
        default=1,
        description="Items that share a request, at most; what a pack leaves out is asked in "
        "packs of half the size, then half again, down to one.",
    )
    reuse: bool = Field(
        default=True,
        description="Whether valid answers that earlier request sets have to the same requests "
        "are carried over.",
    )
    discovers: bool = Field(
        default=False,
        description="Whether the discovery sensor, which a corpus of discovered files has, is on "
        "when the code location is first loaded.",
    )
    provider: str = Field(default="openai", description="Resource key of the provider.")
    min_coverage: float = Field(
        default=0.95, description="Coverage below which the coverage check warns, 0 to 1."
    )
    owners: list[str] = Field(default_factory=list, description="Owners of the assets.")
    description: str | None = Field(default=None, description="What the inference is for.")

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What YAML is checked against."""
        return _with_mappings(cls, super().model())

    def inference(self, project_root: Path, folder: Path | None = None) -> Inference:
        """The declaration; relative paths start at the project's root.

        A schema's file may also lie in `folder`, the component's own.
        """
        output = self.output
        if isinstance(output, str) and output.endswith(".json"):
            places = [each / output for each in (folder, project_root) if each is not None]
            output = str(next((path for path in places if path.is_file()), places[-1]))
        return Inference(
            name=self.name,
            corpus=self.corpus.corpus(project_root),
            prompt=None if self.prompt is None else self.prompt.prompt(project_root),
            model=self.model_name,
            endpoint=self.endpoint,
            output=output,
            settings=self.settings,
            retries=self.retries.policy(),
            rows_per_request=self.rows_per_request,
            reuse=self.reuse,
            discovers=self.discovers,
            provider=self.provider,
            min_coverage=self.min_coverage,
            owners=tuple(self.owners),
            description=self.description,
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The same graph as `batch_inference` gives."""
        return batch_inference(self.inference(context.project_root, context.path))


@cache
def _with_mappings(component: type[BaseModel], derived: type[BaseModel]) -> type[BaseModel]:
    """Dagster's model of the attributes, without a text in the place of a mapping.

    With the choice of a text every error in a mapping would be told of two types, and of no line.
    """
    mappings: dict[str, Any] = {
        name: (field.annotation, derived.model_fields[name])
        for name, field in component.model_fields.items()
        if _is_mapping(field.annotation)
    }
    return create_model(derived.__name__, __base__=derived, **mappings)


def _is_mapping(annotation: Any) -> bool:
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return any(isinstance(kind, type) and issubclass(kind, dg.Model) for kind in kinds)
