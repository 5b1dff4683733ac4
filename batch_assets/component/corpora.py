"""How a component file says where the items come from."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema

from batch_assets.component.choice import Choice, Declared, rooted
from batch_assets.component.partitions import PartitionByModel, PartitionsModel
from batch_assets.corpus import ByFile, Corpus, CsvDialect, FileCorpus
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.composite import CompositeCorpus
from batch_assets.corpus.formats import Format
from batch_assets.corpus.request_files import RequestFileCorpus
from batch_assets.corpus.sql import SqlCorpus
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.import_path import imported

_ITEM_ID = "Column of the item's key, or a template over columns; unique within a partition."
_STORAGE_OPTIONS = "What fsspec's file system is opened with; no secrets: files are read by people."


class CorpusModel(Choice):
    """Where the items come from."""

    @classmethod
    def forms(cls) -> Mapping[str, type[Self]]:
        forms: Mapping[str, Any] = _CORPORA if cls is CorpusModel else {}
        return forms

    def check(self) -> None:
        self.corpus(Path())

    @abstractmethod
    def corpus(self, project_root: Path) -> Corpus:
        """The corpus; relative paths start at the project's root."""


class CsvModel(Declared):
    """How CSV files are written."""

    delimiter: str | None = Field(
        default=None, description="Left out, a comma; in .tsv files a tab."
    )
    quote: str | None = Field(
        default='"', description="null: quotes are characters like any other."
    )
    escape: str | None = Field(
        default=None, description="The character that takes the next one's meaning away."
    )
    encoding: str = Field(default="utf-8", description="As Python names it.")
    header: list[str] | None = Field(
        default=None, description="Names of the columns, where the first row does not have them."
    )

    def check(self) -> None:
        self.dialect()

    def dialect(self) -> CsvDialect:
        """The same as FileCorpus takes it."""
        return CsvDialect(
            delimiter=self.delimiter,
            quote=self.quote,
            escape=self.escape,
            encoding=self.encoding,
            header=None if self.header is None else tuple(self.header),
        )


class FilesModel(CorpusModel):
    """Files."""

    path: str | list[str] = Field(
        description="Folder, pattern or file, or a list of them; a relative one starts at the "
        "project."
    )
    item_id: str = Field(description=_ITEM_ID)
    format: Format | None = Field(
        default=None, description="parquet, csv, tsv or jsonl; left out, by each file's ending."
    )
    partition_by: PartitionByModel | None = Field(
        default=None, description="How rows are cut into partitions; left out, one per file."
    )
    types: dict[str, str] = Field(
        default_factory=dict, description="Types of columns, by Arrow's names."
    )
    csv: CsvModel = Field(default_factory=CsvModel, description="How CSV files are written.")
    storage_options: dict[str, Any] = Field(default_factory=dict, description=_STORAGE_OPTIONS)

    def corpus(self, project_root: Path) -> Corpus:
        return FileCorpus(
            path=_rooted(self.path, project_root),
            item_id=self.item_id,
            format=self.format,
            partition_by=ByFile() if self.partition_by is None else self.partition_by.way(),
            types=self.types,
            csv=self.csv.dialect(),
            storage_options=self.storage_options,
        )


class SqlModel(CorpusModel):
    """The rows of a query."""

    sql: str = Field(description="The query, with an ORDER BY over unique columns.")
    url: str = Field(
        description="SQLAlchemy URL, or env:NAME for one that an environment variable holds."
    )
    item_id: str = Field(description=_ITEM_ID)
    partitions: PartitionsModel | None = Field(
        default=None,
        description="Keys, bound as :partition_key; or cadence, start, end and timezone, bound as "
        ":start and :end. Left out, one partition, all.",
    )

    def corpus(self, project_root: Path) -> Corpus:
        over = {} if self.partitions is None else {"partitions": self.partitions.of_a_query()}
        return SqlCorpus(url=self.url, query=self.sql, item_id=self.item_id, **over)


class AssetModel(CorpusModel):
    """An upstream asset of the code location."""

    asset: str = Field(description="Key of the asset, its parts divided by slashes.")
    item_id: str = Field(description=_ITEM_ID)
    partitions: PartitionsModel | None = Field(
        default=None,
        description="The asset's own: a list of keys; cadence, start, end and timezone; dynamic "
        "with a name; or the import path of a PartitionsDefinition. Left out, it has none.",
    )
    value_type: str | None = Field(
        default=None,
        description="Import path of the type that its IO manager is asked for, as "
        "pyarrow.dataset:Dataset.",
    )

    def corpus(self, project_root: Path) -> Corpus:
        kind = None if self.value_type is None else imported(self.value_type, "value_type")
        if kind is not None and not isinstance(kind, type):
            raise DeclarationError(f"value_type {self.value_type!r} is not a class")
        return AssetCorpus(
            key=self.asset,
            item_id=self.item_id,
            partitions_def=None if self.partitions is None else self.partitions.definition(),
            value_type=kind,
        )


class CompositeModel(CorpusModel):
    """Several sources as one corpus."""

    # Its own schema would hold itself.
    composite: Annotated[
        dict[str, CorpusModel],
        WithJsonSchema({"type": "object", "additionalProperties": {"type": "object"}}),
    ] = Field(description="The sources in their order: a namespace and a corpus each.")
    item_id: str = Field(
        default="item_id",
        description="Column in which the sources' keys come, or a template over columns that all "
        "of them have.",
    )
    partitions: Literal["shared", "all"] = Field(
        default="shared", description="shared: those of the sources; all: one, with everything."
    )

    def corpus(self, project_root: Path) -> Corpus:
        return CompositeCorpus(
            sources={name: each.corpus(project_root) for name, each in self.composite.items()},
            item_id=self.item_id,
            partitions=self.partitions,
        )


class RequestFilesModel(CorpusModel):
    """Requests that are written already."""

    request_files: str | list[str] = Field(
        description="Folder, pattern or file of a provider's own JSONL, or a list of them."
    )
    partitions: Literal["by file", "discovered"] = Field(
        default="by file",
        description="discovered: files that come later are registered by the discovery sensor.",
    )
    storage_options: dict[str, Any] = Field(default_factory=dict, description=_STORAGE_OPTIONS)

    def corpus(self, project_root: Path) -> Corpus:
        return RequestFileCorpus(
            path=_rooted(self.request_files, project_root),
            partitions=self.partitions,
            storage_options=self.storage_options,
        )


class OwnCorpusModel(CorpusModel):
    """A corpus of the project's own code."""

    own: str = Field(
        description="Import path of a Corpus, or of a class or function that makes one."
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="What the class or function is called with, by name."
    )

    def corpus(self, project_root: Path) -> Corpus:
        made = imported(self.own, "own")
        if not isinstance(made, Corpus) and callable(made):
            try:
                made = made(**self.arguments)
            except TypeError as error:
                raise DeclarationError(
                    f"own {self.own!r} cannot be called with {self.arguments}: {error}; "
                    "correct the arguments"
                ) from error
        elif self.arguments:
            raise DeclarationError(f"own {self.own!r} takes no arguments: it is made already")
        if not isinstance(made, Corpus):
            raise DeclarationError(
                f"own {self.own!r} is {type(made).__name__} and no Corpus: "
                "subclass batch_assets.Corpus"
            )
        return made


_CORPORA: Mapping[str, type[CorpusModel]] = {
    "path": FilesModel,
    "sql": SqlModel,
    "asset": AssetModel,
    "composite": CompositeModel,
    "request_files": RequestFilesModel,
    "own": OwnCorpusModel,
}


def _rooted(path: str | list[str], project_root: Path) -> str | list[str]:
    if isinstance(path, list):
        return [rooted(each, project_root) for each in path]
    return rooted(path, project_root)
