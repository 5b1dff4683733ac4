"""What an import path names, so that a fresh process finds it again."""

from importlib import import_module
from typing import Any

from batch_assets.domain.errors import DeclarationError


def imported(path: str) -> Any:
    """What `package.module:Name` names. Raises DeclarationError where that is nothing."""
    module_name, _, name = path.partition(":")
    if not module_name or not name or module_name.startswith("."):
        raise DeclarationError(
            f"output {path!r} is not an import path; write it as package.module:Class"
        )
    try:
        return getattr(import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise DeclarationError(
            f"output {path!r} cannot be imported ({error}); "
            "it must be importable by every Dagster process"
        ) from error
