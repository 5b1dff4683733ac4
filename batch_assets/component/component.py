"""The component: one inference, declared in YAML."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Self, get_args

import dagster as dg
from pydantic import BaseModel, Field, PrivateAttr, ValidationError, create_model
from pydantic.fields import FieldInfo

from batch_assets.component.checks import ChecksModel
from batch_assets.component.choice import schema_file
from batch_assets.component.corpora import CorpusModel
from batch_assets.component.partitions_per_run import PartitionsPerRunModel
from batch_assets.component.prices import PricesModel
from batch_assets.component.prompts import PromptModel
from batch_assets.component.retries import RetriesModel
from batch_assets.component.scaffolder import BatchInferenceScaffolder
from batch_assets.component.stragglers import StragglersModel
from batch_assets.component.translation import Translation, TranslationModel, asset_of
from batch_assets.domain.errors import CorpusError, DeclarationError
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

    name: str = Field(
        description="Name of the inference and of its group of assets: letters, digits and "
        "underscores.",
        examples=["tickets"],
    )
    corpus: CorpusModel = Field(
        description="Where the items come from: files (path), a query (sql), an upstream asset "
        "(asset), several sources (composite), ready-made requests (request_files), or a corpus "
        "of your own (own).",
        examples=[{"path": "data/tickets", "item_id": "id"}],
    )
    prompt: PromptModel | None = Field(
        default=None,
        description="What is asked about each item; left out only with request_files.",
        examples=[{"system": "You sort tickets.", "user": "Which team answers this? {{ text }}"}],
    )
    model_name: str | None = Field(
        default=None,
        description="The provider's name of the model; left out only with request_files.",
        examples=["gpt-5-mini"],
    )
    endpoint: str | None = Field(
        default=None,
        description="chat, responses, embeddings, moderations, completions or images, or its URL; "
        "or an endpoint of the provider's own. Left out, what the provider of that name answers: "
        "messages for anthropic, generate_content for gemini, and chat for others.",
        examples=["responses"],
    )
    output: _Output = Field(
        default=None,
        description="What an answer must be: the import path of a Pydantic model, "
        "package.module:Class; a JSON schema, inline or as a .json file in the component's folder "
        "or the project; labels with a list, and several; text or json_object. Left out, it is "
        "free text.",
        examples=["my_project.answers:Answer", {"labels": ["billing", "shipping"]}],
    )
    settings: _Settings = Field(
        default_factory=dict,
        description="Model settings, as the provider names them.",
        examples=[{"max_completion_tokens": 1000, "seed": 7}],
    )
    retries: RetriesModel = Field(
        default_factory=RetriesModel,
        description="Which items are asked again, and how soon.",
        examples=[{"max_waves": 5, "ask_again": ["expired", "truncated"]}],
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
    keeps_remote: bool = Field(
        default=True,
        description="Whether request and answer files stay at the provider once they are "
        "collected, as long as it keeps them; false deletes them there.",
    )
    approval: Literal["required"] | None = Field(
        default=None,
        description="required: a person approves each partition's request set before anything of "
        "it is sent, with the job approve_batches.",
    )
    canary: int | None = Field(
        default=None,
        description="Requests of a partition that are asked and checked before the rest, such as "
        "200; the rest is sent once they pass the checks, or a person approves it.",
    )
    discovers: bool = Field(
        default=False,
        description="Whether the discovery sensor, which a corpus of discovered files has, is on "
        "when the code location is first loaded.",
    )
    automation: str | None = Field(
        default=None,
        description="When it is submitted without a click: eager, for partitions that are new and "
        "those whose upstream asset has new data; or a cron schedule. Left out, never.",
        examples=["eager", "0 6 * * *"],
    )
    fresh_within_hours: float | None = Field(
        default=None,
        description="Hours after which results are too old where nothing of them was made, as "
        "Dagster's freshness policy.",
        examples=[48],
    )
    prices: PricesModel | None = Field(
        default=None,
        description="What the model's batches cost; left out, what the provider publishes.",
        examples=[{"input": 0.2, "output": 0.8, "cached_input": 0.1}],
    )
    provider: str = Field(default="openai", description="Resource key of the provider.")
    stragglers: StragglersModel | None = Field(
        default=None,
        description="When what the provider has not answered is asked live, at the standard price, "
        "so that a deadline holds. It spends more money of itself; left out, it never does.",
        examples=[{"provider": "openai_live", "after_hours": 20}],
    )
    checks: ChecksModel = Field(
        default_factory=ChecksModel,
        description="What is demanded of the answers of each partition: per check its threshold, "
        "off, or a mapping; a check with blocking: true stands before the bundle.",
        examples=[{"coverage": 0.98, "refused_share": {"at_most": 0.01, "blocking": True}}],
    )
    partitions_per_run: PartitionsPerRunModel = Field(
        default_factory=PartitionsPerRunModel,
        description="Partitions that a run of a backfill takes at once, when it submits and when "
        "it collects; the two must differ.",
        examples=[{"submit": 1000, "collect": 500}],
    )
    owners: list[str] = Field(
        default_factory=list,
        description="Owners of the assets: e-mail addresses, and teams as team:NAME.",
        examples=[["team:support", "ada@example.com"]],
    )
    description: str | None = Field(default=None, description="What the inference is for.")
    translation: Translation = Field(
        default=None,
        description="Other keys, groups, owners, tags, kinds, descriptions, metadata, automation "
        "conditions or freshness policies of the assets. Its templates know spec, the asset's "
        "AssetSpec, and asset: requests, batches, raw_outputs, results or bundle.",
        examples=[
            {
                "key": "warehouse/{{ spec.key.to_user_string() }}",
                "group_name": "support",
                "owners": "{{ ['team:support'] if asset == 'results' else spec.owners }}",
            }
        ],
    )

    #: Where the component was read from.
    _source: dg.ResolutionContext | None = PrivateAttr(default=None)

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What YAML is checked against."""
        return _as_declared(cls, super().model())

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> Self:
        """The component of a file, which remembers its lines.

        Raises DeclarationError for a text that is not of the type of its field.
        """
        try:
            component: Self = super().resolve_from_model(context, model)
        except ValidationError as error:
            told = (f"{_place(context, *each['loc'])}{each['msg']}" for each in error.errors())
            raise DeclarationError("\n".join(told)) from error
        component._source = context
        return component

    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """The spec of one of the assets, translated; a subclass may change it further.

        `spec.metadata["batch_assets/asset"]` says which of the assets it is.
        """
        return spec if self.translation is None else self.translation(spec, asset_of(spec))

    def inference(self, project_root: Path, folder: Path | None = None) -> Inference:
        """The declaration; relative paths start at the project's root.

        A schema's file may also lie in `folder`, the component's own.
        """
        output = self.output
        if isinstance(output, str) and output.endswith(".json"):
            output = schema_file(output, folder, project_root)
        return Inference(
            name=self.name,
            corpus=self.corpus.corpus(project_root),
            prompt=None if self.prompt is None else self.prompt.prompt(project_root),
            model=self.model_name,
            endpoint=self.endpoint,
            output=output,
            settings=self.settings,
            retries=self.retries.policy(),
            partitions_per_run=self.partitions_per_run.declared(),
            rows_per_request=self.rows_per_request,
            reuse=self.reuse,
            keeps_remote=self.keeps_remote,
            approval=self.approval,
            canary=self.canary,
            discovers=self.discovers,
            automation=self.automation,
            fresh_within_hours=self.fresh_within_hours,
            prices=None if self.prices is None else self.prices.prices(),
            provider=self.provider,
            stragglers=None if self.stragglers is None else self.stragglers.declared(),
            checks=self.checks.checks(),
            owners=tuple(self.owners),
            description=self.description,
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The same graph as `batch_inference` gives.

        Raises DeclarationError and CorpusError, with the line of the file.
        """
        folder = context.path if context.path.is_dir() else context.path.parent
        with self._told_by_line():
            inference = self.inference(context.project_root, folder)
            return batch_inference(inference, translate=self.get_asset_spec)

    @contextmanager
    def _told_by_line(self) -> Iterator[None]:
        try:
            yield
        except DeclarationError as error:
            named = "model_name" if error.setting == "model" else error.setting
            place = _place(self._source, *filter(None, [named]))
            raise DeclarationError(f"{place}{error.message}", setting=error.setting) from error
        except CorpusError as error:
            raise CorpusError(f"{_place(self._source, 'corpus')}{error.message}") from error


def _place(source: dg.ResolutionContext | None, *field: str | int) -> str:
    """The line of a field, to stand before what is wrong with it; nothing without a file."""
    if source is None or source.source_position_tree is None:
        return ""
    path = [*source.path, *field]
    position, _ = source.source_position_tree.lookup_closest_and_path(path, None)
    return f"{position}, {'.'.join(map(str, path))}: "


@cache
def _as_declared(component: type[BaseModel], derived: type[BaseModel]) -> type[BaseModel]:
    """Dagster's model of the attributes, with what it drops of the component's own.

    It leaves out what a field with a default is, and offers a text in the place of a mapping: with
    that choice every error in a mapping would be told of two types, and of no line.
    """
    fields: dict[str, Any] = {}
    for name, field in component.model_fields.items():
        found = derived.model_fields[name]
        fields[name] = (
            _annotation(name, field, found),
            Field(
                default=... if found.is_required() else found.default,
                description=field.description,
                examples=field.examples,
            ),
        )
    return create_model(derived.__name__, __base__=derived, **fields)


def _annotation(name: str, field: FieldInfo, derived: FieldInfo) -> Any:
    if name == "translation":
        return TranslationModel
    given = field.annotation
    kinds = get_args(given) if isinstance(given, UnionType) else (given,)
    is_mapping = any(isinstance(kind, type) and issubclass(kind, dg.Model) for kind in kinds)
    return given if is_mapping else derived.annotation
