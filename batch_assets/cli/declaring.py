"""The options that declare an inference on the command line, and the declaration they make."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batch_assets.cli.exit_codes import NotFound
from batch_assets.domain.item import is_inference_name

if TYPE_CHECKING:
    from batch_assets.started import Started

#: The longest name that is made of the inputs; others may be longer.
_LONGEST_NAME = 40

#: What makes a path a pattern of several.
_PATTERN = frozenset("*?[")

_OPTIONS = (
    click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="FILE",
        help="A file, folder, pattern or URL of items: CSV, TSV, JSONL or Parquet, also with .gz, "
        ".zst, .bz2 or .lz4. May be repeated; the order is kept.",
    ),
    click.option("--id-field", help="The column of each item's id."),
    click.option(
        "--namespace",
        "namespaces",
        multiple=True,
        metavar="NAME",
        help="Stands before the ids of an input, as NAME:id, where inputs have equal ids of "
        "different items; once for each --input, in the same order.",
    ),
    click.option("--prompt-field", help="The column that is the user message as it is."),
    click.option(
        "--prompt-template",
        metavar="TEXT|@FILE",
        help="Jinja2 template of the user message over the columns, or @ and the file that has it.",
    ),
    click.option(
        "--system", metavar="TEXT|@FILE", help="Template of what stands before it, or its @file."
    ),
    click.option(
        "--structured-output-class",
        metavar="MODULE:CLASS",
        help="What an answer must be: a Pydantic model, dataclass or TypedDict.",
    ),
    click.option("--schema", metavar="FILE.json", help="What it must be: a JSON schema."),
    click.option(
        "--schema-name",
        help="The schema's name at the provider; left out, the class's, its title or the file's.",
    ),
    click.option("--labels", metavar="A,B,…", help="What it must be: one of these."),
    click.option("--provider", help="openai, anthropic, …; left out, openai."),
    click.option("--model", help="The provider's name of the model."),
    click.option("--endpoint", help="chat, responses, embeddings, …; left out, the provider's."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="A setting that goes to the model with every request, its value as JSON; what is no "
        "JSON is text. May be repeated.",
    ),
    click.option("--rows-per-request", type=int, help="Items that share a request, at most."),
    click.option(
        "--approval", is_flag=True, help="Send nothing before somebody approves it: approve."
    ),
    click.option(
        "--stragglers-provider",
        metavar="NAME",
        help="Who is asked live what is not answered in time, at its own price: openai_live, … "
        "With --stragglers-after.",
    ),
    click.option(
        "--stragglers-after",
        type=click.FloatRange(min=0, min_open=True),
        metavar="HOURS",
        help="Hours from the submission to that: fewer than the provider's window, which is 24 "
        "with most. With --stragglers-provider.",
    ),
    click.option(
        "--run-id",
        metavar="NAME",
        help="Names the inference; given again, it goes on with it. Left out, a name made of the "
        "inputs.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Given:
    """The options as they were given."""

    inputs: tuple[str, ...]
    id_field: str | None
    namespaces: tuple[str, ...]
    prompt_field: str | None
    prompt_template: str | None
    system: str | None
    structured_output_class: str | None
    schema: str | None
    schema_name: str | None
    labels: str | None
    provider: str | None
    model: str | None
    endpoint: str | None
    settings: tuple[str, ...]
    rows_per_request: int | None
    approval: bool
    stragglers_provider: str | None
    stragglers_after: float | None
    run_id: str | None

    @property
    def names_only(self) -> bool:
        """Whether nothing but the name of an inference is given, which is there already."""
        others = (value for name, value in vars(self).items() if name != "run_id")
        return self.run_id is not None and all(value in (None, (), False) for value in others)

    def started(self) -> "Started":
        """The declaration.

        Raises UsageError for options that do not go together, NotFound for a file that is not
        there. Nothing is written, and no input is opened.
        """
        from batch_assets.started import Started

        self._check()
        name = self.run_id or name_of(self.inputs)
        if not is_inference_name(name):
            raise click.UsageError(
                f"--run-id {name}: use letters, digits and underscores, no digit first, 63 at most"
            )
        assert self.id_field is not None
        assert self.model is not None
        labels = [] if self.labels is None else [each.strip() for each in self.labels.split(",")]
        return Started(
            name=name,
            inputs=tuple(map(_rooted, self.inputs)),
            namespaces=self.namespaces,
            id_field=self.id_field,
            prompt_field=self.prompt_field,
            prompt_template=_text(self.prompt_template, "--prompt-template"),
            system=_text(self.system, "--system"),
            structured_output_class=self.structured_output_class,
            schema=None if self.schema is None else _schema(Path(self.schema)),
            schema_name=self._schema_name(),
            labels=tuple(labels),
            provider=self.provider or "openai",
            model=self.model,
            endpoint=self.endpoint,
            settings=_settings(self.settings),
            rows_per_request=1 if self.rows_per_request is None else self.rows_per_request,
            approval=self.approval,
            stragglers_provider=self.stragglers_provider,
            stragglers_after=self.stragglers_after,
            folder=os.getcwd(),
        )

    def _check(self) -> None:
        needed = {"--input": self.inputs, "--id-field": self.id_field, "--model": self.model}
        if lacking := [name for name, value in needed.items() if not value]:
            raise click.UsageError(f"give {', '.join(lacking)} too")
        repeated = sorted({each for each in self.inputs if self.inputs.count(each) > 1})
        if repeated:
            raise click.UsageError(f"--input {repeated[0]} is given twice: name each input once")
        for each in self.inputs:
            if "://" not in each and not _PATTERN & set(each) and not os.path.exists(each):
                raise NotFound(f"--input: there is no file or folder {each}")
        prompts = {"--prompt-field": self.prompt_field, "--prompt-template": self.prompt_template}
        if len(_named(prompts)) != 1:
            raise click.UsageError(
                "give either --prompt-field or --prompt-template"
                + (", not both" if _named(prompts) else "")
            )
        outputs = {
            "--structured-output-class": self.structured_output_class,
            "--schema": self.schema,
            "--labels": self.labels,
        }
        if len(chosen := _named(outputs)) > 1:
            raise click.UsageError(f"{' and '.join(chosen)}: an answer is one of them, not both")
        if self.schema_name is not None and not (self.schema or self.structured_output_class):
            raise click.UsageError(
                "--schema-name is the name of a --schema or a --structured-output-class, and there "
                "is none"
            )
        if self.rows_per_request is not None and self.rows_per_request < 1:
            raise click.UsageError("--rows-per-request: a request has 1 row at least")
        if self.namespaces and len(self.namespaces) != len(self.inputs):
            raise click.UsageError(
                f"{len(self.namespaces)} --namespace for {len(self.inputs)} --input: give one for "
                "each, in the same order"
            )

        self._check_stragglers()

    def _check_stragglers(self) -> None:
        together = {
            "--stragglers-provider": self.stragglers_provider,
            "--stragglers-after": self.stragglers_after,
        }
        if len(_named(together)) == 1:
            raise click.UsageError(f"give both {' and '.join(together)}, or neither")

    def _schema_name(self) -> str | None:
        if self.schema is None:
            return self.schema_name
        return self.schema_name or _schema(Path(self.schema)).get("title") or Path(self.schema).stem


def declares(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options that declare an inference, as its argument `given`."""

    @wraps(command)
    def declared(*positional: Any, **named: Any) -> Any:
        given = Given(**{field: named.pop(field) for field in Given.__dataclass_fields__})
        return command(*positional, given=given, **named)

    for option in reversed(_OPTIONS):
        declared = option(declared)
    return declared


def name_of(inputs: tuple[str, ...]) -> str:
    """A name of an inference, made of those of its inputs."""
    from batch_assets.corpus.formats import ending_of

    stems = []
    for each in inputs:
        base = re.sub(r"[?#].*", "", each).rstrip("/").rsplit("/", 1)[-1]
        stems.append(base.removesuffix(ending_of(base).text))
    words = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(stems)).strip("_")[:_LONGEST_NAME].strip("_")
    return words if is_inference_name(words) else f"run_{words or 'inputs'}"


def _named(values: Mapping[str, Any]) -> list[str]:
    return [name for name, value in values.items() if value is not None]


def _rooted(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def _text(given: str | None, option: str) -> str | None:
    if given is None or not given.startswith("@"):
        return given
    return _read(Path(given[1:]), option)


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"{option}: there is no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{option}: {path} cannot be read: {error}") from error


def _schema(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_read(path, "--schema"))
    except ValueError as error:
        raise click.UsageError(f"--schema: {path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.UsageError(f"--schema: {path} is no JSON schema, which is a JSON object")
    return found


def _settings(given: tuple[str, ...]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--set {each}: write it as name=value")
        if name in settings:
            raise click.UsageError(f"--set {name} is given twice")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings
