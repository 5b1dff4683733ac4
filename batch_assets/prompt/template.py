"""Jinja2 templates over the columns of a corpus, sandboxed and compiled once.

A template becomes a macro whose arguments are its fields: calling a macro with positional
arguments costs a tenth of rendering a template with a dict per row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from batch_assets.domain.errors import CorpusError, DeclarationError

#: Filters that would turn a null into the word None before anybody could refuse it.
_TEXT_FILTERS = frozenset(
    {
        "capitalize",
        "center",
        "e",
        "escape",
        "indent",
        "lower",
        "replace",
        "string",
        "title",
        "trim",
        "truncate",
        "upper",
        "urlencode",
        "wordwrap",
    }
)

#: Words that mean something else inside a template than a column of that name.
_JINJA_WORDS = ("caller", "self", "super")

#: What a template may do to a row that makes rendering it fail.
_RENDER_ERRORS = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class _NullField(jinja2.TemplateRuntimeError):
    """A field of the row is null where the template prints it."""


def _printable(value: Any) -> Any:
    """What the template prints, refused where the text would be Python's and not the corpus's."""
    if value.__class__ is str:
        return value
    if value is None:
        raise _NullField("a field printed by the template is null")
    if isinstance(value, (bytes, bytearray)):
        raise jinja2.TemplateRuntimeError(
            "a binary value is printed: write {{ field.decode() }} where it holds text"
        )
    if callable(value) and not isinstance(value, jinja2.Undefined):
        raise jinja2.TemplateRuntimeError(
            f"a function is printed ({getattr(value, '__name__', 'unnamed')}): "
            "call it, or write {{ field['name'] }} for a part of that name"
        )
    return value


_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, finalize=_printable)
_ENVIRONMENT.filters["_printable"] = _printable
# The same row must give the same request whenever it is rendered.
del _ENVIRONMENT.filters["random"]
#: Functions a template may call. They are no globals of the environment, so that a column of such
#: a name is a field where it is not called.
_FUNCTIONS = {name: _ENVIRONMENT.globals[name] for name in ("range", "namespace", "dict")}
_ENVIRONMENT.globals.clear()


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
        named = set(Renderer(self.user, "user").fields)
        if self.system is not None:
            named |= set(Renderer(self.system, "system").fields)
        return tuple(sorted(named))


class Renderer:
    """One compiled template: rows of field values in, texts out.

    Raises DeclarationError, naming the message and the line, where it cannot be compiled.
    """

    def __init__(self, source: str, message: str = "user") -> None:
        self._message = message
        try:
            # Half of a surrogate pair cannot be sent.
            source.encode()
            tree = _ENVIRONMENT.parse(source)
            self.fields = _fields_of(tree)
            self._printed = _printed_in(tree)
            self._render = _compiled(tree, self.fields)
        except jinja2.TemplateSyntaxError as error:
            raise self._refused(
                f"cannot be compiled: line {error.lineno}: {error.message}"
            ) from error
        except UnicodeEncodeError as error:
            raise self._refused(f"has half a character at position {error.start}") from error

    def constant_text(self) -> str:
        """The text of a template without fields."""
        try:
            return str(self._render())
        except _RENDER_ERRORS as error:
            raise self._refused(f"cannot be rendered: {error}") from error

    def texts(
        self, columns: Sequence[Sequence[Any]], describe_row: Callable[[int], str]
    ) -> Iterator[str]:
        """The text of each row; `columns` holds the values of `fields`, one sequence each.

        Raises CorpusError with `describe_row(position)` where a row cannot be rendered.
        """
        render = self._render
        position = 0
        try:
            for values in zip(*columns, strict=True):
                yield str(render(*values))
                position += 1
        except _NullField as error:
            row = {
                name: column[position] for name, column in zip(self.fields, columns, strict=True)
            }
            raise CorpusError(
                f"{describe_row(position)}: {self._nulls_of(row)} null and the template prints it; "
                "fill it in, or write {{ field or '' }} in the template"
            ) from error
        except _RENDER_ERRORS as error:
            raise CorpusError(
                f"{describe_row(position)}: the template cannot be rendered: {error}; "
                "correct the row or the template"
            ) from error

    def _nulls_of(self, row: dict[str, Any]) -> str:
        nulls = [name for name, value in row.items() if value is None]
        printed = [name for name in nulls if name in self._printed]
        named = ", ".join(printed or nulls)
        return f"{named} is" if named else "a part of a field is"

    def _refused(self, why: str) -> DeclarationError:
        return DeclarationError(f"the {self._message} template {why}")


def _fields_of(tree: nodes.Template) -> tuple[str, ...]:
    """The names a template reads and nobody but a column gives a value, sorted."""
    for node in tree.find_all((nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)):
        raise _fail("a prompt is one template and takes in no other", node)
    for block in tree.find_all(nodes.Block):
        raise _fail("a block has no meaning in a prompt", block)
    names = meta.find_undeclared_variables(tree)
    for name in tree.find_all(nodes.Name):
        # Jinja does not count `self` and `super` among the names that nobody declared.
        if name.name in _JINJA_WORDS and (name.name in names or name.name != "caller"):
            raise _fail(f"{name.name} is a word of Jinja's: give the column another name", name)
    called = {c.node.name for c in tree.find_all(nodes.Call) if isinstance(c.node, nodes.Name)}
    return tuple(sorted(names - (called & _FUNCTIONS.keys())))


def _fail(why: str, node: nodes.Node) -> jinja2.TemplateSyntaxError:
    return jinja2.TemplateSyntaxError(why, node.lineno)


def _printed_in(tree: nodes.Template) -> frozenset[str]:
    """Names that are printed as they are, or through filters; nulls on their way are refused."""
    for text_filter in tree.find_all(nodes.Filter):
        if text_filter.name in _TEXT_FILTERS and text_filter.node is not None:
            text_filter.node = _guarded(text_filter.node)
    for joined in tree.find_all(nodes.Concat):
        joined.nodes = [_guarded(part) for part in joined.nodes]
    printed: set[str] = set()
    for output in tree.find_all(nodes.Output):
        waiting: list[nodes.Node | None] = list(output.nodes)
        while waiting:
            match waiting.pop():
                case nodes.Name(name=name):
                    printed.add(name)
                case nodes.Filter(node=inner):
                    waiting.append(inner)
                case nodes.Concat(nodes=parts):
                    waiting.extend(parts)
    return frozenset(printed)


def _guarded(node: nodes.Expr) -> nodes.Expr:
    return nodes.Filter(node, "_printable", [], [], None, None, lineno=node.lineno)


def _compiled(tree: nodes.Template, fields: Sequence[str]) -> Callable[..., Any]:
    arguments = [nodes.Name(name, "param", lineno=1) for name in fields]
    macro = nodes.Macro("render", arguments, [], tree.body, lineno=1)
    module = nodes.Template([macro], lineno=1)
    module.set_environment(_ENVIRONMENT)
    code = _ENVIRONMENT.compile(module)
    template = jinja2.Template.from_code(_ENVIRONMENT, code, dict(_FUNCTIONS))
    render: Callable[..., Any] = template.module.render  # type: ignore[attr-defined]
    return render
