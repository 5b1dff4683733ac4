"""Jinja2 templates over the columns of a corpus, sandboxed and compiled once.

A template becomes a macro whose arguments are its fields: calling a macro with positional
arguments costs a tenth of rendering a template with a dict per row.
"""

import json
from collections.abc import Callable, Iterator, Sequence
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


def _as_json(value: Any, indent: int | None = None) -> str:
    """Jinja's own filter escapes for HTML and ASCII: six letters, and as many tokens, for one."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, finalize=_printable)
_ENVIRONMENT.filters["_printable"] = _printable
_ENVIRONMENT.filters["tojson"] = _as_json
# The same row must give the same request whenever it is rendered.
del _ENVIRONMENT.filters["random"]
#: Functions a template may call. They are no globals of the environment, so that a column of such
#: a name is a field where it is not called.
_FUNCTIONS = {name: _ENVIRONMENT.globals[name] for name in ("range", "namespace", "dict")}
_ENVIRONMENT.globals.clear()


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
            raise CorpusError(
                f"{describe_row(position)}: {self.nulls_of(columns, position)} null and the "
                "template prints it; fill it in, or write {{ field or '' }} in the template"
            ) from error
        except _RENDER_ERRORS as error:
            raise _not_rendered(describe_row(position), error) from error

    def texts_or_nulls(
        self, columns: Sequence[Sequence[Any]], describe_row: Callable[[int], str]
    ) -> Iterator[str | None]:
        """As `texts`, with None for a row that has a null where the template prints it."""
        for position, values in enumerate(zip(*columns, strict=True)):
            try:
                text = str(self._render(*values))
            except _NullField:
                text = None
            except _RENDER_ERRORS as error:
                raise _not_rendered(describe_row(position), error) from error
            yield text

    def nulls_of(self, columns: Sequence[Sequence[Any]], position: int) -> str:
        """Subject and verb of a sentence about the row's nulls: `gloss is`."""
        row = {name: column[position] for name, column in zip(self.fields, columns, strict=True)}
        nulls = [name for name, value in row.items() if value is None]
        printed = [name for name in nulls if name in self._printed]
        named = ", ".join(printed or nulls)
        return f"{named} is" if named else "a part of a field is"

    def _refused(self, why: str) -> DeclarationError:
        return DeclarationError(f"the {self._message} template {why}")


class KeyTemplate:
    """An item id as a template over columns, where no single column tells the items apart.

    Raises DeclarationError where it cannot be compiled or reads no column.
    """

    def __init__(self, source: str) -> None:
        self._renderer = Renderer(source, "item_id")
        #: The columns it reads, sorted.
        self.fields = self._renderer.fields
        if not self.fields:
            raise DeclarationError(
                f"item_id {source!r} reads no column, so all items would have the same id: "
                "name a column as {{ column }}"
            )

    def texts(
        self, columns: Sequence[Sequence[Any]], describe_row: Callable[[int], str]
    ) -> Iterator[str]:
        """The id of each row; `columns` holds the values of `fields`, one sequence each.

        Raises CorpusError with `describe_row(position)` for a null, an empty id, and where a row
        cannot be rendered.
        """
        keys = self._renderer.texts_or_nulls(columns, describe_row)
        for position, key in enumerate(keys):
            if not key or not _is_encodable(key):
                raise CorpusError(
                    f"{describe_row(position)}: {self._complaint(key, columns, position)}; "
                    "every item needs an id: correct the row or the template"
                )
            yield key

    def _complaint(self, key: str | None, columns: Sequence[Sequence[Any]], position: int) -> str:
        if key is None:
            return (
                f"{self._renderer.nulls_of(columns, position)} null and the item_id is made of it"
            )
        return "the item_id has half a character" if key else "the item_id is empty"


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_rendered(row: str, error: Exception) -> CorpusError:
    return CorpusError(
        f"{row}: the template cannot be rendered: {error}; correct the row or the template"
    )


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
