"""Jinja2 templates over the columns of a corpus, sandboxed and compiled once.

A template becomes a macro whose arguments are its fields: calling a macro with positional
arguments costs a tenth of rendering a template with a dict per row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import meta
from jinja2.sandbox import SandboxedEnvironment

from batch_assets.domain.errors import CorpusError, DeclarationError


class _NullField(jinja2.UndefinedError):
    """A field of the row is null where the template prints it."""


def _refuse_null(value: Any) -> Any:
    if value is None:
        raise _NullField("a field printed by the template is null")
    return value


_ENVIRONMENT = SandboxedEnvironment(
    undefined=jinja2.StrictUndefined, finalize=_refuse_null, keep_trailing_newline=False
)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """System and user message as Jinja2 templates over the corpus's columns.

    Templates run sandboxed. A field that no column has is an error before anything is sent, and so
    is printing a null: write {{ field or '' }} where a null is meant to print nothing.
    """

    user: str
    system: str | None = None

    def fields(self) -> tuple[str, ...]:
        """The columns the templates read, sorted."""
        named = _fields_of(self.user, "user")
        if self.system is not None:
            named |= _fields_of(self.system, "system")
        return tuple(sorted(named))


def _fields_of(source: str, name: str) -> set[str]:
    try:
        tree = _ENVIRONMENT.parse(source)
    except jinja2.TemplateSyntaxError as error:
        raise DeclarationError(
            f"the {name} template cannot be compiled: line {error.lineno}: {error.message}"
        ) from error
    return meta.find_undeclared_variables(tree) - set(_ENVIRONMENT.globals)


class Renderer:
    """One compiled template: rows of field values in, texts out."""

    def __init__(self, source: str, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        arguments = ", ".join(self.fields)
        self._template = _ENVIRONMENT.from_string(
            f"{{% macro render({arguments}) %}}{source}{{% endmacro %}}"
        )

    def texts(
        self, columns: Sequence[Sequence[Any]], describe_row: Callable[[int], str]
    ) -> Iterator[str]:
        """The text of each row; `columns` holds the values of `fields`, one sequence each.

        Raises CorpusError with `describe_row(position)` where a row cannot be rendered.
        """
        render: Any = self._template.module.render  # type: ignore[attr-defined]
        position = 0
        try:
            for values in zip(*columns, strict=True):
                yield str(render(*values))
                position += 1
        except _NullField as error:
            nulls = [
                name
                for name, column in zip(self.fields, columns, strict=True)
                if column[position] is None
            ]
            raise CorpusError(
                f"{describe_row(position)}: {', '.join(nulls)} is null and the template prints it; "
                "fill it in, or write {{ field or '' }} in the template"
            ) from error
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise CorpusError(
                f"{describe_row(position)}: the template cannot be rendered: {error}; "
                "correct the row or the template"
            ) from error


def renderer(source: str) -> Renderer | None:
    """A compiled template, or None where the text has no fields and is the same for every row."""
    fields = sorted(_fields_of(source, "message"))
    return Renderer(source, fields) if fields else None


def constant_text(source: str) -> str:
    """The text of a template without fields."""
    return _ENVIRONMENT.from_string(source).render()
