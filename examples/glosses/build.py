"""Build the Parquet files of the glosses corpus from WordNet's data.noun (format: wndb(5WN))."""

import argparse
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

# Lexicographer file number of a synset -> its label.
LABELS = {
    "05": "animal",
    "06": "artifact",
    "08": "body",
    "10": "communication",
    "12": "feeling",
    "13": "food",
    "15": "location",
    "18": "person",
    "20": "plant",
    "27": "substance",
}
# Partition -> the last first letter in it; a word that begins with no letter goes to the first.
PARTITIONS = {"a-b": "b", "c-d": "d", "e-h": "h", "i-m": "m", "n-r": "r", "s-z": "z"}
PER_LABEL = 240
MIN_GLOSS = 15
SEED = "glosses-1"
#: What WordNet marks as a slur, and what a colleague should not meet in a demonstration.
NOT_FOR_AN_EXAMPLE = re.compile(
    r"offensive|vulgar|disparag|slur|sexual|genital|obscen|ethnic", re.I
)
COLUMNS = ("synset_id", "word", "gloss", "label")
SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=False) for name in COLUMNS])


class Row(NamedTuple):
    synset_id: str
    word: str
    gloss: str
    label: str


def read_rows(data_noun: Path) -> Iterator[Row]:
    """Yield the usable synsets of the chosen labels, in the order of the file."""
    with data_noun.open(encoding="ascii") as lines:
        for line in lines:
            if line.startswith(" "):  # the licence at the head of the file
                continue
            fields, _, gloss = line.partition(" | ")
            offset, lex_filenum, _, _, word = fields.split(" ", 5)[:5]
            label, gloss = LABELS.get(lex_filenum), gloss.strip()
            if label is None or len(gloss) < MIN_GLOSS or NOT_FOR_AN_EXAMPLE.search(gloss):
                continue
            yield Row(f"noun-{offset}", word.replace("_", " "), gloss, label)


def rank(row: Row) -> str:
    """A fixed, arbitrary place in the order of choice: a seeded hash of the synset's id."""
    return hashlib.sha256(f"{SEED}:{row.synset_id}".encode()).hexdigest()


def choose(rows: Iterator[Row]) -> list[Row]:
    """Take the first PER_LABEL rows of each label by rank; return them sorted by synset_id."""
    by_label: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_label[row.label].append(row)
    return sorted(row for group in by_label.values() for row in sorted(group, key=rank)[:PER_LABEL])


def partition_of(word: str) -> str:
    first = word[0].lower()
    return next(name for name, last in PARTITIONS.items() if first <= last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_noun", type=Path, help="path of WordNet's data.noun")
    rows = choose(read_rows(parser.parse_args().data_noun))
    corpus = Path(__file__).parent / "corpus"
    corpus.mkdir(exist_ok=True)
    for name in PARTITIONS:
        part = [row._asdict() for row in rows if partition_of(row.word) == name]
        pq.write_table(
            pa.Table.from_pylist(part, schema=SCHEMA),
            corpus / f"{name}.parquet",
            compression="zstd",
            use_dictionary=False,
            write_statistics=["synset_id"],
            store_schema=False,
        )
        print(f"{name}: {len(part)} rows")


if __name__ == "__main__":
    main()
