"""Inferences that were started from a command line: their declarations, in the deployment's store.

A declaration is written once, before anything of it is sent, and never changed: whoever goes on
with the inference, in whatever process, asks the same.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from batch_assets.corpus.inputs import WHOLE, InputFiles
from batch_assets.domain.errors import ArtifactError, DeclarationError
from batch_assets.domain.item import is_inference_name
from batch_assets.domain.stragglers import Stragglers
from batch_assets.files import Files
from batch_assets.files.layout import STARTED_FOLDER, started_path
from batch_assets.inference import Inference
from batch_assets.prompt import Labels, Prompt
from batch_assets.prompt.declared_output import Declared, output_of
from batch_assets.prompt.json_schema_output import JsonSchemaOutput
from batch_assets.prompt.output import OutputType

_VERSION = 1

#: Fields that the first declarations were stored without, whose digests hold as they are.
_SINCE = ("stragglers_provider", "stragglers_after")


class Started(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a command line declares: each field is an option of `batch-assets start`."""

    name: str
    #: Absolute paths and URLs, in their order.
    inputs: tuple[str, ...]
    #: One for each input, or none.
    namespaces: tuple[str, ...] = ()
    id_field: str
    prompt_field: str | None = None
    prompt_template: str | None = None
    system: str | None = None
    #: Import path, `module:Class`.
    structured_output_class: str | None = None
    schema: dict[str, Any] | None = None
    schema_name: str | None = None
    labels: tuple[str, ...] = ()
    provider: str
    model: str
    endpoint: str | None = None
    settings: dict[str, Any] = {}
    rows_per_request: int = 1
    approval: bool = False
    #: Who is asked live what is not answered so many hours after it was submitted; both or neither.
    stragglers_provider: str | None = None
    stragglers_after: float | None = None
    #: Where modules of the user's own are looked for last; another one is the same declaration.
    folder: str = ""

    def inference(self) -> Inference:
        """The declaration compiled and checked; the inputs are not opened.

        Raises DeclarationError.
        """
        if self.structured_output_class is not None and self.folder not in ("", *sys.path):
            sys.path.append(self.folder)
        corpus = InputFiles(paths=self.inputs, item_id=self.id_field, namespaces=self.namespaces)
        return Inference(
            name=self.name,
            corpus=corpus,
            prompt=Prompt(field=self.prompt_field, user=self.prompt_template, system=self.system),
            model=self.model,
            endpoint=self.endpoint,
            output=self._output(),
            settings=self.settings,
            rows_per_request=self.rows_per_request,
            approval="required" if self.approval else None,
            provider=self.provider,
            stragglers=self.stragglers,
            description=f"Started from a command line, of {corpus.source_ref(WHOLE)}.",
        )

    @property
    def stragglers(self) -> Stragglers | None:
        """Raises DeclarationError."""
        if self.stragglers_provider is None or self.stragglers_after is None:
            return None
        return Stragglers(provider=self.stragglers_provider, after_hours=self.stragglers_after)

    def _output(self) -> Declared:
        if self.schema is not None:
            name = self.schema_name or str(self.schema.get("title") or "")
            return JsonSchemaOutput(self.schema, name=name)
        if self.labels:
            return Labels(*self.labels)
        if self.structured_output_class is None or self.schema_name is None:
            return self.structured_output_class
        found = output_of(self.structured_output_class)
        if not isinstance(found, OutputType):
            raise DeclarationError(
                f"{self.structured_output_class} has a name of its own: leave out --schema-name"
            )
        return OutputType(found.model, name=self.schema_name)

    def differences(self, other: "Started") -> list[str]:
        """What the other one has otherwise, each as a sentence's part, by the options' names."""
        return [
            f"{_option(field)} is {_shown(getattr(self, field))} there "
            f"and {_shown(getattr(other, field))} here"
            for field in self.__struct_fields__
            if field != "folder" and getattr(self, field) != getattr(other, field)
        ]

    @property
    def digest(self) -> str:
        """Another one is another declaration; equal in every process."""
        declared = {**msgspec.to_builtins(self), "folder": ""}
        for name in _SINCE:
            if declared[name] is None:
                del declared[name]
        canonical = json.dumps(declared, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A declaration as it is stored."""

    version: int
    digest: str
    declared: Started


def keep_started(files: Files, started: Started) -> None:
    """Store a declaration, unless it is there.

    Raises DeclarationError where another one has the name, and says what differs.
    """
    if read_started(files, started.name) is None:
        kept = _Kept(version=_VERSION, digest=started.digest, declared=started)
        content = msgspec.json.format(msgspec.json.encode(kept), indent=2)
        files.write(started_path(started.name), content)
    # Another process may have written another one at this moment.
    check_started(files, started)


def check_started(files: Files, started: Started) -> bool:
    """Whether that declaration is stored.

    Raises DeclarationError where another one has the name, and says what differs.
    """
    kept = read_started(files, started.name)
    if kept is None:
        return False
    if found := kept.differences(started):
        raise DeclarationError(
            f"{started.name} was started otherwise: {'; '.join(found)}; give the same options to "
            "go on with it, or another --run-id"
        )
    return True


def read_started(files: Files, name: str) -> Started | None:
    """The declaration of that name; None where there is none.

    Raises ArtifactError where it is not what was stored.
    """
    path = started_path(name)
    if not is_inference_name(name) or not files.exists(path):
        return None
    try:
        kept = msgspec.json.decode(files.read(path), type=_Kept)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{files.url(path)} cannot be read ({error}): restore it") from error
    if (kept.version, kept.digest) != (_VERSION, kept.declared.digest):
        raise ArtifactError(
            f"{files.url(path)} is not what was stored: restore it; other options are another "
            "inference, under another --run-id"
        )
    return kept.declared


def started_names(files: Files) -> list[str]:
    """The names of all that was started, sorted."""
    names = (Path(path) for path in files.names(STARTED_FOLDER))
    return sorted(name.stem for name in names if name.suffix == ".json")


def started_inference(files: Files, name: str) -> Inference | None:
    """The inference that was started under that name; None where none was.

    Raises ArtifactError where its declaration is damaged, DeclarationError where its output class
    cannot be imported any more.
    """
    started = read_started(files, name)
    return None if started is None else started.inference()


def _option(field: str) -> str:
    return {"inputs": "--input", "namespaces": "--namespace", "settings": "--set"}.get(
        field, f"--{field.replace('_', '-')}"
    )


#: Characters of a value that a message shows.
_SHOWN = 60


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
