"""What stored results say of themselves."""

from batch_assets.domain.request import RequestSetDigest
from batch_assets.files.parquet import stream_parquet
from batch_assets.files.store import Files


def request_set_of_results(files: Files, path: str) -> RequestSetDigest | None:
    """The request set that stored results came from; None where there are none."""
    if not files.exists(path):
        return None
    first = next(stream_parquet(files, path, columns=["request_set"]), None)
    return None if first is None else RequestSetDigest(first.column("request_set")[0].as_py())
