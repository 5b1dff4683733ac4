"""Writes docs/reference from the code, so that what it says is what there is.

`python scripts/write_reference.py` writes; a test fails where what is there is not what it writes.
"""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import batch_assets
from batch_assets.assets.collect import CollectConfig
from batch_assets.cli import main as cli
from batch_assets.cli.schemas import json_schema_of, rows_by_schema
from batch_assets.component import BatchInferenceComponent, RetriesModel
from batch_assets.component.checks import CheckModel, ChecksModel
from batch_assets.component.corpora import (
    AssetModel,
    CompositeModel,
    CsvModel,
    FilesModel,
    OwnCorpusModel,
    RequestFilesModel,
    SqlModel,
)
from batch_assets.component.partitions import (
    ByColumnModel,
    ByFileModel,
    ByRowsModel,
    ByTimeModel,
    DiscoveredModel,
    WindowsModel,
)
from batch_assets.component.prices import PricesModel
from batch_assets.component.prompts import (
    AudioModel,
    ExampleModel,
    FileModel,
    ImageModel,
    PartModel,
    PromptModel,
)
from batch_assets.component.stragglers import StragglersModel
from batch_assets.domain.batch import MOVES, BatchState
from batch_assets.domain.kinds import BUILT_IN
from batch_assets.domain.outcome import Outcome
from batch_assets.resources import environment
from batch_assets.resources.anthropic import AnthropicResource
from batch_assets.resources.compatible import CompatibleResource
from batch_assets.resources.gemini import GeminiResource
from batch_assets.resources.io_managers import BatchFilesIOManager
from batch_assets.resources.ledger import LedgerResource
from batch_assets.resources.live import LiveResource
from batch_assets.resources.mistral import MistralResource
from batch_assets.resources.openai import OpenAIResource
from batch_assets.resources.vllm import VllmResource

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
PROJECT = REFERENCE.parents[1]

SETTINGS = {
    "Component (`defs.yaml`), and `Inference` in Python": BatchInferenceComponent,
    "`corpus` of files; in Python `FileCorpus`": FilesModel,
    "`csv` of a corpus of files; in Python `CsvDialect`": CsvModel,
    "`partition_by` with `by: file`, the default; in Python `ByFile`": ByFileModel,
    "`partition_by` with `by: rows`; in Python `ByRows`": ByRowsModel,
    "`partition_by` with `by: column`; in Python `ByColumn`": ByColumnModel,
    "`partition_by` with `by: time`; in Python `ByTime`": ByTimeModel,
    "`partition_by` with `by: discovered`; in Python `Discovered`": DiscoveredModel,
    "`corpus` of a query; in Python `SqlCorpus`": SqlModel,
    "`corpus` of an upstream asset; in Python `AssetCorpus`": AssetModel,
    "`partitions` of a query or an asset, where they are windows of time": WindowsModel,
    "`corpus` of several sources; in Python `CompositeCorpus`": CompositeModel,
    "`corpus` of ready-made requests; in Python `RequestFileCorpus`": RequestFilesModel,
    "`corpus` of your own": OwnCorpusModel,
    "`prompt`; in Python `Prompt`": PromptModel,
    "an example of `prompt`; in Python `Example`": ExampleModel,
    "a part of `user`": PartModel,
    "`image` in a part; in Python `Image`": ImageModel,
    "`file` in a part; in Python `File`": FileModel,
    "`audio` in a part; in Python `Audio`": AudioModel,
    "`retries`; in Python `RetryPolicy`, with times as timedelta": RetriesModel,
    "`prices`; in Python `Prices`": PricesModel,
    "`stragglers`; in Python `Stragglers`": StragglersModel,
    "`checks`; in Python `Checks`": ChecksModel,
    "a check; in Python `Check`, a number, or `off`": CheckModel,
    "Run configuration of the collecting assets": CollectConfig,
    "Resource `openai`: `OpenAIResource`": OpenAIResource,
    "Resource `anthropic`: `AnthropicResource`": AnthropicResource,
    "Resource `gemini`: `GeminiResource`": GeminiResource,
    "Resources `azure`, `groq`, `together` and others: `CompatibleResource`": CompatibleResource,
    "Resource `mistral`: `MistralResource`": MistralResource,
    "Resource `openai_live`: `LiveResource`": LiveResource,
    "Resource `vllm`: `VllmResource`": VllmResource,
    "Resource `batch_ledger`: `LedgerResource`": LedgerResource,
    "Resource `batch_files`: `BatchFilesIOManager`": BatchFilesIOManager,
}


def pages() -> dict[str, str]:
    """Each page by its file name."""
    return {
        "api.md": "\n".join(_api()) + "\n",
        "cli.md": "\n".join(_cli()) + "\n",
        "cli-schemas.md": "\n".join(_cli_schemas()) + "\n",
        "settings.md": "\n".join(_settings()) + "\n",
        "states.md": "\n".join(_states()) + "\n",
    }


def _api() -> Iterator[str]:
    yield "# Public names\n\nWritten by `scripts/write_reference.py`."
    yield "\nAll of `from batch_assets import ...`; what is not here may change at any time."
    yield "\n| name | what it is |\n| --- | --- |"
    for name in batch_assets.__all__:
        summary = (inspect.getdoc(getattr(batch_assets, name)) or "").partition("\n\n")[0]
        yield f"| `{name}` | {_one_line(summary)} |"


def _cli() -> Iterator[str]:
    yield "# Commands\n\nWritten by `scripts/write_reference.py`."
    for name, command in _commands(cli, "batch-assets"):
        context = click.Context(command, info_name=name)
        yield f"\n## {name}\n\n```\n{command.get_help(context)}\n```"


def _cli_schemas() -> Iterator[str]:
    yield "# JSON of the commands\n\nWritten by `scripts/write_reference.py`."
    yield (
        '\nWith `-o json` an answer is `{"schema": NAME, "rows": [...]}`; with `-o jsonl` each row '
        "is a line of its own, and has the name as its `schema`. The number in the name grows when "
        "a field goes or means something else; new fields may come under the same number. "
        "`batch-assets/ledger-dump/1` has the columns of the table that `table` names."
    )
    for name, row in sorted(rows_by_schema().items()):
        schema = json.dumps(json_schema_of(row), indent=2, ensure_ascii=False)
        yield f"\n## {name}\n\n```json\n{schema}\n```"


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child_name in command.list_commands(context):
            child = command.get_command(context, child_name)
            assert child is not None
            yield from _commands(child, f"{name} {child_name}")


def _settings() -> Iterator[str]:
    yield "# Settings\n\nWritten by `scripts/write_reference.py`."
    for title, model in SETTINGS.items():
        yield f"\n## {title}\n\n| setting | default | what it is |\n| --- | --- | --- |"
        for name, field in model.model_fields.items():
            yield f"| `{name}` | {_default(field)} | {_one_line(field.description or '')} |"
    yield "\n## Environment variables\n\n| variable | what it is |\n| --- | --- |"
    source = Path(environment.__file__).read_text()
    for comment, variable in re.findall(r'((?:#: .*\n)+)[A-Z_]+ = "([A-Z_]+)"', source):
        yield f"| `{variable}` | {_one_line(comment.replace('#: ', ''))} |"
    yield "\n## Providers by name\n"
    yield "| `provider` | key | address | endpoint | other endpoints of its own |"
    yield "| --- | --- | --- | --- | --- |"
    for name, kind in BUILT_IN.items():
        address = f"`{kind.address_variable}`" if kind.address_variable else "the provider's"
        others = sorted(kind.endpoints.keys() - {kind.default_endpoint})
        own = ", ".join(f"`{each}`" for each in others)
        default = f"`{kind.default_endpoint}`"
        yield f"| `{name}` | `{kind.key_variable}` | {address} | {default} | {own} |"


def _states() -> Iterator[str]:
    yield "# States, moves and outcomes\n\nWritten by `scripts/write_reference.py`."
    yield "\n## States of a batch\n\n| state | what it says |\n| --- | --- |"
    for state, comment in zip(BatchState, _comments("batch_assets/domain/batch.py"), strict=False):
        yield f"| `{state}` | {comment} |"
    yield "\n## Moves\n\n```mermaid\nstateDiagram-v2\n    [*] --> planned: plan"
    for (start, target), what in MOVES.items():
        yield f"    {start} --> {target}: {what.partition(':')[0]}"
    yield "```\n\n| from | to | what happened |\n| --- | --- | --- |"
    for (start, target), what in MOVES.items():
        yield f"| `{start}` | `{target}` | {what} |"
    yield "\n## Outcomes of an item\n\n| outcome | what it says |\n| --- | --- |"
    comments = _comments("batch_assets/domain/outcome.py")
    for outcome, comment in zip(Outcome, comments, strict=False):
        yield f"| `{outcome}` | {comment} |"


def _comments(path: str) -> list[str]:
    """The `#:` comments of the first enum of a module, in order."""
    source = (PROJECT / path).read_text()
    body = source[source.index("(StrEnum)") :]
    found = re.findall(r'((?:    #: .*\n)+)    [A-Z]+ = "', body)
    return [_one_line(re.sub(r"^ *#: ", "", comment, flags=re.MULTILINE)) for comment in found]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its own defaults"
    return f"`{value}`" if value not in (None, [], {}) else "none"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    for name, page in pages().items():
        (REFERENCE / name).write_text(page)
