"""A callable as the prompt: called for each item, it returns a text, messages, or a whole body."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.domain.import_path import imported
from batch_assets.prompt.messages import Columns, DescribeRow, Dialect, Varying
from batch_assets.prompt.returned import (
    Unusable,
    body_json,
    messages_json,
    text_json,
    user_message,
)

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Call:
    """A callable and the columns it is given, by the names of its parameters.

    Raises DeclarationError where another process could not find it, or where its parameters do not
    say which columns it reads.
    """

    def __init__(self, declared: Callable[..., Any] | str, columns: Sequence[str] | None) -> None:
        self.function = _imported(declared) if isinstance(declared, str) else declared
        self.name = declared if isinstance(declared, str) else _name_of(declared)
        for is_such, kind in (
            (inspect.iscoroutinefunction, "is async"),
            (inspect.isgeneratorfunction, "is a generator"),
            (inspect.isasyncgenfunction, "is an async generator"),
        ):
            if is_such(self.function):
                raise self._refused(f"{kind}: it must return what to ask")
        #: The columns it reads, in its own order.
        self.fields = self._fields(columns)

    @property
    def shape(self) -> str:
        """What determines it: its name and, where there is one, its source text."""
        try:
            source = inspect.getsource(inspect.unwrap(self.function))
        except (OSError, TypeError):
            source = ""
        return f"{self.name} {self.fields}\n{source}"

    def _fields(self, columns: Sequence[str] | None) -> tuple[str, ...]:
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError) as error:
            raise self._refused("does not tell its parameters: wrap it in a function") from error
        fields = tuple(columns) if columns is not None else self._named_in(signature)
        if not fields:
            raise self._refused("reads no column, so every item would be asked the same")
        try:
            signature.bind(**dict.fromkeys(fields))
        except TypeError as error:
            raise self._refused(
                f"cannot be called with the columns {', '.join(fields)} by name ({error})"
            ) from error
        return fields

    def _named_in(self, signature: inspect.Signature) -> tuple[str, ...]:
        for name, parameter in signature.parameters.items():
            if parameter.kind in _VARIADIC:
                raise self._refused(f"takes *{name}: name the columns it reads with columns=[…]")
            if parameter.default is not parameter.empty:
                raise self._refused(
                    f"has a default for {name}, so it does not say whether it reads a column "
                    f"{name}: take the default away, or name its columns with columns=[…]"
                )
        return tuple(signature.parameters)

    def _refused(self, why: str) -> DeclarationError:
        return DeclarationError(f"the prompt's call {self.name} {why}")


class CallPiece(Varying):
    """What a callable returns for each row, as JSON.

    A text becomes a user message. Where `stands_alone` there is nothing before it, so its messages
    come with the brackets of their array, and it may return a whole body instead.
    """

    def __init__(self, call: Call, dialect: Dialect, *, stands_alone: bool) -> None:
        self._call = call
        self._dialect: Dialect = dialect
        self._stands_alone = stands_alone
        self.fields = call.fields
        self.shape = call.shape

    def encoded(self, columns: Columns, describe_row: DescribeRow) -> Iterator[bytes]:
        rows = zip(*(columns[name] for name in self.fields), strict=True)
        for position, values in enumerate(rows):
            row = dict(zip(self.fields, values, strict=True))
            try:
                returned = self._call.function(**row)
            except Exception as error:
                raise CorpusError(
                    f"{describe_row(position)}: {self._call.name} raised {type(error).__name__}: "
                    f"{error}; correct the row or the function"
                ) from error
            try:
                yield self._json(returned)
            except Unusable as error:
                raise CorpusError(
                    f"{describe_row(position)}: {self._call.name} returned {error}; "
                    "correct the row or the function"
                ) from error

    def _json(self, returned: Any) -> bytes:
        if isinstance(returned, Mapping):
            if not self._stands_alone:
                raise Unusable(
                    "a whole body, which holds all messages, while the prompt has some of its own: "
                    "declare no system and no examples"
                )
            return body_json(returned, self._dialect)
        if self._dialect == "text":
            return text_json(returned)
        if isinstance(returned, str):
            messages = user_message(returned, self._dialect)
        elif isinstance(returned, (list, tuple)):
            messages = messages_json(returned, self._dialect)
        else:
            raise Unusable(
                f"{type(returned).__name__} and not a text, a list of messages or a body"
            )
        return b"[" + messages + b"]" if self._stands_alone else messages


def _imported(path: str) -> Callable[..., Any]:
    found = imported(path, "the prompt's call")
    if not callable(found):
        raise DeclarationError(f"the prompt's call {path!r} is not callable")
    return found  # type: ignore[no-any-return]


def _name_of(function: Callable[..., Any]) -> str:
    """`module:name` of a function. Raises DeclarationError for one that has no name of its own."""
    name = getattr(function, "__qualname__", None)
    # A method is found again, what it is bound to is not.
    is_bound = inspect.ismethod(function) and not inspect.isclass(function.__self__)
    if not callable(function) or name is None or "<" in name or is_bound:
        raise DeclarationError(
            f"the prompt's call is {name or repr(function)}, which has no name that another "
            "process finds: write a function at the top of a module (def ask(word): …)"
        )
    return f"{function.__module__}:{name}"
