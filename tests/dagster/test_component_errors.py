"""A wrong component file is refused by its line, its field and the way out."""

import re

import pytest
from component_files import WARNING
from dagster.components.resolved.errors import ResolutionException
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
        # Outputs and settings
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
