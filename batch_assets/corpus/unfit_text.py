"""Text that is none: Parquet, Arrow and pandas let bytes pass for which there is no character."""

import pyarrow as pa


class UnfitText(Exception):
    """A value of a column of text has no characters."""

    def __init__(self, row: int, column: str) -> None:
        super().__init__(row, column)
        #: Position in the batch.
        self.row = row
        self.column = column

    def __str__(self) -> str:
        return "bytes that are no UTF-8, or half of a surrogate pair"


def check_text(batch: pa.RecordBatch) -> None:
    """Raise UnfitText for the first text that is none, ArrowInvalid for what else is damaged.

    Text inside of lists, structs and dictionaries is of the latter: the message names the column.
    """
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        unfit = [
            (row, name)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
            if (row := _first_unfit(column)) is not None
        ]
        if not unfit:
            raise
        raise UnfitText(*min(unfit)) from None


def _first_unfit(column: pa.Array) -> int | None:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return None
    if not _is_unfit(column):
        return None
    return next(row for row in range(len(column)) if _is_unfit(column.slice(row, 1)))


def _is_unfit(column: pa.Array) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        # Else its values cannot be looked at.
        return "UTF8" in str(error)
    return False
