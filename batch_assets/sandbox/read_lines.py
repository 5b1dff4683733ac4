"""The input file of a batch in the form that the sandbox executes, beside the one that was sent."""

from collections.abc import Callable

from batch_assets.sandbox.errors import ApiError
from batch_assets.sandbox.provider import Sandbox
from batch_assets.sandbox.stored_files import LIFETIME

_ENDING = ".as-read"

Rewrite = Callable[[bytes], bytes]


def as_read(sandbox: Sandbox, file_id: str, rewrite: Rewrite) -> str:
    """The id of a copy whose lines are rewritten; the copy is of no wire, so no list shows it.

    An unknown file keeps its id, and its batch fails.
    """
    try:
        sandbox.files.get(file_id)
    except ApiError:
        return file_id
    copy_id = f"{file_id}{_ENDING}"
    if not sandbox.files.content_path(copy_id).exists():
        with (
            sandbox.files.content_path(file_id).open("rb") as lines,
            sandbox.receiving(copy_id) as copy,
        ):
            copy.writelines(map(rewrite, lines))
        sandbox.add_upload(copy_id, copy_id, LIFETIME, wire="", purpose="batch_input")
    return copy_id


def as_sent(file_id: str) -> str:
    """The id of the file that was sent."""
    return file_id.removesuffix(_ENDING)
