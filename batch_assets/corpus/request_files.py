"""A corpus of requests that are written already, in a provider's own JSONL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import msgspec
import pyarrow as pa

from batch_assets.corpus.corpus import Corpus, Rows
from batch_assets.corpus.listing import Listing, SourceFile
from batch_assets.corpus.partitioning import (
    Arrivals,
    DiscoveredKeys,
    Partitioning,
    StaticKeys,
)
from batch_assets.corpus.source import LONGEST_ROW, TEXT_BLOCK, reading
from batch_assets.corpus.text_stream import text_stream
from batch_assets.domain.errors import CorpusError
from batch_assets.files.parquet import BATCH_ROWS, complaint_of

#: The endpoints of a batch (OpenAI API reference, "Create batch") whose answers can be read.
URLS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/moderations",
    "/v1/responses",
)

_EMBEDDINGS = "/v1/embeddings"

_SCHEMA = pa.schema([("custom_id", pa.string()), ("body", pa.large_string())])


class RequestShape(NamedTuple):
    """What all requests of a corpus have in common."""

    url: str
    model: str
    #: Length of the vectors, where the bodies of embeddings ask for one.
    dimensions: int | None = None

    def __str__(self) -> str:
        length = f", {self.dimensions} dimensions" if self.dimensions is not None else ""
        return f"{self.url} and {self.model!r}{length}"


@dataclass(frozen=True, kw_only=True)
class RequestFileCorpus(Corpus):
    """Files of ready-made requests, one partition each, named as the file without its ending.

    A line is `{"custom_id": …, "method": "POST", "url": …, "body": {…}}`. Its custom_id is the
    item's id, and its body is sent byte for byte; on the wire the request has a custom_id of ours,
    by which it is found again after a crash. `path` is a file, a folder or a pattern, on any file
    system that fsspec opens; files may be compressed.

    All lines of all files have the url and the model of the first, and the length of its vectors.
    With `partitions="discovered"`
    files that come later are registered by the discovery sensor. Raises CorpusError, naming the
    file, the line and the way out, for a line that a provider would refuse.
    """

    path: str | Sequence[str]
    partitions: Literal["by file", "discovered"] = "by file"
    #: What fsspec's file system is opened with. A secret is safer in fsspec's own configuration.
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    item_id = "custom_id"

    @property
    def _listing(self) -> Listing:
        paths = (self.path,) if isinstance(self.path, str) else tuple(self.path)
        return Listing(paths=paths, format="jsonl", storage_options=self.storage_options)

    @property
    def partitioning(self) -> Partitioning:
        """A partition per file."""
        if self.partitions == "discovered":
            return DiscoveredKeys()
        return StaticKeys(keys=tuple(self.partition_keys()))

    def partition_keys(self) -> list[str]:
        """Sorted."""
        return list(self._listing.files(may_be_none=self.partitions == "discovered"))

    def arrivals(self) -> Arrivals:
        """The files that are there now."""
        return self._listing.arrivals()

    def source_ref(self, partition_key: str) -> str:
        """The partition's file."""
        return self._listing.file(partition_key).ref

    def schema(self, partition_key: str) -> pa.Schema:
        """The item's id, and the body as JSON text."""
        self._listing.file(partition_key)
        return _SCHEMA

    @cached_property
    def shape(self) -> RequestShape:
        """The url and the model of all requests, as the first line of the first file has them.

        Looked up once: what an inference is made of does not change while it is loaded.
        """
        file = next(iter(self._listing.files().values()))
        for block in _blocks(file):
            return _RequestLines(file, None).read(block[: block.find(b"\n") + 1] or block)[1]
        raise CorpusError(f"{file.ref}: no request is in it; fill it or take it out")

    def read(self, partition_key: str, columns: Sequence[str]) -> Iterator[Rows]:
        """The file's requests in its order, each checked."""
        file = self._listing.file(partition_key)
        for name in columns:
            if name not in _SCHEMA.names:
                raise CorpusError(
                    f"{file.ref} holds ready-made requests and has no column {name!r}; "
                    f"it has {', '.join(_SCHEMA.names)}"
                )
        lines = _RequestLines(file, self.shape)
        rows = 0
        for block in _blocks(file):
            requests, _ = lines.read(block)
            for begin in range(0, len(requests), BATCH_ROWS):
                part = requests[begin : begin + BATCH_ROWS]
                batch = pa.RecordBatch.from_arrays(
                    [
                        pa.array([request.custom_id for request in part], pa.string()),
                        pa.array([bytes(request.body) for request in part], pa.large_string()),
                    ],
                    schema=_SCHEMA,
                )
                yield Rows(
                    batch=batch.select(list(columns)),
                    source_ref=file.ref,
                    positions=range(rows, rows + len(part)),
                )
                rows += len(part)


class _Request(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Body(msgspec.Struct, gc=False):
    model: str
    dimensions: int | None = None
    stream: bool | None = None


class _RequestLines:
    """Reads and checks the lines of a file, block by block."""

    def __init__(self, file: SourceFile, shape: RequestShape | None) -> None:
        self._file = file
        self._shape = shape
        self._lines = 0
        self._request = msgspec.json.Decoder(_Request)
        self._body = msgspec.json.Decoder(_Body)

    def read(self, block: bytes) -> tuple[list[_Request], RequestShape]:
        """The requests of some whole lines, and the shape that they have."""
        lines = block.removesuffix(b"\n").split(b"\n")
        requests = [self._checked(number, line) for number, line in enumerate(lines, 1)]
        self._lines += len(lines)
        assert self._shape is not None
        return requests, self._shape

    def _checked(self, number: int, line: bytes) -> _Request:
        if not line.strip():
            raise self._refused(number, "the line is blank", "take it out")
        try:
            line.decode()
            request = self._request.decode(line)
            body = self._body.decode(request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._refused(
                number,
                complaint_of(error),
                'write {"custom_id": …, "method": "POST", "url": …, "body": {"model": …, …}} '
                "on one line, in UTF-8",
            ) from error
        dimensions = body.dimensions if request.url == _EMBEDDINGS else None
        found = RequestShape(url=request.url, model=body.model, dimensions=dimensions)
        if self._shape is None:
            self._shape = found
        if not request.custom_id:
            raise self._refused(number, "custom_id is empty", "give the request an id")
        if request.method != "POST":
            raise self._refused(number, f"method is {request.method!r}", "write POST")
        if request.url not in URLS:
            known = ", ".join(URLS)
            raise self._refused(number, f"url {request.url!r} is unknown", f"use one of {known}")
        if body.stream:
            raise self._refused(number, "stream is true, and a batch does not stream", "drop it")
        if found != self._shape:
            raise self._refused(
                number,
                f"url and model are {found}, and in the corpus's first line they are {self._shape}",
                "put them into a corpus of their own",
            )
        return request

    def _refused(self, number: int, why: str, way_out: str) -> CorpusError:
        return CorpusError(f"{self._file.ref}, line {self._lines + number}: {why}; {way_out}")


def _blocks(file: SourceFile) -> Iterator[bytes]:
    """The file in blocks of whole lines."""
    with text_stream(file) as source:
        waiting: list[bytes] = []
        size = 0
        while True:
            with reading(file, 0):
                block: bytes = source.read(TEXT_BLOCK)
            if not block:
                break
            cut = block.rfind(b"\n") + 1
            if cut:
                yield b"".join([*waiting, block[:cut]])
                waiting, size = [], 0
            waiting.append(block[cut:])
            size += len(block) - cut
            if size > LONGEST_ROW:
                raise CorpusError(
                    f"{file.ref}: a line is longer than {LONGEST_ROW:,} bytes: "
                    "no provider takes such a request; take it out"
                )
        rest = b"".join(waiting)
        if rest:
            yield rest
