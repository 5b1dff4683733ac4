"""Images, documents and rows of any kind, as Anthropic takes them."""

import base64
from typing import Any

import pytest
from anthropic_bodies import body_of
from prompts import complaint, messages

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.prompt import Audio, File, Image, Prompt

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
PDF = b"%PDF-1.7 " + bytes(8)


def block(part: Any, **row: Any) -> Any:
    """The block that a part is in a message."""
    [message] = messages(Prompt(user=["{{ word }}", part]), "anthropic", word="oak", **row)
    [text, found] = message["content"]
    assert text == {"type": "text", "text": "oak"}
    return found


def in_base64(content: bytes, media_type: str) -> dict[str, str]:
    data = base64.b64encode(content).decode()
    return {"type": "base64", "media_type": media_type, "data": data}


def test_an_image_is_a_source_of_its_bytes_its_address_or_its_id(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    image = {"type": "image", "source": in_base64(PNG, "image/png")}

    assert block(Image(column="png"), png=PNG) == image
    assert block(Image(path="a.png", root=str(tmp_path))) == image
    assert block(Image(url="https://x.test/{{ word }}.png")) == {
        "type": "image",
        "source": {"type": "url", "url": "https://x.test/oak.png"},
    }
    assert block(Image(file_id="file_{{ word }}")) == {
        "type": "image",
        "source": {"type": "file", "file_id": "file_oak"},
    }


def test_a_document_is_a_pdf_or_a_text_with_its_name(tmp_path):
    (tmp_path / "a.pdf").write_bytes(PDF)
    text = {"type": "text", "media_type": "text/plain", "data": "Ein Wört."}

    assert block(File(path="a.pdf", root=str(tmp_path))) == {
        "type": "document",
        "title": "a.pdf",
        "source": in_base64(PDF, "application/pdf"),
    }
    assert block(File(column="pdf"), pdf=PDF) == {
        "type": "document",
        "source": in_base64(PDF, "application/pdf"),
    }
    note = File(column="note", media_type="text/plain", filename="note.txt")
    assert block(note, note="Ein Wört.".encode()) == {
        "type": "document",
        "title": "note.txt",
        "source": text,
    }
    assert block(File(url="https://x.test/a.pdf"))["source"] == {
        "type": "url",
        "url": "https://x.test/a.pdf",
    }
    assert block(File(file_id="file_1"))["source"] == {"type": "file", "file_id": "file_1"}


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        (Audio(column="wav"), "takes no audio"),
        (Image(column="png", detail="high"), "knows no detail"),
        (Image(column="png", media_type="image/tiff"), "not at image/tiff"),
        (File(column="doc", media_type="application/msword"), "not application/msword"),
        (Image(url="data:image/png;base64,AAAA"), "opens only http://, https://"),
    ],
)
def test_what_claude_does_not_take_is_refused_where_it_is_declared(part, complaint):
    with pytest.raises(DeclarationError, match=complaint):
        Prompt(user=["{{ word }}", part]).compiled("anthropic")


def test_a_row_whose_bytes_do_not_fit_is_named():
    latin = File(column="note", media_type="text/plain")
    prompt = Prompt(user=["{{ word }}", latin])

    assert "no UTF-8 at byte 1" in complaint(prompt, "anthropic", word="oak", note=b"W\xf6rt")


@pytest.mark.parametrize("text", ["", "   ", " \n\t "])
def test_an_empty_text_is_refused_before_it_is_sent(text):
    with pytest.raises(CorpusError, match="nothing but spaces, which Anthropic refuses"):
        body_of(Prompt(field="word"), row={"word": text})


@pytest.mark.parametrize("text", ['"content":""', '"text":" "', '\\"content\\":\\"\\"'])
def test_a_text_that_looks_like_an_empty_one_is_none(text):
    assert body_of(Prompt(field="word"), row={"word": text})["messages"][0]["content"] == text


def asked(word: str) -> Any:
    match word:
        case "text":
            return "What is it?"
        case "messages":
            return [
                {"role": "user", "content": [{"type": "text", "text": "What is it?"}]},
                {"role": "assistant", "content": "It is"},
            ]
        case "body":
            question = {"role": "user", "content": "What is it?"}
            return {"messages": [question], "system": "Be brief.", "max_tokens": 9}
        case "reserved":
            return {"messages": [{"role": "user", "content": "x"}], "tools": []}
        case "system":
            return {"messages": [{"role": "user", "content": "x"}], "system": [{"type": "image"}]}
        case "audio":
            return [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]
        case _:
            return [{"role": "system", "content": "x"}]


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("text", {"messages": [{"role": "user", "content": "What is it?"}], "max_tokens": 4_096}),
        ("messages", {"messages": asked("messages"), "max_tokens": 4_096}),
        ("body", asked("body")),
    ],
)
def test_a_call_may_return_a_text_messages_or_a_whole_body(word, part):
    body = body_of(Prompt(call=asked), row={"word": word})

    assert body == {"model": "claude-haiku-4-5", **part}


def test_with_a_system_message_a_call_returns_messages():
    prompt = Prompt(call=asked, system="Be brief.")

    assert body_of(prompt, row={"word": "text"})["system"][0]["text"] == "Be brief."
    with pytest.raises(CorpusError, match="declare no system"):
        body_of(prompt, row={"word": "body"})


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("reserved", "nobody is there to carry out a call"),
        ("system", "'system' cannot be"),
        ("audio", "input_audio"),
        ("role", "Invalid value 'system'"),
    ],
)
def test_what_a_call_cannot_return_is_refused_with_the_row(word, complaint):
    with pytest.raises(CorpusError, match=complaint):
        body_of(Prompt(call=asked), row={"word": word})
