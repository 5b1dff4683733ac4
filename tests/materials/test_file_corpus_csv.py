"""CSV: what a value is, how a file may be written, and what is said of a line that is wrong."""

import pyarrow as pa
import pytest

from batch_assets.corpus import CsvDialect, FileCorpus
from batch_assets.domain.errors import CorpusError, DeclarationError


def read(path: object, *columns: str, **over: object) -> list[dict[str, object]]:
    corpus = FileCorpus(path=str(path), item_id="id", **over)
    [key] = corpus.partition_keys()
    parts = corpus.read(key, columns or corpus.schema(key).names)
    return pa.Table.from_batches(part.batch for part in parts).to_pylist()


def written(tmp_path, content: str | bytes, name: str = "p.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "value", ["007", "1e3", "NA", "null", "true", "2026-01-31", "+5", " a ", "nan", "1_000", ""]
)
def test_a_value_is_the_text_that_stands_there(tmp_path, value):
    path = written(tmp_path, f"id,value\n1,{value}\n")

    assert read(path) == [{"id": "1", "value": value}]


def test_values_that_change_their_looks_further_on_stay_what_they_are(tmp_path):
    """A million bytes of numbers, then a word: whoever guesses types breaks or alters the rows."""
    values = [f"{row:08}" for row in range(150_000)]
    values[-1] = "word"
    path = written(tmp_path, "id\n" + "\n".join(values))

    assert [row["id"] for row in read(path)] == values


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('id,t\n1,"a,b"\n', ["a,b"]),
        ('id,t\n1,"a ""b"""\n', ['a "b"']),
        ('id,t\n1,"a\nb\r\nc"\n2,d', ["a\nb\r\nc", "d"]),
        # A quote inside of a value is a character.
        ('id,t\n1,5" pipe\n2,b', ['5" pipe', "b"]),
        ('id,t\r\n1,""\r\n2,b\r\n', ["", "b"]),
        # Line ends of old.
        ("id,t\r1,a\r2,b", ["a", "b"]),
        ("\ufeffid,t\n1,a", ["a"]),
        ("id,t\n1,a\n\n\n2,b\n\n", ["a", "b"]),
        ("id,t\n1,a\0b", ["a\0b"]),
        ("id,t\n1,\u2028ün\x85ï 👩‍👩‍👧 \u202eabc", ["\u2028ün\x85ï 👩‍👩‍👧 \u202eabc"]),
        ("id,t\n1,{{ x }}\n2,=cmd()", ["{{ x }}", "=cmd()"]),
    ],
)
def test_rows_are_cut_where_the_file_means_it(tmp_path, content, rows):
    assert [row["t"] for row in read(written(tmp_path, content))] == rows


@pytest.mark.parametrize("text", [10, 300_000, 5_000_000])
def test_a_value_may_be_long(tmp_path, text):
    lines = [f"{row},{row}" for row in range(3_000)]
    lines[0], lines[2_000] = f"0,{'x' * text}", f'2000,"{"y" * text}\n"'
    path = written(tmp_path, "\n".join(["id,t", *lines]))

    rows = read(path)

    assert [row["id"] for row in rows] == [str(row) for row in range(3_000)]
    assert [len(rows[row]["t"]) for row in (0, 1, 2_000, 2_001)] == [text, 1, text + 1, 4]


def test_a_header_may_be_long(tmp_path):
    names = [f"column {place} {'x' * 100}" for place in range(4_000)]
    path = written(tmp_path, ",".join(names) + "\n" + ",".join("1" for _ in names))

    assert read(path, names[3_999]) == [{names[3_999]: "1"}]


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        ("id;t\n1;'a;b'\n", CsvDialect(delimiter=";", quote="'")),
        ("id|t\n1|a;b", CsvDialect(delimiter="|", quote=None)),
        ('id,t\n1,"a\\;b"', CsvDialect(escape="\\")),
        ("1,a;b", CsvDialect(header=("id", "t"))),
        ("id,t\n1,a;b".encode("utf-16"), CsvDialect(encoding="utf-16")),
        ("id,t\n1,a;b".encode("cp1252"), CsvDialect(encoding="cp1252")),
    ],
)
def test_a_file_may_be_written_in_another_way(tmp_path, content, dialect):
    assert read(written(tmp_path, content), csv=dialect) == [{"id": "1", "t": "a;b"}]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-be", "shift_jis", "utf-8-sig"])
def test_characters_that_lie_across_blocks_are_read_in_any_encoding(tmp_path, encoding):
    text = "ab" + ("é" if encoding == "latin-1" else "ア") * 30
    content = "id,t\n" + "".join(f"{row},{text}\n" for row in range(20_000))
    path = written(tmp_path, content.encode(encoding))

    rows = read(path, csv=CsvDialect(encoding=encoding))

    assert {row["t"] for row in rows} == {text}
    assert len(rows) == 20_000


def test_quotes_mean_nothing_where_there_are_none(tmp_path):
    path = written(tmp_path, 'id\tt\n1\t"never closed\n2\tb', "p.tsv")

    assert [row["t"] for row in read(path, csv=CsvDialect(quote=None))] == ['"never closed', "b"]


@pytest.mark.parametrize(
    "over",
    [
        {"delimiter": ";;"},
        {"delimiter": "\n"},
        {"delimiter": ""},
        {"quote": "«"},
        {"escape": "ab"},
        {"encoding": "klingon"},
    ],
)
def test_a_dialect_that_cannot_be_is_refused(over):
    [(name, value)] = over.items()

    with pytest.raises(DeclarationError, match=f"CSV {name} {value!r}".replace("\\", r"\\")):
        CsvDialect(**over)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (
            "id,t\n1,a\n2\n3,c\n",
            "line 3 (row 1): not readable as CSV (Expected 2 columns, got 1: 2",
        ),
        ("id,t\n1,a\n2,b,c\n", "line 3 (row 1): not readable as CSV (Expected 2 columns, got 3"),
        # Rows and lines are counted apart where values have line breaks, or lines are blank.
        ('id,t\n1,"a\nb\nc"\n\n2\n', "line 6 (row 1): not readable as CSV (Expected 2 columns"),
        (
            'id,t\n1,a\n2,"b\n3,c\n',
            "line 3 (row 1): not readable as CSV (a quote is opened and nev",
        ),
        ('id,t\n1,a\n2,"', "line 3 (row 1): not readable as CSV (a quote is opened and never cl"),
        (
            'id,t\n1,a\n"2,b\n3,c\n',
            "line 3 (row 1): not readable as CSV (Expected 2 columns, got 1",
        ),
        ('id,t\n1,a\n2,b"c\n3,"d"', None),
        (
            b"id,t\n1,a\n2,\xff\n3,c\n",
            "line 3 (row 1): not readable as CSV (CSV conversion error t",
        ),
        ("", "at row 0 or after it: not readable as CSV (Empty CSV file"),
    ],
)
def test_a_line_that_is_wrong_is_named_with_a_way_out(tmp_path, content, where):
    path = written(tmp_path, content)
    if where is None:
        assert len(read(path)) == 3
        return

    with pytest.raises(CorpusError) as refused:
        read(path, "t", "id")

    assert refused.value.message.startswith(f"{path}, {where}")
    assert "or say in the corpus's csv how it is written" in refused.value.message
    assert "\n" not in refused.value.message


def test_a_line_far_into_a_file_is_named(tmp_path):
    lines = [f'{row},"{row}\n{"x" * 100}"' for row in range(20_000)]
    lines[15_000] = "15000"
    path = written(tmp_path, "\n".join(["id,t", *lines]))

    with pytest.raises(CorpusError, match=r"line 30002 \(row 15000\).*Expected 2 columns, got 1"):
        read(path, "id")


def test_a_complaint_does_not_quote_a_whole_long_row(tmp_path):
    path = written(tmp_path, "id,t\n" + "x" * 100_000)

    with pytest.raises(CorpusError) as refused:
        read(path)

    assert len(refused.value.message) < 800


def test_bytes_that_are_no_text_in_the_encoding_are_named(tmp_path):
    path = written(tmp_path, b"id,t\n1,\x81\n")

    with pytest.raises(CorpusError, match=r"p\.csv, at row 0 or after it: .*shift_jis"):
        read(path, csv=CsvDialect(encoding="shift_jis"))


def test_a_column_that_is_not_there_is_named_beside_those_that_are(tmp_path):
    path = written(tmp_path, "id,t\n1,a\n")

    with pytest.raises(CorpusError, match="no longer has a column 'gloss'; its columns are id, t"):
        read(path, "gloss")


def test_two_columns_of_one_name_cannot_be_told_apart(tmp_path):
    path = written(tmp_path, "id,t,t\n1,a,b\n")

    assert read(path, "id") == [{"id": "1"}]
    with pytest.raises(CorpusError, match="has 2 columns named 't'"):
        read(path, "t")


def test_a_file_with_a_header_alone_has_no_rows(tmp_path):
    corpus = FileCorpus(path=str(written(tmp_path, "id,t\n")), item_id="id")

    assert list(corpus.read("p", ["id"])) == []
    assert corpus.schema("p").names == ["id", "t"]
