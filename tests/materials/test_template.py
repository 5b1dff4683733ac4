"""Prompts: what a template may read, what it prints, and what it is refused for."""

import decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.prompt import Prompt
from batch_assets.prompt.template import KeyTemplate, Renderer


def printed(source: str, **row: Any) -> str:
    """The text of one row; `row` has at least the fields the template reads."""
    renderer = Renderer(source)
    columns = [[row[name]] for name in renderer.fields]
    return next(renderer.texts(columns, lambda position: f"p.parquet, row {position}"))


def complaint(source: str, **row: Any) -> str:
    """Why the row cannot be rendered."""
    with pytest.raises(CorpusError) as refused:
        printed(source, **row)
    return refused.value.message


def test_the_fields_of_a_prompt_are_those_of_both_messages():
    prompt = Prompt(system="In {{ language }}.", user="{{ word }}: {{ gloss }} {{ word }}")

    assert prompt.fields() == ("gloss", "language", "word")


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("nothing", ()),
        ("{{ a }}{{ b.c }}{{ d['e'] }}", ("a", "b", "d")),
        ("{% if a %}{{ b }}{% else %}{{ c }}{% endif %}", ("a", "b", "c")),
        ("{% for x in a %}{{ x }}{{ loop.index }}{% endfor %}", ("a",)),
        ("{% set x = a %}{{ x }}", ("a",)),
        ("{% macro m(x) %}{{ x }}{{ b }}{% endmacro %}{{ m(a) }}", ("a", "b")),
        ("{{ a | default(b) }}{{ a is equalto c }}", ("a", "b", "c")),
        ("{# {{ a }} #}{% raw %}{{ b }}{% endraw %}{{ c }}", ("c",)),
        ("{{ range(3) | list }}{{ dict(a=1) }}", ()),
        ("{{ range }}{{ dict }}{{ lipsum }}{{ cycler }}", ("cycler", "dict", "lipsum", "range")),
        ("{{ kwargs }}{{ varargs }}{{ loop }}", ("kwargs", "loop", "varargs")),
        ("{{ class }}{{ from }}{{ _id }}{{ größe }}", ("_id", "class", "from", "größe")),
    ],
)
def test_a_field_is_a_name_that_nobody_but_a_column_gives_a_value(source, fields):
    assert Renderer(source).fields == fields


@pytest.mark.parametrize("name", ["kwargs", "varargs", "loop", "range", "dict", "class", "context"])
def test_a_column_may_be_called_like_a_word_of_python_or_jinja(name):
    assert printed(f"{{{{ {name} }}}}", **{name: "value"}) == "value"


@pytest.mark.parametrize("name", ["caller", "self", "super"])
def test_a_word_that_jinja_keeps_to_itself_is_refused_by_name(name):
    with pytest.raises(DeclarationError, match=f"line 1: {name} is a word of Jinja's"):
        Renderer(f"{{{{ {name} }}}}")


def test_a_macro_may_still_call_its_caller():
    source = "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}{{ x }}{% endcall %}"

    assert printed(source, x="a") == "<a>"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ word }}: {{ n + 1 }}", "oak: 3"),
        ("{% for tag in tags %}{{ loop.index }}.{{ tag }} {% endfor %}", "1.a 2.b "),
        ("{{ tags | join(', ') }}", "a, b"),
        ("{{ word | upper | trim }}", "OAK"),
        ("{% if flag %}yes{% else %}no{% endif %}", "yes"),
        ("{{ part.name }} {{ part['name'] }}", "leaf leaf"),
        ("{{ empty or '' }}|{{ empty | default('-', true) }}", "|-"),
        ("{% if empty is none %}none{% endif %}", "none"),
        ("{{ flag }} {{ price }} {{ 0.5 }}", "True 1.10 0.5"),
        ("{{ '%05d' | format(n) }}", "00002"),
        ("{{ word }} {", "oak {"),
        ("{ {{ word }} }", "{ oak }"),
        ("{{ word }}\n", "oak"),
        ("{{ word }}\n\n", "oak\n"),
        ("\n{{ word }}\n  {{ n }}", "\noak\n  2"),
        ("{%- if flag -%} {{ word }} {%- endif %}", "oak"),
        ("{{ '{{ word }}' }}{{ word }}", "{{ word }}oak"),
    ],
)
def test_a_template_prints_what_jinja_prints(source, expected):
    row = {
        "word": "oak",
        "n": 2,
        "tags": ["a", "b"],
        "flag": True,
        "part": {"name": "leaf"},
        "empty": None,
        "price": decimal.Decimal("1.10"),
    }

    assert printed(source, **row) == expected


def test_json_in_a_prompt_is_written_as_a_reader_would():
    """Escapes are paid for."""
    row = {"b": "<größe> & 'x'", "a": [1, None]}

    assert printed("{{ row | tojson }}", row=row) == """{"b": "<größe> & 'x'", "a": [1, null]}"""
    assert printed("{{ row | tojson(indent=1) }}", row={"a": 1}) == '{\n "a": 1\n}'


@given(st.text())
def test_text_of_the_corpus_is_printed_as_it_is(text):
    assert printed("<{{ x }}>", x=text) == f"<{text}>"


@pytest.mark.parametrize(
    "text", ["{{ 7 * 7 }}", "{% for x in y %}", "{# x #}", "{{ secret }}", "}}"]
)
def test_a_template_inside_a_row_is_text(text):
    """Whoever wrote the row does not write the prompt."""
    assert printed("{{ x }}", x=text) == text


def test_a_text_without_fields_is_the_same_for_every_row():
    assert Renderer("Say {{ 'what' | upper }} it is.\n").constant_text() == "Say WHAT it is."


@pytest.mark.parametrize(
    ("source", "line", "why"),
    [
        ("{{ a", 1, "unexpected end of template"),
        ("a\n{{ b }}\n{% if %}", 3, "Expected an expression"),
        ("{% endfor %}", 1, "unknown tag 'endfor'"),
        ("a\nb {{ c | nofilter }}", 2, "No filter named 'nofilter'"),
        ("{{ a is notest }}", 1, "No test named 'notest'"),
        ("{{ a }}{% endmacro %}{{ b }}", 1, "unknown tag 'endmacro'"),
        ("\n{% include 'other' %}", 2, "takes in no other"),
        ("{% extends 'other' %}{{ a }}", 1, "takes in no other"),
        ("{% import 'other' as o %}{{ a }}", 1, "takes in no other"),
        ("{% from 'other' import o %}{{ a }}", 1, "takes in no other"),
        ("{% block a %}{{ b }}{% endblock %}", 1, "a block has no meaning"),
        ("{{ a | random }}", 1, "No filter named 'random'"),
        ("{% for loop in a %}{% endfor %}", 1, "Can't assign to special loop variable"),
    ],
)
def test_a_template_that_cannot_be_compiled_is_refused_with_its_line(source, line, why):
    with pytest.raises(DeclarationError, match=f"line {line}: .*{why}"):
        Renderer(source)


def test_the_message_that_cannot_be_compiled_is_named():
    with pytest.raises(DeclarationError, match="the system template cannot be compiled"):
        Prompt(system="{{", user="{{ word }}").fields()


def test_half_a_character_cannot_be_sent():
    with pytest.raises(DeclarationError, match="half a character at position 5"):
        Renderer("smile\ud83d {{ word }}")


@pytest.mark.parametrize(
    "source", ["{{ none }}", "{{ 1 / 0 }}", "{{ range(3)[5] }}", "{{ range }}"]
)
def test_a_constant_text_that_cannot_be_rendered_is_a_matter_of_the_declaration(source):
    renderer = Renderer(source)

    with pytest.raises(DeclarationError, match="the user template cannot be rendered"):
        renderer.constant_text()


@pytest.mark.parametrize(
    "source",
    [
        "{{ b }}",
        "{{ b | upper }}",
        "{{ b | trim | title }}",
        "{{ 'x' ~ b }}",
        "{% if a %}{{ b }}{% endif %}",
        "{{ c or '' }}{{ b }}",
    ],
)
def test_a_null_that_is_printed_is_named_with_its_row_and_a_way_out(source):
    """The word None in a prompt is paid for and means nothing."""
    assert complaint(source, a=1, b=None, c=None) == (
        "p.parquet, row 0: b is null and the template prints it; "
        "fill it in, or write {{ field or '' }} in the template"
    )


def test_the_row_of_a_null_is_counted_from_the_first():
    texts = Renderer("{{ a }}").texts([["x", "y", None]], lambda position: f"row {position}")

    assert [next(texts), next(texts)] == ["x", "y"]
    with pytest.raises(CorpusError, match="row 2: a is null"):
        next(texts)


def test_a_null_inside_a_field_is_no_null_field():
    assert "a part of a field is null" in complaint("{{ part.name }}", part={"name": None})


@pytest.mark.parametrize(
    ("source", "row", "why"),
    [
        ("{{ 1 / n }}", {"n": 0}, "division by zero"),
        ("{{ a + b }}", {"a": 1, "b": None}, "unsupported operand"),
        ("{{ part.nme }}", {"part": {"name": 1}}, "has no attribute 'nme'"),
        ("{{ tags[3].x }}", {"tags": []}, "has no element 3"),
        ("{{ word.upper }}", {"word": "a"}, "a function is printed (upper)"),
        ("{{ part.items }}", {"part": {"items": 1}}, "write {{ field['name'] }}"),
        ("{{ image }}", {"image": b"\x89PNG"}, "a binary value is printed"),
        ("{{ word | int(base=99) }}{{ word.encode('x') }}", {"word": "1"}, "unknown encoding"),
        ("{% for i in range(10 ** 9) %}{{ x }}{% endfor %}", {"x": 1}, "Range too big"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}{{ x }}", {"x": 1}, "recursion"),
        ("{{ x | tojson }}", {"x": {1, 2}}, "not JSON serializable"),
    ],
)
def test_a_row_that_the_template_cannot_take_is_named_with_the_reason(source, row, why):
    message = complaint(source, **row)

    assert message.startswith("p.parquet, row 0: the template cannot be rendered: ")
    assert why in message
    assert message.endswith("; correct the row or the template")


@pytest.mark.parametrize(
    "source",
    [
        "{{ x.__class__ }}",
        "{{ x.__class__.__mro__[1].__subclasses__() }}",
        "{{ x | attr('__class__') }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ x.__init__.__globals__ }}",
        "{{ range(1).__class__ }}{{ x }}",
        "{{ namespace.__init__.__globals__ }}{{ namespace() }}{{ x }}",
        "{% set f = '{0.__class__}'.format %}{{ f(x) }}",
        "{{ [x] | map(attribute='__class__') | first }}",
        "{{ tags.append(x) }}",
        "{{ tags.clear() }}",
        "{{ part.update(a=1) }}",
    ],
)
def test_a_template_does_not_leave_its_sandbox(source):
    assert "unsafe" in complaint(source, x="a", tags=["a"], part={})


def test_rows_are_not_evaluated_further_than_they_are_asked_for():
    texts = Renderer("{{ a }}").texts([["x", None]], str)

    assert next(texts) == "x"


def keys(source: str, *rows: dict[str, Any]) -> list[str]:
    template = KeyTemplate(source)
    columns = [[row[name] for row in rows] for name in template.fields]
    return list(template.texts(columns, lambda position: f"p.parquet, row {position}"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ a }}", ["x", "y"]),
        ("{{ b }}-{{ a }}", ["1-x", "2-y"]),
        ("{{ '%03d' | format(b) }}", ["001", "002"]),
        ("{{ c or a }}", ["x", "y"]),
    ],
)
def test_an_item_id_may_be_made_of_columns(source, expected):
    rows = [{"a": "x", "b": 1, "c": None}, {"a": "y", "b": 2, "c": None}]

    assert keys(source, *rows) == expected


def test_an_item_id_names_the_columns_it_is_made_of():
    assert KeyTemplate("{{ b }}-{{ a }}").fields == ("a", "b")


@pytest.mark.parametrize(
    ("source", "row", "why"),
    [
        ("{{ a }}-{{ b }}", {"a": "x", "b": None}, "b is null and the item_id is made of it"),
        ("{{ a.b }}", {"a": {"b": None}}, "a part of a field is null and the item_id is made of"),
        ("{{ a }}", {"a": ""}, "the item_id is empty; every item needs an id: correct the row"),
        ("{{ a or '' }}", {"a": None}, "the item_id is empty"),
        ("{{ 1 / a }}", {"a": 0}, "the template cannot be rendered: division by zero"),
        ("{{ a }}{{ '\\ud83d' }}", {"a": "x"}, "the item_id has half a character"),
    ],
)
def test_a_row_without_an_item_id_is_named(source, row, why):
    with pytest.raises(CorpusError) as refused:
        keys(source, row)

    assert refused.value.message.startswith("p.parquet, row 0: ")
    assert why in refused.value.message


def test_the_row_without_an_item_id_is_counted_from_the_first():
    with pytest.raises(CorpusError, match=r"p.parquet, row 2: a is null"):
        keys("{{ a }}", {"a": "x"}, {"a": "y"}, {"a": None})


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ a", "the item_id template cannot be compiled: line 1"),
        ("{{ 1 + 1 }}", "reads no column, so all items would have the same id"),
    ],
)
def test_an_item_id_that_tells_no_items_apart_is_refused(source, why):
    with pytest.raises(DeclarationError, match=why):
        KeyTemplate(source)
