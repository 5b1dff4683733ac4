"""What `dg scaffold defs batch_assets.BatchInferenceComponent NAME` writes, in YAML or Python."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import dagster as dg
from pydantic import BaseModel, Field

from batch_assets.component.choice import rooted, schema_file
from batch_assets.corpus import Corpus, FileCorpus
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.domain.errors import BatchAssetsError, CorpusError, DeclarationError
from batch_assets.domain.item import is_inference_name
from batch_assets.inference import Inference
from batch_assets.prompt import Prompt, output_of

_NEXT = (
    "The project needs the resources batch_ledger, batch_files and {provider}, and "
    "batch_assets.with_operations around its definitions; docs/howto/first-inference.md of "
    "batch-assets has both to copy."
)


class ScaffoldParams(BaseModel):
    """What `dg scaffold defs` asks for; the first four have no default."""

    corpus_path: str = Field(
        description="Folder, pattern or file of Parquet, CSV, TSV or JSONL; a relative one starts "
        "at the project's root."
    )
    item_id: str = Field(description="Column of the item's key, or a template over columns.")
    prompt: str = Field(description="Jinja2 template over the corpus's columns.")
    model_name: str = Field(description="The provider's name of the model.")
    name: str | None = Field(
        default=None, description="Name of the inference; left out, the folder's."
    )
    output: str | None = Field(
        default=None,
        description="What an answer must be: an import path, package.module:Class; a .json file "
        "with a JSON schema; text or json_object. Left out, free text.",
    )
    labels: list[str] = Field(
        default_factory=list, description="Labels, one of which the answer must be; no output then."
    )
    endpoint: str | None = Field(
        default=None,
        description="chat, responses, embeddings, moderations, completions or images, or one of "
        "the provider's own. Left out, what the provider answers.",
    )
    provider: str = Field(default="openai", description="Resource key of the provider.")
    rows_per_request: int = Field(default=1, description="Items that share a request, at most.")
    description: str | None = Field(default=None, description="What the inference is for.")

    def attributes(self, name: str) -> dict[str, Any]:
        """The component's attributes: those that have no default, and those that are other."""
        return {
            "name": name,
            **self._given("description"),
            "corpus": {"path": self.corpus_path, "item_id": self.item_id},
            "prompt": {"user": self.prompt},
            "model_name": self.model_name,
            **self._given("endpoint"),
            **({"output": {"labels": self.labels}} if self.labels else self._given("output")),
            **self._given("rows_per_request"),
            **self._given("provider"),
        }

    def _given(self, name: str) -> dict[str, Any]:
        value = getattr(self, name)
        return {} if value == type(self).model_fields[name].default else {name: value}


class BatchInferenceScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a component file that loads as it is."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write the file. Raises ClickException for what could not be loaded, and writes none."""
        given = request.params
        folder = request.target_path.parent if request.append else request.target_path
        name = given.name or folder.name
        try:
            warnings = list(_checked(given, name, folder, request.project_root or Path.cwd()))
        except BatchAssetsError as error:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()  # dg made it, and would find it in the way of the next try
            raise click.ClickException(f"nothing is written: {error.message}") from error
        attributes = given.attributes(name)
        if request.scaffold_format == "python":
            source = _python(request.type_name, attributes)
            (request.target_path / "component.py").write_text(source, encoding="utf-8")
        else:
            dg.scaffold_component(request, attributes)
        for warning in warnings:
            click.echo(f"Warning: {warning}", err=True)
        click.echo(_NEXT.format(provider=given.provider))


def _checked(given: ScaffoldParams, name: str, folder: Path, root: Path) -> Iterator[str]:
    """What the inference will lack until it is there.

    Raises DeclarationError and CorpusError for what no later file can put right.
    """
    if given.name is None and not is_inference_name(name):
        raise DeclarationError(
            f"the inference would have the folder's name, {name!r}: give it one of letters, digits "
            "and underscores with --name"
        )
    if given.labels and given.output is not None:
        raise DeclarationError("give labels or output, not both: labels are an output")
    corpus: Corpus = FileCorpus(path=rooted(given.corpus_path, root), item_id=given.item_id)
    try:
        corpus.partition_keys()
    except CorpusError as error:
        yield f"the corpus is not there yet, and until it is, nothing loads: {error.message}"
        # One that is not opened when it is declared, so that the rest can be checked.
        corpus = AssetCorpus(key=name, item_id=given.item_id)
    output: Any = {"labels": given.labels} if given.labels else given.output
    if isinstance(output, str) and output.endswith(".json"):
        output = schema_file(output, folder, root)
    try:
        output_of(output)
    except DeclarationError as error:
        if not isinstance(error.__cause__, (ImportError, OSError)):
            raise
        yield f"the output is not there yet, and until it is, nothing loads: {error.message}"
        output = None
    Inference(
        name=name,
        corpus=corpus,
        prompt=Prompt(user=given.prompt),
        model=given.model_name,
        endpoint=given.endpoint,
        provider=given.provider,
        output=output,
        rows_per_request=given.rows_per_request,
    )


def _python(type_name: str, attributes: Mapping[str, Any]) -> str:
    """A module with the component, of the class that was asked for."""
    module, _, kind = type_name.rpartition(".")
    models = {"corpus": "FilesModel", "prompt": "PromptModel"}
    # What JSON is of texts, lists and numbers, Python is, too.
    arguments = {name: json.dumps(value, ensure_ascii=False) for name, value in attributes.items()}
    for name, model in models.items():
        fields = (f"{field}={json.dumps(text)}" for field, text in attributes[name].items())
        arguments[name] = f"{model}({', '.join(fields)})"
    lines = "\n".join(f"        {name}={value}," for name, value in arguments.items())
    return f"""\
import dagster as dg
from {module} import {kind}
from batch_assets.component import {", ".join(models.values())}


@dg.component_instance
def {attributes["name"]}(context: dg.ComponentLoadContext) -> {kind}:
    return {kind}(
{lines}
    )
"""
