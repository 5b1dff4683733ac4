"""How a component file says what is asked about each item."""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, TypeAdapter, field_validator, model_validator

from batch_assets.component.choice import Declared, rooted
from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import Audio, Example, File, Image, Prompt
from batch_assets.prompt.parts import Detail, Part
from batch_assets.prompt.prompt import UserMessage


class SourceModel(Declared):
    """What every part beside text is given by: exactly one of its sources."""

    kind: ClassVar[type[Part]]

    url: str | None = Field(
        default=None, description="Template of an address that the provider opens."
    )
    column: str | None = Field(default=None, description="A column of bytes.")
    path: str | None = Field(default=None, description="Template of the name of a file below root.")
    root: str | None = Field(
        default=None, description="Folder of these files; a relative one starts at the project."
    )
    file_id: str | None = Field(
        default=None, description="Template of the id of a file that the provider has."
    )
    media_type: str | None = Field(
        default=None, description="What the bytes are, as image/png, where they do not tell."
    )
    optional: bool = Field(
        default=False, description="Whether the message goes without it where its source is null."
    )

    def check(self) -> None:
        self.part(Path())

    def part(self, project_root: Path) -> Part:
        """The same as a prompt takes it."""
        given = self.model_dump()
        if self.root is not None:
            given["root"] = rooted(self.root, project_root)
        return self.kind(**given)


class ImageModel(SourceModel):
    """An image."""

    kind = Image

    detail: Detail = Field(default="auto", description="auto, low, high or original.")


class FileModel(SourceModel):
    """A document."""

    kind = File

    filename: str | None = Field(default=None, description="The name that the model is told.")


class AudioModel(SourceModel):
    """Sound."""

    kind = Audio


class PartModel(Declared):
    """A part of a user message, by exactly one of these; a text alone is a template, too."""

    text: str | None = Field(default=None, description="Jinja2 template over the columns.")
    image: ImageModel | None = Field(default=None, description="PNG, JPEG, WebP or GIF.")
    file: FileModel | None = Field(default=None, description="A document, such as a PDF.")
    audio: AudioModel | None = Field(default=None, description="WAV or MP3.")

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, given: Any) -> Any:
        return {"text": given} if isinstance(given, str) else given

    def check(self) -> None:
        kinds = list(type(self).model_fields)
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise DeclarationError(
                f"the part has {' and '.join(given) or 'nothing'}: "
                f"give exactly one of {', '.join(kinds)}"
            )

    def part(self, project_root: Path) -> str | Part:
        """The same as a prompt takes it."""
        for source in (self.image, self.file, self.audio):
            if source is not None:
                return source.part(project_root)
        assert self.text is not None
        return self.text


_PARTS = TypeAdapter(list[PartModel])


class _Asking(Declared):
    """Whatever has a user message."""

    @field_validator("user", mode="before", check_fields=False)
    @classmethod
    def _in_parts(cls, given: Any) -> Any:
        # Checked here, so that the path of an error has no names of types in it.
        return _PARTS.validate_python(given) if isinstance(given, list) else given


class ExampleModel(_Asking):
    """A question and its answer, shown to the model before the item."""

    user: str | list[Any] = Field(description="Jinja2 template, or a list of parts.")
    assistant: Any = Field(description="Jinja2 template; a mapping or list is shown as its JSON.")

    def example(self, project_root: Path) -> Example:
        """The same as a prompt takes it."""
        return Example(user=_message(self.user, project_root), assistant=self.assistant)


class PromptModel(_Asking):
    """What is asked about each item: exactly one of field, user and call."""

    user: str | list[Any] | None = Field(
        default=None,
        description="Jinja2 template over the corpus's columns, or a list of parts: texts, and "
        "mappings with text, image, file or audio.",
    )
    field: str | None = Field(
        default=None, description="The column whose text is the user message, as it is."
    )
    call: str | None = Field(
        default=None,
        description="Import path of a function, package.module:function; it is given the columns "
        "that its parameters name.",
    )
    columns: list[str] | None = Field(
        default=None, description="The columns call is given, where its parameters do not say."
    )
    system: str | None = Field(
        default=None, description="Jinja2 template, often without fields; shown first."
    )
    examples: list[ExampleModel] = Field(
        default_factory=list, description="Questions with answers, shown before the item."
    )

    def check(self) -> None:
        self.prompt(Path())

    def prompt(self, project_root: Path) -> Prompt:
        """The same as an inference takes it; relative folders start at the project's root."""
        return Prompt(
            user=None if self.user is None else _message(self.user, project_root),
            field=self.field,
            call=self.call,
            columns=self.columns,
            system=self.system,
            examples=tuple(each.example(project_root) for each in self.examples),
        )


def _message(user: str | list[Any], project_root: Path) -> UserMessage:
    if isinstance(user, str):
        return user
    return [part.part(project_root) for part in user]
