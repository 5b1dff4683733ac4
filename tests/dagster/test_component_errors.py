"""A wrong component file is refused by its line, its field and the way out."""

import re
from pathlib import Path

import pytest
from component_files import WARNING, a_project
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.resolved.errors import ResolutionException
from dagster.components.testing.utils import create_defs_folder_sandbox
from pydantic import ValidationError

import batch_assets as ba

pytestmark = pytest.mark.filterwarnings(WARNING)

FILE = """\
name: words
model_name: gpt-4.1-mini
prompt:
  user: "{{ word }}"
corpus:
  path: words
  item_id: id
"""


def corpus(text: str) -> str:
    """A file whose corpus begins in line 5."""
    head, _, _ = FILE.partition("corpus:")
    return f"{head}corpus:\n{text}"


def prompt(text: str) -> str:
    """A file whose prompt begins in line 6."""
    return (
        "name: words\nmodel_name: gpt-4.1-mini\n"
        f"corpus:\n  path: words\n  item_id: id\nprompt:\n{text}"
    )


@pytest.mark.parametrize(
    ("file", "where", "said"),
    [
        # Keys
        (FILE + "heat: 0\n", "heat at <string>:8", "Extra inputs are not permitted"),
        (FILE + "  heat: 0\n", "corpus.heat at <string>:8", "Extra inputs are not permitted"),
        (
            corpus("  item_id: id\n"),
            "corpus at <string>:5",
            "give exactly one of path, sql, asset, composite, request_files, own; "
            "there is none of them",
        ),
        (
            corpus("  path: words\n  sql: SELECT 1\n  item_id: id\n"),
            "corpus at <string>:5",
            "there is path and sql",
        ),
        (corpus("  path: words\n"), "corpus.item_id at <string>:5", "Field required"),
        # Files
        (
            corpus("  path: words\n  item_id: id\n  format: xml\n"),
            "corpus.format at <string>:8",
            "Input should be 'parquet', 'csv', 'tsv' or 'jsonl'",
        ),
        (
            corpus("  path: words\n  item_id: id\n  csv:\n    delimiter: ';;'\n"),
            "corpus.csv at <string>:8",
            "CSV delimiter ';;': give one ASCII character",
        ),
        (
            corpus("  path: words\n  item_id: id\n  types: {at: day}\n"),
            "corpus at <string>:5",
            "'day' of column 'at' is no type of Arrow; use one as string",
        ),
        # Partitions
        (
            corpus("  path: words\n  item_id: id\n  partition_by:\n    by: month\n"),
            "corpus.partition_by at <string>:8",
            "by is 'month'; give by, one of file, rows, column, time, discovered",
        ),
        (
            corpus("  path: words\n  item_id: id\n  partition_by:\n    by: rows\n    rows: 0\n"),
            "corpus.partition_by at <string>:8",
            "ByRows(0): a partition has one row at least",
        ),
        (
            # What YAML makes of a Norwegian.
            corpus(
                "  path: words\n  item_id: id\n  partition_by:\n    by: column\n"
                "    column: lang\n    values:\n      - de\n      - no\n"
            ),
            "corpus.partition_by.values.1 at <string>:13",
            "Input should be a valid string",
        ),
        (
            corpus(
                "  path: words\n  item_id: id\n  partition_by:\n    by: time\n"
                "    column: at\n    cadence: daily\n    start: May\n"
            ),
            "corpus.partition_by at <string>:8",
            "start 'May' is no time; write it as 2026-01-31",
        ),
        (
            corpus(
                "  path: words\n  item_id: id\n  partition_by:\n    by: time\n    column: at\n"
                "    cadence: daily\n    start: 2026-01-01\n    timezone: Berlin\n"
            ),
            "corpus.partition_by at <string>:8",
            "timezone 'Berlin' is unknown; name one as Europe/Berlin",
        ),
        (
            corpus(
                "  path: words\n  item_id: id\n  partition_by:\n    by: time\n"
                "    column: at\n    cadence: daily\n    start: 2026-01-01T00:00+02:00\n"
            ),
            "corpus.partition_by at <string>:8",
            "has an offset of its own; write the time without one",
        ),
        (
            corpus("  sql: SELECT 1\n  url: env:A\n  item_id: a\n  partitions: {dynamic: a}\n"),
            "corpus at <string>:5",
            "a query's partitions are a list of keys, or windows",
        ),
        (
            corpus("  sql: SELECT 1\n  url: env:A\n  item_id: a\n  partitions: [a, b]\n"),
            "corpus at <string>:5",
            "limit it by :partition_key",
        ),
        (
            corpus("  asset: a\n  item_id: a\n  partitions: factories:Kind\n"),
            "corpus.partitions at <string>:8",
            "partitions 'factories:Kind' is not a PartitionsDefinition",
        ),
        (
            corpus("  asset: a\n  item_id: a\n  value_type: nowhere:Kind\n"),
            "corpus at <string>:5",
            "value_type 'nowhere:Kind' cannot be imported",
        ),
        # Sources
        (
            corpus("  composite:\n    a:\n      path: words\n      itemid: id\n"),
            "corpus.composite.a.itemid at <string>:9",
            "Extra inputs are not permitted",
        ),
        (
            corpus("  composite:\n    a:b: {path: words, item_id: id}\n"),
            "corpus at <string>:5",
            "namespace 'a:b': use letters, digits, _ and -",
        ),
        (
            corpus("  own: factories:a_table\n  arguments: {rows: 1}\n"),
            "corpus at <string>:5",
            "own 'factories:a_table' is Table and no Corpus: subclass batch_assets.Corpus",
        ),
        (corpus("  own: factories:NOON\n"), "corpus at <string>:5", "is datetime and no Corpus"),
        (
            corpus("  own: batch_assets.corpus:FileCorpus\n  arguments: {pth: words}\n"),
            "corpus at <string>:5",
            "correct the arguments",
        ),
        # Prompts
        (
            prompt("  user: '{{ word }}'\n  field: word\n"),
            "prompt at <string>:6",
            "the prompt has field and user: give exactly one of field, user and call",
        ),
        (
            prompt("  user:\n    - '{{ word }}'\n    - image: {colour: photo}\n"),
            "prompt.user.1.image.colour at <string>:9",
            "Extra inputs are not permitted",
        ),
        (
            prompt("  user:\n    - image: {column: photo, url: 'https://a.b'}\n"),
            "prompt.user.0.image at <string>:8",
            "the image of the prompt: it has url and column: give exactly one of",
        ),
        (
            prompt("  user:\n    - {text: a, audio: {column: sound}}\n"),
            "prompt.user.0 at <string>:8",
            "the part has text and audio: give exactly one of text, image, file, audio",
        ),
        (
            prompt("  user: a\n  examples:\n    - user: oak\n"),
            "prompt.examples.0.assistant at <string>:9",
            "Field required",
        ),
        (
            prompt("  user: a\n  examples:\n    - {user: [{image: {}}], assistant: b}\n"),
            "prompt.examples.0.user.0.image at <string>:9",
            "the image of the prompt",
        ),
        (prompt("  user: 7\n"), "prompt.user.str at <string>:7", "valid string"),
        # Retries
        (
            FILE + "retries:\n  max_waves: 0\n",
            "retries at <string>:8",
            "retries: max_waves is 0; wave 0 asks everything, so 1 at least",
        ),
        (
            FILE + "retries:\n  max_waves: 2\n  waves: 3\n",
            "retries.waves at <string>:10",
            "Extra inputs are not permitted",
        ),
        (
            FILE + "retries:\n  ask_again: [expird]\n",
            "retries at <string>:8",
            "retries: ask_again has 'expird'; it is a list of names among",
        ),
        (
            FILE + "retries:\n  first_wait_seconds: soon\n",
            "retries.first_wait_seconds at <string>:9",
            "Input should be a valid number",
        ),
        # Translations
        (
            FILE + "translation:\n  group_name: a\n  owner: b\n",
            "translation.owner at <string>:10",
            "Extra inputs are not permitted",
        ),
        (FILE + "translation: [a]\n", "translation at <string>:8", "should be an object"),
        # Types, and what is missing
        (FILE + "rows_per_request: []\n", "rows_per_request.int at <string>:8", "valid integer"),
        (FILE + "owners: 7\n", "owners.list[str] at <string>:8", "should be a valid array"),
        (FILE.partition("\n")[2], "name at <string>:1", "Field required"),
        (FILE.partition("corpus:")[0], "corpus at <string>:1", "Field required"),
        # Outputs and settings
        (FILE + "settings: 7\n", "settings.dict[str,any] at <string>:8", "should be an object"),
        (
            FILE + "output: 7\n",
            "output.str at <string>:8",
            "Input should be a valid string",
        ),
    ],
)
def test_what_is_wrong_is_told_by_line_and_field(file, where, said):
    with pytest.raises(ValidationError) as refused:
        ba.BatchInferenceComponent.resolve_from_yaml(file)

    assert where in str(refused.value).replace("`", "").splitlines()
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("{labels: [a, a]}", "labels ['a'] are given twice; give each once"),
        ("{labels: a}", "write labels as a list of texts"),
        ("{type: object, properties: {a: {}}}", "field a"),
        ("{type: thing}", "is not a valid JSON schema"),
    ],
)
def test_an_output_that_cannot_be_is_told_by_its_line(output, said):
    with pytest.raises(ResolutionException) as refused:
        ba.BatchInferenceComponent.resolve_from_yaml(f"{FILE}output: {output}\n")

    assert re.search(r"<string>:8 - output", str(refused.value))
    assert said in str(refused.value)


@pytest.fixture(scope="module")
def refusal_of(tmp_path_factory: pytest.TempPathFactory):
    """What Dagster says of a component file that declares these attributes beside the defaults."""

    def refused(attributes: str, *, without: str = "") -> str:
        lines = [line for line in FILE.splitlines() if not without or without not in line]
        declared = "\n".join([*lines, *attributes.splitlines()])
        indented = "".join(f"  {line}\n" for line in declared.splitlines())
        with create_defs_folder_sandbox() as sandbox:
            a_project(sandbox.project_root)
            folder = sandbox.defs_folder_path / "words"
            folder.mkdir()
            (folder / "defs.yaml").write_text(
                f"type: batch_assets.BatchInferenceComponent\nattributes:\n{indented}"
            )
            with pytest.raises(ComponentTreeException) as caught, sandbox.build_all_defs():
                pass
        return str(caught.value.__cause__)

    return refused


#: Settings that are wrong only beside others, or beside the corpus.
BESIDE_OTHERS: list[tuple[str, str, str, str]] = [
    ("name: my words", "name: words", "9, attributes.name", "use letters, digits and underscores"),
    ("settings:\n  heat: 0", "", "10, attributes.settings", "setting 'heat' is unknown to"),
    ("endpoint: chats", "", "10, attributes.endpoint", "endpoint 'chats' is unknown"),
    ("rows_per_request: 0", "", "10, attributes.rows_per_request", "rows_per_request is 0"),
    ("discovers: true", "", "10, attributes.discovers", "for a corpus whose partitions are"),
    ("canary: 0", "", "10, attributes.canary", "canary is 0"),
    ("output: nowhere:Kind", "", "10, attributes.output", "'nowhere:Kind' cannot be imported"),
    (
        "endpoint: embeddings\noutput: factories:Kind",
        "",
        "11, attributes.output",
        "output Kind cannot be asked of /v1/embeddings",
    ),
    ("translation: {key: a}", "", "10, attributes.translation", "gives two assets one key: a"),
    ("  item_id: key", "item_id", "7, attributes.corpus", "no column 'key' for the item id"),
    ("  path: nowhere", "path:", "7, attributes.corpus", "no such file"),
    ("model_name: null", "model_name", "9, attributes.model_name", "it has no model"),
    ("prompt: {user: '{{ term }}'}", "user:", "9, attributes.prompt", "reads term, which it does"),
    ("prompt: {call: nowhere}", "user:", "9, attributes.prompt", "write it as package.module:Name"),
    # Of texts Dagster knows the type only once their templates are resolved.
    ("reuse: perhaps", "", "10, attributes.reuse", "Input should be a valid boolean"),
    ("rows_per_request: few", "", "10, attributes.rows_per_request", "should be a valid integer"),
    ("owners: support", "", "10, attributes.owners", "Input should be a valid list"),
    ("prompt: {user: Hello}", "user:", "9, attributes.prompt", "the prompt reads no field"),
]


@pytest.mark.filterwarnings(
    "ignore:Class `.*CodeReference.*` is currently in beta:dagster.BetaWarning"
)
@pytest.mark.parametrize(("attributes", "without", "where", "said"), BESIDE_OTHERS)
def test_what_is_wrong_beside_the_rest_is_told_by_line_and_field(
    refusal_of, attributes, without, where, said
):
    told = refusal_of(attributes, without=without)

    file, _, rest = told.partition(":")
    assert Path(file).name == "defs.yaml"
    assert rest.startswith(f"{where}: ")
    assert said in told
