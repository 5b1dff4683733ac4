import json

import pytest

LABELS = ["animal", "plant", "food", "person", "artifact", "location"]


def answer(line):
    return line["response"]["body"]["choices"][0]


def classify(ask, text, labels=LABELS):
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": labels}},
        "required": ["label"],
        "additionalProperties": False,
    }
    named = {"name": "gloss", "strict": True, "schema": schema}
    line = ask(text=text, response_format={"type": "json_schema", "json_schema": named})
    return json.loads(answer(line)["message"]["content"])["label"]


@pytest.mark.parametrize(
    ("gloss", "label"),
    [
        ("Word: heron\nDefinition: grey or white wading bird with long legs", "animal"),
        ("Word: oak\nDefinition: a deciduous tree with lobed leaves", "plant"),
        ("Word: Lyon\nDefinition: a city in France on the Rhone river", "location"),
        ("Word: aioli\nDefinition: a sauce of garlic, served with fish", "food"),
    ],
    ids=["animal", "plant", "location", "food"],
)
def test_a_label_is_chosen_by_the_keywords_of_the_text(ask, gloss, label):
    assert classify(ask, gloss) == label


def test_an_unknown_label_is_found_by_its_own_name(ask):
    assert classify(ask, "this is about invoices and billing", ["shipping", "billing"]) == "billing"


def test_a_text_without_keywords_always_gets_the_same_label(ask):
    assert classify(ask, "zzz") == classify(ask, "zzz") in LABELS


def test_the_last_user_message_is_the_text(ask):
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "second"},
        {"role": "user", "content": [{"type": "text", "text": "third"}]},
        {"role": "system", "content": "fourth"},
    ]
    assert answer(ask(messages=messages))["message"]["content"] == "In short: third"


def test_json_mode_answers_with_an_object(ask):
    line = ask(text="some json, please", response_format={"type": "json_object"})
    assert json.loads(answer(line)["message"]["content"]) == {"summary": "some json, please"}


@pytest.mark.parametrize("parameter", ["max_completion_tokens", "max_tokens"])
def test_an_answer_longer_than_the_limit_is_cut(ask, parameter):
    line = ask(text="a rather long text " * 20, **{parameter: 3})
    assert answer(line)["finish_reason"] == "length"
    assert answer(line)["message"]["content"] == "In short: a "
    assert line["response"]["body"]["usage"]["completion_tokens"] == 3


def test_a_limit_that_is_not_reached_changes_nothing(ask):
    line = ask(text="short", max_completion_tokens=100)
    assert answer(line)["finish_reason"] == "stop"


def test_as_many_choices_are_given_as_are_asked_for(ask):
    body = ask(n=3)["response"]["body"]
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"]["completion_tokens"] % 3 == 0
