"""What a command answered, read."""

import json
from typing import Any

import jsonschema_rs
from click.testing import Result

from batch_assets.cli.schemas import json_schema_of, rows_by_schema


def rows_of(result: Result, schema: str, *, code: int = 0) -> list[dict[str, Any]]:
    """The rows of an answer in JSON, each as its schema says."""
    assert result.exit_code == code, result.output
    found = json.loads(result.stdout)
    assert found["schema"] == f"batch-assets/{schema}"
    rows: list[dict[str, Any]] = found["rows"]
    validator = jsonschema_rs.validator_for(json_schema_of(rows_by_schema()[found["schema"]]))
    for row in rows:
        validator.validate(row)
    return rows
