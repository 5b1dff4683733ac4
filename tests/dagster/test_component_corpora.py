"""Every corpus that Python declares a component file declares, too, and it is the same."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow.dataset as pads
import pytest
from component_files import (
    DAYS,
    WARNING,
    WordCorpus,
    a_project,
    component,
    conforms,
    facts_of,
    in_python,
    words,
)

import batch_assets as ba
from batch_assets.corpus.partitioning import StaticKeys, TimeWindows

pytestmark = pytest.mark.filterwarnings(WARNING)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return a_project(tmp_path)


CORPORA: dict[str, tuple[str, Callable[[Path], dict[str, Any]]]] = {
    "a folder": ("{}", lambda project: {}),
    "several paths": (
        "corpus: {path: [words/a.parquet, words/b.parquet], item_id: '{{ id }}-{{ word }}'}",
        lambda project: {
            "corpus": words(
                project,
                path=[str(project / "words/a.parquet"), str(project / "words/b.parquet")],
                item_id="{{ id }}-{{ word }}",
            )
        },
    ),
    "a dialect of CSV": (
        """
        corpus:
          path: words.csv
          item_id: id
          format: csv
          csv: {delimiter: ";", quote: null, encoding: latin-1, header: [id, word]}
          types: {id: string}
          storage_options: {auto_mkdir: false}
        """,
        lambda project: {
            "corpus": ba.FileCorpus(
                path=str(project / "words.csv"),
                item_id="id",
                format="csv",
                csv=ba.CsvDialect(
                    delimiter=";", quote=None, encoding="latin-1", header=("id", "word")
                ),
                types={"id": "string"},
                storage_options={"auto_mkdir": False},
            )
        },
    ),
    "by file": (
        "corpus: {path: words, item_id: id, partition_by: {by: file}}",
        lambda project: {"corpus": words(project, partition_by=ba.ByFile())},
    ),
    "by rows": (
        "corpus: {path: words, item_id: id, partition_by: {by: rows, rows: 1}}",
        lambda project: {"corpus": words(project, partition_by=ba.ByRows(1))},
    ),
    "by column": (
        """
        corpus:
          path: words
          item_id: id
          partition_by: {by: column, column: word, values: ["7", "no", word 1]}
        """,
        lambda project: {
            "corpus": words(project, partition_by=ba.ByColumn("word", ("7", "no", "word 1")))
        },
    ),
    "by time": (
        """
        corpus:
          path: words
          item_id: id
          partition_by:
            {by: time, column: at, cadence: daily, start: 2026-01-01, timezone: Europe/Berlin}
        """,
        lambda project: {
            "corpus": words(
                project,
                partition_by=ba.ByTime(
                    "at", "daily", start=datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))
                ),
            )
        },
    ),
    "by time in UTC": (
        """
        corpus:
          path: words
          item_id: id
          partition_by: {by: time, column: at, cadence: hourly, start: "2026-01-01T05:00Z",
            end: "2026-01-02T05:00+00:00"}
        """,
        lambda project: {
            "corpus": words(
                project,
                partition_by=ba.ByTime(
                    "at",
                    "hourly",
                    start=datetime(2026, 1, 1, 5, tzinfo=UTC),
                    end=datetime(2026, 1, 2, 5, tzinfo=UTC),
                ),
            )
        },
    ),
    "discovered": (
        "corpus: {path: words, item_id: id, partition_by: {by: discovered}}\ndiscovers: true",
        lambda project: {
            "corpus": words(project, partition_by=ba.Discovered()),
            "discovers": True,
        },
    ),
    "a query": (
        "corpus: {sql: SELECT id FROM words ORDER BY id, url: 'env:WAREHOUSE_URL', item_id: id}",
        lambda project: {
            "corpus": ba.SqlCorpus(
                url="env:WAREHOUSE_URL", query="SELECT id FROM words ORDER BY id", item_id="id"
            )
        },
    ),
    "a query by key": (
        """
        corpus:
          sql: SELECT id FROM words WHERE lang = :partition_key ORDER BY id
          url: sqlite:///words.db
          item_id: id
          partitions: [de, en]
        """,
        lambda project: {
            "corpus": ba.SqlCorpus(
                url="sqlite:///words.db",
                query="SELECT id FROM words WHERE lang = :partition_key ORDER BY id",
                item_id="id",
                partitions=StaticKeys(keys=("de", "en")),
            )
        },
    ),
    "a query by time": (
        """
        corpus:
          sql: SELECT id FROM words WHERE at >= :start AND at < :end ORDER BY id
          url: sqlite:///words.db
          item_id: id
          partitions: {cadence: monthly, start: 2026-01-01, end: 2026-07-01}
        """,
        lambda project: {
            "corpus": ba.SqlCorpus(
                url="sqlite:///words.db",
                query="SELECT id FROM words WHERE at >= :start AND at < :end ORDER BY id",
                item_id="id",
                partitions=TimeWindows(
                    cadence="monthly", start=datetime(2026, 1, 1), end=datetime(2026, 7, 1)
                ),
            )
        },
    ),
    "an asset": (
        "corpus: {asset: warehouse/words, item_id: id}",
        lambda project: {"corpus": ba.AssetCorpus(key="warehouse/words", item_id="id")},
    ),
    "an asset with keys": (
        "corpus: {asset: words, item_id: id, partitions: [mon, tue],"
        " value_type: 'pyarrow.dataset:Dataset'}",
        lambda project: {
            "corpus": ba.AssetCorpus(
                key="words",
                item_id="id",
                partitions_def=dg.StaticPartitionsDefinition(["mon", "tue"]),
                value_type=pads.Dataset,
            )
        },
    ),
    "an asset with windows": (
        "corpus: {asset: words, item_id: id, partitions: {cadence: daily, start: 2026-01-01}}",
        lambda project: {
            "corpus": ba.AssetCorpus(
                key="words",
                item_id="id",
                partitions_def=dg.DailyPartitionsDefinition(datetime(2026, 1, 1)),
            )
        },
    ),
    "an asset with dynamic partitions": (
        "corpus: {asset: words, item_id: id, partitions: {dynamic: uploads}}",
        lambda project: {
            "corpus": ba.AssetCorpus(
                key="words",
                item_id="id",
                partitions_def=dg.DynamicPartitionsDefinition(name="uploads"),
            )
        },
    ),
    "an asset with partitions of the project": (
        "corpus: {asset: words, item_id: id, partitions: 'component_files:DAYS'}",
        lambda project: {"corpus": ba.AssetCorpus(key="words", item_id="id", partitions_def=DAYS)},
    ),
    "several sources": (
        """
        corpus:
          composite:
            files: {path: words, item_id: id}
            more: {composite: {ours: {path: words/a.parquet, item_id: word}}}
          partitions: all
        """,
        lambda project: {
            "corpus": ba.CompositeCorpus(
                sources={
                    "files": words(project),
                    "more": ba.CompositeCorpus(
                        sources={
                            "ours": words(
                                project, path=str(project / "words/a.parquet"), item_id="word"
                            )
                        }
                    ),
                },
                partitions="all",
            )
        },
    ),
    "ready-made requests": (
        "corpus: {request_files: ready, partitions: discovered}\nprompt: null\nmodel_name: null",
        lambda project: {
            "corpus": ba.RequestFileCorpus(path=str(project / "ready"), partitions="discovered"),
            "prompt": None,
            "model": None,
        },
    ),
}


@pytest.mark.parametrize("kind", CORPORA)
def test_a_corpus_in_yaml_is_the_same_as_in_python(project, kind):
    attributes, over = CORPORA[kind]
    assert conforms(attributes)

    found = component(attributes).inference(project)

    assert facts_of(found) == facts_of(in_python(over(project), project))


def test_a_corpus_of_the_projects_own_is_made_with_its_arguments(project):
    path = str(project / "words")
    given = f"{{path: '{path}', item_id: id}}"

    found = component(
        f"corpus: {{own: 'component_files:WordCorpus', arguments: {given}}}"
    ).inference(project)

    assert found.corpus == WordCorpus(path=path, item_id="id")
