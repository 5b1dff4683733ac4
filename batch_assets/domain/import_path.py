"""What an import path names, so that a fresh process finds it again."""

from importlib import import_module
from typing import Any

from batch_assets.domain.errors import DeclarationError


def imported(path: str, what: str) -> Any:
    """What `package.module:Name` names; `what` is what it is called in errors.

    Raises DeclarationError where it names nothing.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name or module_name.startswith("."):
        raise DeclarationError(
            f"{what} {path!r} is not an import path; write it as package.module:Name"
        )
    try:
        found = import_module(module_name)
    except ImportError as error:
        raise _not_importable(path, what, str(error)) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise _not_importable(path, what, f"module {module_name!r} has no attribute {name!r}")
        found = getattr(found, part)
    return found


def _not_importable(path: str, what: str, why: str) -> DeclarationError:
    return DeclarationError(
        f"{what} {path!r} cannot be imported ({why}); "
        "it must be importable by every Dagster process"
    )
