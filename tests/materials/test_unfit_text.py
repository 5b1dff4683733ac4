"""Bytes that pass for text are found in the row and the column they stand in."""

import pyarrow as pa
import pytest

from batch_assets.corpus.unfit_text import UnfitText, check_text

#: The fourth value is no text; nobody checked it.
VALUES = pa.array([b"a", b"b", b"c", b"\xff", b"d"], pa.binary())
UNCHECKED = pa.Array.from_buffers(pa.string(), len(VALUES), VALUES.buffers())
WORDS = pa.array(["a", "b", "c", "d", "e"])


@pytest.mark.parametrize("begin", [0, 2])
@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()], ids=str)
def test_the_row_and_the_column_are_named(type_, begin):
    columns = [WORDS, UNCHECKED.cast(type_)]
    batch = pa.RecordBatch.from_arrays(columns, ["id", "word"]).slice(begin)

    with pytest.raises(UnfitText) as found:
        check_text(batch)

    assert (found.value.row, found.value.column) == (3 - begin, "word")


def test_text_inside_of_a_struct_is_left_to_arrow_which_names_the_column():
    struct = pa.StructArray.from_arrays([WORDS, UNCHECKED], ["id", "word"])

    with pytest.raises(pa.ArrowInvalid, match="In column 1"):
        check_text(pa.RecordBatch.from_arrays([WORDS, struct], ["id", "both"]))


def test_other_damage_is_left_to_arrow():
    offsets = pa.array([0, 9, 1], pa.int32()).buffers()[1]
    damaged = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"ab")])

    with pytest.raises(pa.ArrowInvalid, match=r"(?i)offset"):
        check_text(pa.RecordBatch.from_arrays([damaged], ["word"]))
