"""What a prompt makes of one row."""

import json
from typing import Any

import pyarrow as pa
import pytest

from batch_assets.domain.errors import CorpusError
from batch_assets.prompt import Prompt
from batch_assets.prompt.messages import Dialect


def messages(prompt: Prompt, dialect: Dialect = "chat", **row: Any) -> Any:
    """What stands for the messages in the body of the row's request."""
    rows = pa.RecordBatch.from_pydict({name: [value] for name, value in row.items()})
    compiled = prompt.compiled(dialect)
    [encoded] = compiled.encoded(rows.select(compiled.fields), lambda position: f"row {position}")
    return json.loads(encoded)


def complaint(prompt: Prompt, dialect: Dialect = "chat", **row: Any) -> str:
    """Why the row cannot be rendered."""
    with pytest.raises(CorpusError) as refused:
        messages(prompt, dialect, **row)
    return refused.value.message
