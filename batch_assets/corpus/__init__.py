"""Where items come from."""

from batch_assets.corpus.corpus import Corpus, Rows
from batch_assets.corpus.csv_source import CsvDialect
from batch_assets.corpus.files import FileCorpus
from batch_assets.corpus.partition_by import ByColumn, ByFile, ByRows, ByTime, Discovered

__all__ = [
    "ByColumn",
    "ByFile",
    "ByRows",
    "ByTime",
    "Corpus",
    "CsvDialect",
    "Discovered",
    "FileCorpus",
    "Rows",
]
