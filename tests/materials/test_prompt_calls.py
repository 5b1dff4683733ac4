"""A function as the prompt: what it is given, what it may return, what it is refused for."""

import datetime as dt
import functools
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompts import complaint, messages

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import Example, Prompt


def ask(word: str, gloss: str) -> str:
    return f"{word}: {gloss}"


def by_keyword(*, word: str) -> str:
    return word


def echo(said: Any) -> Any:
    return said


def parsed(said: str) -> Any:
    """What the row's text says as Python: rows hold no half characters, functions make them."""
    return eval(said, {"nan": float("nan"), "object": object})


def everything(**row: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.items())


def with_default(word: str, gloss: str = "?") -> str:
    return f"{word}: {gloss}"


def nothing() -> str:
    return "always"


def many(*words: str) -> str:
    return " ".join(words)


def positional(word: str, /) -> str:
    return word


async def later(word: str) -> str:
    return word


def one_by_one(word: str) -> Any:
    yield word


def failing(word: str) -> str:
    raise KeyError(word)


class Asker:
    def __init__(self, tone: str) -> None:
        self.tone = tone

    def ask(self, word: str) -> str:
        return f"{self.tone}: {word}"

    def __call__(self, word: str) -> str:
        return self.ask(word)

    @staticmethod
    def plainly(word: str) -> str:
        return word


politely = Asker("please")
ANSWER = 42


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_a_function_is_given_the_columns_that_its_parameters_name():
    prompt = Prompt(call=ask)

    assert prompt.fields() == ("gloss", "word")
    assert messages(prompt, gloss="a tree", word="oak") == [user("oak: a tree")]


@pytest.mark.parametrize(
    ("call", "columns", "expected"),
    [
        (by_keyword, None, "oak"),
        (Asker.plainly, None, "oak"),
        ("test_prompt_calls:by_keyword", None, "oak"),
        ("test_prompt_calls:Asker.plainly", None, "oak"),
        ("test_prompt_calls:politely", None, "please: oak"),
        ("test_prompt_calls:politely.ask", None, "please: oak"),
        (everything, ["word", "n"], "word=oak, n=7"),
        (everything, ["my column"], "my column=x"),
        (with_default, ["word"], "oak: ?"),
        (with_default, ["word", "gloss"], "oak: a tree"),
    ],
)
def test_a_function_is_called_with_the_row(call, columns, expected):
    row = {"word": "oak", "gloss": "a tree", "n": 7, "my column": "x"}

    assert messages(Prompt(call=call, columns=columns), **row) == [user(expected)]


def test_a_function_is_found_by_its_path_in_a_fresh_process():
    code = (
        "import pyarrow as pa\n"
        "from batch_assets.prompt import Prompt\n"
        "rows = pa.RecordBatch.from_pydict({'s': ['a/b']})\n"
        "compiled = Prompt(call='posixpath:basename', columns=['p']).compiled('text')\n"
        "rows = rows.rename_columns(['p'])\n"
        "print(next(compiled.encoded(rows, str)).decode())\n"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout == '"b"\n'


@pytest.mark.parametrize(
    ("call", "columns", "why"),
    [
        (lambda word: word, None, "has no name that another process finds"),
        (functools.partial(ask, gloss="?"), None, "has no name that another process finds"),
        (politely, None, "has no name that another process finds"),
        (politely.ask, None, "has no name that another process finds"),
        ("test_prompt_calls.ask", None, "is not an import path; write it as package.module"),
        (".calls:ask", None, "is not an import path"),
        ("no_such_module:ask", None, "cannot be imported .*No module named"),
        ("test_prompt_calls:no_such_function", None, "cannot be imported"),
        ("test_prompt_calls:ANSWER", None, "is not callable"),
        (later, None, "is async: it must return"),
        (one_by_one, None, "is a generator: it must return"),
        (nothing, None, "reads no column, so every item would be asked the same"),
        (ask, [], "reads no column"),
        (everything, None, r"takes \*row: name the columns it reads with columns="),
        (many, None, r"takes \*words: name the columns"),
        (with_default, None, "has a default for gloss"),
        (positional, None, "cannot be called with the columns word by name"),
        (ask, ["word"], "by name .*missing a required argument: 'gloss'"),
        (ask, ["word", "gloss", "other"], "unexpected keyword argument 'other'"),
        (dict, None, "does not tell its parameters"),
    ],
)
def test_a_function_that_cannot_be_called_for_every_row_is_refused(call, columns, why):
    prompt = Prompt(call=call, columns=columns)

    with pytest.raises(DeclarationError, match=why):
        prompt.fields()
    with pytest.raises(DeclarationError, match=why):
        prompt.compiled("chat")


def test_a_function_inside_another_is_refused():
    def local(word: str) -> str:
        return word

    with pytest.raises(DeclarationError, match="write a function at the top of a module"):
        Prompt(call=local).compiled("chat")


def test_a_text_comes_after_the_system_message_and_the_examples():
    prompt = Prompt(system="Sort.", examples=[Example(user="a", assistant="b")], call=by_keyword)

    assert messages(prompt, word="oak") == [
        {"role": "system", "content": "Sort."},
        user("a"),
        {"role": "assistant", "content": "b"},
        user("oak"),
    ]


CONVERSATION = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "a"}], "name": "ann"},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": "c"},
]


def test_a_function_may_return_messages():
    assert messages(Prompt(call=parsed), said=repr(CONVERSATION)) == CONVERSATION
    assert messages(Prompt(call=parsed, system="S"), said=repr(tuple(CONVERSATION))) == [
        {"role": "system", "content": "S"},
        *CONVERSATION,
    ]


@pytest.mark.parametrize(
    ("dialect", "returned"),
    [
        ("chat", [user([{"type": "image_url", "image_url": {"url": "https://x.org"}}])]),
        ("chat", [user("a"), {"role": "assistant", "tool_calls": [{"id": "1"}]}]),
        ("chat", [{"role": "tool", "content": "a", "tool_call_id": "1"}]),
        ("responses", [user([{"type": "input_text", "text": "a"}])]),
        ("responses", [{"type": "message", **user("a")}]),
        ("responses", [{"type": "item_reference", "id": "1"}, user("a")]),
        ("text", "a"),
        ("text", ["a", "b"]),
        ("chat", {"messages": [user("a")], "temperature": 0}),
        ("responses", {"input": "a", "reasoning": {"effort": "low"}}),
        ("responses", {"input": [user("a")]}),
        ("text", {"input": ["a"], "dimensions": 8}),
        ("text", {"prompt": "a", "suffix": "b"}),
    ],
)
def test_what_a_function_returns_is_sent_as_it_is(dialect, returned):
    assert messages(Prompt(call=parsed), dialect, said=repr(returned)) == returned


@pytest.mark.parametrize(
    ("dialect", "returned", "why"),
    [
        ("chat", None, "NoneType and not a text, a list of messages or a body"),
        ("chat", 7, "int and not a text"),
        ("chat", "", "an empty text"),
        ("chat", [], "an empty list of messages"),
        ("chat", ["a"], "message 0 is str and not a dict"),
        (
            "chat",
            [user("a"), {"role": "robot", "content": "a"}],
            "message 1: Invalid value 'robot'",
        ),
        ("chat", [{"content": "a"}], "message 0: Object missing required field `role`"),
        ("chat", [{"role": "user"}], "message 0: Object missing required field `content`"),
        ("chat", [user("")], "message 0: Expected `str` of length >= 1"),
        ("chat", [user(7)], "message 0: Expected `str | array`, got `int` - at `$.content`"),
        ("chat", [user([])], "message 0: Expected `array` of length >= 1"),
        ("chat", [user([{"type": "input_text", "text": "a"}])], "Invalid value 'input_text'"),
        ("chat", [user([{"type": "text"}])], "missing required field `text` - at `$.content[0]`"),
        ("chat", [{"role": "assistant", "content": None}], "of the assistant says nothing"),
        ("responses", [user([{"type": "text", "text": "a"}])], "Invalid value 'text'"),
        ("responses", [{"type": "message", "content": "a"}], "missing required field `role`"),
        ("responses", [7], "message 0 is int and not a dict"),
        ("text", "", "an empty text"),
        ("text", [], "Expected `array` of length >= 1"),
        ("text", ["a", ""], "Expected `str` of length >= 1 - at `$[1]`"),
        ("text", [user("a")], "Expected `str`, got `object` - at `$[0]`"),
        ("text", 7, "Expected `str | array`, got `int`"),
        ("chat", {}, "a body without a list of messages"),
        ("chat", {"messages": "a"}, "a body without a list of messages"),
        ("chat", {"messages": []}, "an empty list of messages"),
        ("chat", {"messages": [user("")]}, "message 0: Expected `str` of length >= 1"),
        ("chat", {"messages": [user("a")], "model": "m"}, "a body with model: it is declared"),
        ("chat", {"messages": [user("a")], "stream": False}, "a body with stream: a batch does"),
        ("chat", {"messages": [user("a")], 7: 7}, "a body with a field 7, whose name is no text"),
        ("responses", {"input": []}, "an empty list of messages"),
        ("responses", {"temperature": 0}, "a body without an input"),
        ("responses", {"input": ""}, "a body without an input"),
        ("text", {"dimensions": 8}, "a body with neither an input nor a prompt"),
        ("chat", {"messages": [user("a")], "seed": float("nan")}, "cannot be written as JSON"),
        ("chat", {"messages": [user("a")], "user": {1, 2}}, "cannot be written as JSON"),
        ("chat", {"messages": [user("a")], "user": b"a"}, "cannot be written as JSON"),
        ("chat", "\ud83d", "a text with half a character"),
        ("chat", [user("\ud83d")], "a text with half a character"),
        ("text", "\ud83d", "a text with half a character"),
        ("chat", {"messages": [user("a")], "user": "\udc00"}, "a text with half a character"),
    ],
)
def test_what_cannot_be_sent_is_named_with_its_row_and_the_function(dialect, returned, why):
    message = complaint(Prompt(call=parsed), dialect, said=ascii(returned))

    assert message.startswith("row 0: test_prompt_calls:parsed returned ")
    assert why in message
    assert message.endswith("; correct the row or the function")


def test_a_whole_body_leaves_no_place_for_other_messages():
    prompt = Prompt(call=parsed, system="Sort.")

    assert not prompt.compiled("chat").gives_bodies
    assert "declare no system and no examples" in complaint(
        prompt, said=repr({"messages": [user("a")]})
    )


@pytest.mark.parametrize("dialect", ["chat", "responses", "text"])
def test_a_prompt_says_whether_it_may_give_whole_bodies(dialect):
    assert Prompt(call=echo).compiled(dialect).gives_bodies
    assert not Prompt(field="said").compiled(dialect).gives_bodies


def test_bytes_that_begin_with_a_brace_are_a_body_and_others_are_messages():
    rows = pa.RecordBatch.from_pydict({"said": ["'{}'", "[{'role': 'user', 'content': 'a'}]"]})
    body = pa.RecordBatch.from_pydict({"said": ["{'input': 'a'}"]})
    compiled = {name: Prompt(call=parsed).compiled(name) for name in ("chat", "text")}

    begins = [bytes(each[:1]) for each in compiled["chat"].encoded(rows, str)]
    begins += [bytes(each[:1]) for each in compiled["text"].encoded(rows.slice(0, 1), str)]
    begins += [bytes(each[:1]) for each in compiled["text"].encoded(body, str)]

    assert begins == [b"[", b"[", b'"', b"{"]


def test_what_a_function_raises_is_named_with_its_row():
    assert complaint(Prompt(call=failing), word="oak") == (
        "row 0: test_prompt_calls:failing raised KeyError: 'oak'; correct the row or the function"
    )


def test_a_function_sees_pythons_own_values():
    row = {"a": None, "b": [1, None], "c": dt.date(2026, 1, 2), "d": {"e": b"\x00"}, "f": 0.5}

    said = messages(Prompt(call=everything, columns=list(row)), **row)

    assert said == [user("a=None, b=[1, None], c=2026-01-02, d={'e': b'\\x00'}, f=0.5")]


def test_the_shape_of_a_function_is_its_name_and_its_text(tmp_path, monkeypatch):
    """A function that was written anew asks something else."""
    monkeypatch.syspath_prepend(tmp_path)
    shapes = []
    for number, text in enumerate(["return word", "return word", "return word + '?'"]):
        (tmp_path / f"asking_{number}.py").write_text(f"def ask(word):\n    {text}\n")
        path = f"asking_{number}:ask"
        shapes.append([s.replace(path, "") for s in Prompt(call=path).compiled("chat").shape])

    assert shapes[0] == shapes[1] != shapes[2]
    assert Prompt(call=echo).compiled("chat").shape != Prompt(call=parsed).compiled("chat").shape


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@settings(max_examples=50)
def test_any_text_that_a_function_returns_is_text(text):
    assert messages(Prompt(call=echo), said=text) == [user(text)]
    assert messages(Prompt(call=echo), "text", said=text) == text
