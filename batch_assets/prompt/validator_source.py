"""The source text of a type of answers: its validators decide what an answer is read as."""

import ast
import inspect
import sys
from collections.abc import Iterator
from contextlib import suppress
from textwrap import dedent
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel

#: Whose classes and functions change with a release, and not with a declaration.
_FOREIGN = sys.stdlib_module_names | {
    "annotated_types",
    "batch_assets",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
}


def source_of(model: type) -> list[str]:
    """The source of a class, of its bases, and of every class and function that its fields name.

    Comments and layout do not show. A class without a source, one that was made by a call, gives
    its name; what a validator calls in its turn is not followed.
    """
    found: dict[str, str] = {}
    _collect(model, found)
    return [found[name] for name in sorted(found)]


def _collect(part: Any, found: dict[str, str]) -> None:
    for named in _named_in(part):
        if named.__module__.partition(".")[0] in _FOREIGN:
            continue
        name = f"{named.__module__}:{named.__qualname__}"
        if name in found:
            continue
        found[name] = f"{name}\n{_text_of(named)}"
        for field in _fields_of(named):
            _collect(field, found)


def _named_in(part: Any) -> Iterator[Any]:
    """The classes and functions in an annotation, or in what stands beside one."""
    if isinstance(part, type):
        yield from inspect.getmro(part)
    elif inspect.isroutine(part):
        if hasattr(part, "__module__") and part.__module__:
            yield part
    else:
        # Pydantic's AfterValidator and its kind.
        yield from _named_in(part.func) if inspect.isroutine(getattr(part, "func", None)) else ()
    for inner in get_args(part):
        yield from _named_in(inner)


def _fields_of(named: Any) -> Iterator[Any]:
    if not isinstance(named, type):
        return
    if issubclass(named, BaseModel):
        for field in named.model_fields.values():
            yield field.annotation
            yield from field.metadata
            yield field.default_factory
        return
    # A name that only a type checker knows.
    with suppress(NameError, TypeError):
        yield from get_type_hints(named, include_extras=True).values()


def _text_of(named: Any) -> str:
    try:
        text = dedent(inspect.getsource(named))
    except (OSError, TypeError):
        return ""
    with suppress(SyntaxError):  # a lambda in the middle of a call
        return ast.unparse(ast.parse(text))
    return text
