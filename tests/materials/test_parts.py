"""Images, files and audio in a user message: where they come from, and what they must be."""

import base64
import tracemalloc
import uuid
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompts import complaint, messages

from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.prompt import Audio, File, Image, Prompt
from batch_assets.prompt.media import LARGEST_BYTES, data_url

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"
GIF = b"GIF89a\x01\x00"
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3"
WAV = b"RIFF$\x00\x00\x00WAVEfmt "
MP3 = b"ID3\x04\x00\x00"
BARE_MP3 = b"\xff\xfb\x90\x64\x00"


def the_parts(*given: Any, dialect: Any = "chat", **row: Any) -> Any:
    """The content of the one message that these parts make of a row."""
    return messages(Prompt(user=given), dialect, **row)[0]["content"]


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("part", "dialect", "expected"),
    [
        (
            Image(url="https://x.org/{{ name }}.png"),
            "chat",
            {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}},
        ),
        (
            Image(url="https://x.org/{{ name }}.png", detail="low"),
            "chat",
            {"type": "image_url", "image_url": {"url": "https://x.org/a.png", "detail": "low"}},
        ),
        (
            Image(url="https://x.org/{{ name }}.png", detail="high"),
            "responses",
            {"type": "input_image", "detail": "high", "image_url": "https://x.org/a.png"},
        ),
        (
            Image(url="https://x.org/logo.png"),
            "responses",
            {"type": "input_image", "detail": "auto", "image_url": "https://x.org/logo.png"},
        ),
        (
            Image(file_id="file-{{ name }}"),
            "responses",
            {"type": "input_image", "detail": "auto", "file_id": "file-a"},
        ),
        (
            Image(column="content"),
            "chat",
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{in_base64(PNG)}"},
            },
        ),
        (File(file_id="{{ name }}"), "chat", {"type": "file", "file": {"file_id": "a"}}),
        (File(file_id="{{ name }}"), "responses", {"type": "input_file", "file_id": "a"}),
        (
            File(url="https://x.org/{{ name }}.pdf"),
            "responses",
            {"type": "input_file", "file_url": "https://x.org/a.pdf"},
        ),
        (
            File(column="pdf", filename="letter.pdf"),
            "chat",
            {
                "type": "file",
                "file": {
                    "filename": "letter.pdf",
                    "file_data": f"data:application/pdf;base64,{in_base64(PDF)}",
                },
            },
        ),
        (
            File(column="pdf"),
            "responses",
            {
                "type": "input_file",
                "filename": "file.pdf",
                "file_data": f"data:application/pdf;base64,{in_base64(PDF)}",
            },
        ),
        (
            File(column="csv", media_type="text/csv"),
            "responses",
            {
                "type": "input_file",
                "filename": "file.csv",
                "file_data": f"data:text/csv;base64,{in_base64(b'a,b')}",
            },
        ),
        (
            Audio(column="wav"),
            "chat",
            {"type": "input_audio", "input_audio": {"data": in_base64(WAV), "format": "wav"}},
        ),
    ],
)
def test_a_part_has_the_form_that_the_endpoint_takes(part, dialect, expected):
    row = {"name": "a", "content": PNG, "pdf": PDF, "csv": b"a,b", "wav": WAV}

    assert the_parts(part, dialect=dialect, **row) == [expected]


def test_parts_keep_their_order_and_a_text_among_them_is_a_template():
    said = the_parts(
        "First:", Image(column="a"), "then {{ word }}:", Image(url="{{ b }}"), "Compare.",
        a=PNG, b="https://x.org/b.png", word="this",
    )  # fmt: skip

    assert [part.get("text", part["type"]) for part in said] == [
        "First:",
        "image_url",
        "then this:",
        "image_url",
        "Compare.",
    ]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(PNG, "image/png"), (JPEG, "image/jpeg"), (GIF, "image/gif"), (WEBP, "image/webp")],
)
def test_the_kind_of_an_image_is_told_from_its_bytes(content, media_type):
    [part] = the_parts(Image(column="photo"), photo=content)

    assert part["image_url"]["url"] == f"data:{media_type};base64,{in_base64(content)}"


@pytest.mark.parametrize(("content", "form"), [(WAV, "wav"), (MP3, "mp3"), (BARE_MP3, "mp3")])
def test_the_format_of_audio_is_told_from_its_bytes(content, form):
    [part] = the_parts(Audio(column="sound"), sound=content)

    assert part["input_audio"]["format"] == form


def test_the_media_type_may_be_given_where_bytes_do_not_tell_it():
    [part] = the_parts(Image(column="photo", media_type="image/avif"), photo=b"\x00ftypavif")

    assert part["image_url"]["url"].startswith("data:image/avif;base64,")


def test_an_image_may_be_a_struct_with_its_bytes_as_hugging_face_has_it():
    said = the_parts(File(column="doc"), doc={"bytes": PDF, "path": "letters/a.pdf"})

    assert said[0]["file"]["filename"] == "a.pdf"


def test_a_column_of_images_is_not_copied_whole():
    photos = [{"bytes": PNG + bytes(1_000_000), "path": None}] * 30
    rows = pa.RecordBatch.from_pydict({"photo": photos})
    encoded = Prompt(user=[Image(column="photo")]).compiled("chat").encoded(rows, str)
    tracemalloc.start()
    try:
        length = sum(len(each) for each in encoded)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert length > 40_000_000
    assert peak < 10_000_000


@given(st.binary(min_size=1, max_size=300))
def test_bytes_arrive_as_they_are(content):
    part = File(column="doc", media_type="application/pdf")
    [said] = the_parts(part, doc=content)

    head, _, encoded = said["file"]["file_data"].partition(",")
    assert (head, base64.b64decode(encoded)) == ("data:application/pdf;base64", content)


@pytest.mark.parametrize(
    ("part", "row", "why"),
    [
        (Image(column="a"), {"a": PDF}, "a: the image: its bytes are none of image/png"),
        (Image(column="a"), {"a": b"<svg/>"}, "a: the image: its bytes are none of image/png"),
        (File(column="a"), {"a": PNG}, "a: the file: its bytes are no PDF"),
        (Audio(column="a"), {"a": PNG}, "a: the audio: its bytes are none of audio/wav"),
        (Audio(column="a"), {"a": WEBP}, "a: the audio: its bytes are none of audio/wav"),
        (Image(column="a"), {"a": "text"}, "a: the image: it is str and not bytes"),
        (Image(column="a"), {"a": {"bytes": "text"}}, "a: the image: it is str and not bytes"),
        (Image(column="a"), {"a": None}, "a gives the image nothing, it is null or empty"),
        (Image(column="a"), {"a": b""}, "a gives the image nothing, it is null or empty"),
        (Image(url="{{ a }}"), {"a": None}, "a gives the image's url nothing"),
        (Image(url="{{ a }}"), {"a": ""}, "a gives the image's url nothing"),
        (Image(url="{{ a }}"), {"a": "cat.png"}, "a: the image's url is 'cat.png', and a provider"),
        (Image(url="{{ a }}"), {"a": "file:///etc/passwd"}, "for a file of yours give path"),
        (Image(url="{{ a.b }}"), {"a": {"c": 1}}, "the template cannot be rendered"),
    ],
)
def test_a_row_without_a_usable_part_is_named_with_its_field(part, row, why):
    message = complaint(Prompt(user=["Look.", part]), **row)

    assert message.startswith("row 0: ")
    assert why in message


def test_an_optional_part_that_a_row_does_not_have_is_left_out():
    parts = [Image(column="a", optional=True), "text", Image(url="{{ b }}", optional=True)]

    kinds = [
        [part["type"] for part in the_parts(*parts, a=a, b=b)]
        for a in (PNG, None)
        for b in ("https://x.org", None, "")
    ]

    both, first, second = ["image_url", "text", "image_url"], ["image_url", "text"], ["text"]
    assert kinds == [both, first, first, ["text", "image_url"], second, second]


def test_an_optional_part_is_still_checked_where_the_row_has_it():
    assert "none of image/png" in complaint(
        Prompt(user=["a", Image(column="a", optional=True)]), a=b"no image"
    )


def test_a_message_of_which_every_part_is_left_out_is_refused():
    prompt = Prompt(user=[Image(column="a", optional=True), Image(url="{{ b }}", optional=True)])

    assert complaint(prompt, a=None, b=None) == (
        "row 0: a, b are null or empty, so every part of the message is left out: "
        "leave out the row, or add a text"
    )


def test_a_bad_part_is_named_by_its_own_row():
    rows = pa.RecordBatch.from_pydict({"a": [PNG, JPEG, b"?"]})
    encoded = (
        Prompt(user=[Image(column="a")]).compiled("chat").encoded(rows, lambda at: f"row {at}")
    )

    assert len([next(encoded), next(encoded)]) == 2
    with pytest.raises(CorpusError, match="row 2: a: the image"):
        next(encoded)


@pytest.fixture(params=["folder", "memory"])
def root(request: pytest.FixtureRequest, tmp_path) -> str:
    """A folder with files, here and in a store that fsspec knows."""
    url = str(tmp_path / "root") if request.param == "folder" else f"memory://{uuid.uuid4()}"
    fs, base = fsspec.core.url_to_fs(url)
    fs.makedirs(f"{base}/in")
    for name, content in (("a.png", PNG), ("in/b ü.pdf", PDF), ("empty.png", b"")):
        fs.pipe_file(f"{base}/{name}", content)
    outside = base.rsplit("/", 1)[0] + "/secret.png"
    fs.pipe_file(outside, PNG)
    return url


def test_a_file_that_a_row_names_is_read_below_the_root(root):
    said = the_parts(Image(path="{{ n }}.png", root=root), n="a")
    named = the_parts(File(path="{{ n }}", root=f"{root}/"), n="in/b ü.pdf")
    whole = the_parts(Image(path="{{ n }}", root=root), n=f"{root}/a.png")

    assert said == whole
    assert said[0]["image_url"]["url"] == data_url(PNG)
    assert named[0]["file"] == {"filename": "b ü.pdf", "file_data": data_url(PDF)}


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "in/../../secret.png",
        "/etc/hostname",
        "file:///etc/hostname",
        "s3://bucket/a.png",
        "simplecache::file:///etc/hostname",
        "a.png\x00",
    ],
)
def test_a_row_cannot_name_a_file_outside_the_root(root, name):
    message = complaint(Prompt(user=[Image(path="{{ n }}", root=root)]), n=name)

    assert "row 0: n: the image: " in message
    assert "name a file in that folder" in message


def test_a_file_that_is_not_there_is_named_with_its_row(root):
    message = complaint(Prompt(user=[Image(path="{{ n }}", root=root)]), n="none.png")

    assert "row 0: n: the image: 'none.png' cannot be read from" in message
    assert "FileNotFoundError" in message


def test_an_empty_file_is_no_image(root):
    assert "its bytes are none of" in complaint(
        Prompt(user=[Image(path="{{ n }}", root=root)]), n="empty.png"
    )


def test_an_optional_file_that_a_row_does_not_name_is_left_out(root):
    prompt = [Image(path="{{ n }}", root=root, optional=True), "Look."]

    assert [len(the_parts(*prompt, n=name)) for name in ("a.png", None, "")] == [2, 1, 1]


def test_a_file_too_large_for_any_provider_is_refused(tmp_path):
    with (tmp_path / "large.pdf").open("wb") as large:
        large.write(PDF)
        large.truncate(LARGEST_BYTES + 1)

    message = complaint(Prompt(user=[File(path="{{ n }}", root=str(tmp_path))]), n="large.pdf")

    assert "has more than 50,000,000 bytes" in message


def test_a_file_that_all_rows_share_is_read_once(root):
    compiled = Prompt(user=["{{ word }}", Image(path="a.png", root=root)]).compiled("chat")
    fs, base = fsspec.core.url_to_fs(root)
    fs.rm_file(f"{base}/a.png")

    rows = pa.RecordBatch.from_pydict({"word": ["oak", "ash"]})
    assert all(data_url(PNG).encode() in each for each in compiled.encoded(rows, str))


def test_a_shared_file_that_is_not_there_is_a_matter_of_the_declaration(root):
    prompt = Prompt(user=["{{ word }}", Image(path="none.png", root=root)])

    assert prompt.fields() == ("word",)
    with pytest.raises(DeclarationError, match=r"the image of the prompt: 'none.png' cannot be"):
        prompt.compiled("chat")


@pytest.mark.parametrize(
    ("kind", "given", "why"),
    [
        (Image, {}, "it has no source: give exactly one of url, column, path, file_id"),
        (Image, {"url": "a", "column": "b"}, "it has url and column"),
        (Image, {"path": "{{ a }}"}, "path and root belong together"),
        (Image, {"url": "a", "root": "b"}, "path and root belong together"),
        (Image, {"path": "{{ a }}", "root": "https://x.org"}, "root is a web address"),
        (Image, {"column": "a", "detail": "medium"}, "'medium' is none of auto, low, high"),
        (Image, {"column": "a", "media_type": 'a"b'}, "write it as image/png"),
        (Image, {"url": "a", "media_type": "image/png"}, "media_type is said of bytes"),
        (File, {"file_id": "a", "filename": "b"}, "filename is said of bytes"),
        (File, {"column": "a", "filename": "{{ b }}"}, "filename is the same for all rows"),
        (Audio, {"url": "https://x.org"}, "it has url: give exactly one of column, path"),
        (Audio, {"column": "a", "media_type": "audio/ogg"}, "'audio/ogg' is none of audio/wav"),
    ],
)
def test_a_part_that_is_declared_wrongly_is_refused(kind, given: dict[str, Any], why):
    with pytest.raises(DeclarationError, match=why):
        kind(**given)


@pytest.mark.parametrize(
    ("part", "dialect", "why"),
    [
        (Image(file_id="{{ a }}"), "chat", "chat completions take no file_id"),
        (File(url="https://x.org/{{ a }}"), "chat", "chat completions take no URL of a file"),
        (File(column="a", media_type="text/csv"), "chat", "take PDF files alone, not text/csv"),
        (Audio(column="a"), "responses", "responses take no audio"),
        (Image(url="ftp://x.org/a.png"), "chat", "'ftp://x.org/a.png', and a provider opens only"),
    ],
)
def test_what_an_endpoint_does_not_take_is_refused_before_any_row(part, dialect, why):
    with pytest.raises(DeclarationError, match=why):
        Prompt(user=["{{ a }}", part]).compiled(dialect)


def test_bytes_of_a_kind_that_cannot_be_told_have_no_data_url():
    with pytest.raises(ValueError, match="give media_type"):
        data_url(b"?")
