"""The JSON of every command: what programs may rely on, by the name that stands in each answer."""

import inspect
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import msgspec

from batch_assets.cli.render import Row

#: Each schema's name and its row, `module:NAME` and `module:Row` below this package.
_ROWS = {
    "again:RESOLVE_SCHEMA": "again:Resolved",
    "again:RETRY_SCHEMA": "again:AskedAgain",
    "approve:SCHEMA": "approve:Approved",
    "audit:SCHEMA": "audit_rows:Audited",
    "batches:LIST_SCHEMA": "batches:ListedBatch",
    "batches:SHOW_SCHEMA": "batches:ShownBatch",
    "batches_bring:SCHEMA": "batches_bring:Downloaded",
    "batches_cancel:SCHEMA": "batches_cancel:CancelledBatch",
    "batches_create:SCHEMA": "batches_create:CreatedBatch",
    "batches_delete:SCHEMA": "batches_delete:DeletedBatch",
    "control:SCHEMA": "control:Ordered",
    "decide:SCHEMA": "decide:Decided",
    "doctor:SCHEMA": "doctor:Diagnosis",
    "explain:SCHEMA": "explain:Explained",
    "export:SCHEMA": "export:Exported",
    "files:DELETE_SCHEMA": "files:DeletedFile",
    "files:LIST_SCHEMA": "files:ListedFile",
    "files_download:SCHEMA": "files_download:DownloadedFile",
    "files_upload:SCHEMA": "files_upload:UploadedFile",
    "ledger:CHECK_SCHEMA": "ledger:Checked",
    "plan:SCHEMA": "plan:Planned",
    "prune:SCHEMA": "prune:Pruned",
    "start:SCHEMA": "start:StartedPartition",
    "status:SCHEMA": "status:PartitionStatus",
    "wait:SCHEMA": "wait:Waited",
}


def rows_by_schema() -> Mapping[str, type[Row]]:
    """The row of each schema, by the schema's name."""
    return {_found(name): _found(row) for name, row in _ROWS.items()}


def json_schema_of(row: type[Row]) -> dict[str, Any]:
    """The JSON schema of one row, each field with what it says."""
    schema = msgspec.json.schema(row)
    for name, definition in schema["$defs"].items():
        comments = _comments(_struct_named(row, name))
        for field, says in definition.get("properties", {}).items():
            if field in comments:
                says["description"] = comments[field]
    return schema


def _found(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(f"batch_assets.cli.{module}"), name)


def _struct_named(row: type[Row], name: str) -> type[Row]:
    """A row that the row's module has: what a row holds is defined beside it."""
    found: type[Row] = getattr(inspect.getmodule(row), name)
    return found


def _comments(row: type[Row]) -> dict[str, str]:
    """What the source says of each field; a comment is about the field below it."""
    found = re.findall(r"((?:    #: .*\n)+)    (\w+):", inspect.getsource(row))
    return {field: " ".join(comment.replace("#: ", "").split()) for comment, field in found}
