"""What the endpoint `messages` makes of one row."""

import json
from typing import Any

import pyarrow as pa
from answer_lines import an_endpoint

from batch_assets.prompt import Prompt
from batch_assets.prompt.output import Output

ONE = Prompt(user="{{ word }}")


def body_of(
    prompt: Prompt = ONE, output: Output | None = None, row: Any = None, **settings: Any
) -> Any:
    """The body of one row's request; keywords are settings."""
    endpoint = an_endpoint(
        "messages", model="claude-haiku-4-5", prompt=prompt, output=output, **settings
    )
    [body] = endpoint.bodies(pa.RecordBatch.from_pylist([row or {"word": "oak"}]), str)
    return json.loads(body)
