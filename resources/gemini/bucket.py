"""The files of Vertex AI's batches, in a bucket of Google Cloud Storage.

An output line repeats the request that it answers (page "Batch inference from Cloud Storage"), and
not what else stood in the request's line: so the key goes into the request, as one of the labels
that Vertex AI takes (google-genai 3.4, `types.py`: GenerateContentConfig.labels).

Importing this module imports gcsfs.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import msgspec
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError as GcsError
from google.auth.exceptions import GoogleAuthError

from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.provider import RemoteFile, Upload
from batch_assets.resources.border import Border, HttpError, SdkErrors
from batch_assets.resources.gemini.place import ANSWERS, BUCKET, Place
from batch_assets.resources.gemini.search import CLOCK_SKEW
from batch_assets.resources.patience import Patience

#: Name of the label that holds the key of a request: it and its value are of lower-case letters,
#: digits, dashes and underscores, 63 at most, as our keys are.
LABEL = "batch_assets_key"

#: Bytes of a block that is sent or read.
_BLOCK = 8 * 2**20

#: Bytes that lines are taken from.
_READ = 2**20

_BODY = b',"request":{'
_ENDS = "}"


class _Request(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Answer(msgspec.Struct):
    key: str | None = None
    request: _Request | None = None


_decode = msgspec.json.Decoder(_Answer).decode
_encode = msgspec.json.Encoder().encode


def _answer(error: Exception) -> HttpError | None:
    match error:
        case FileNotFoundError():
            return HttpError(status=404, message=str(error))
        # Words of gcsfs (`retry.py`: validate_response).
        case OSError() if str(error).startswith("Forbidden"):
            return HttpError(status=403, message=str(error))
        case ValueError() if str(error).startswith("Bad Request"):
            return HttpError(status=400, message=str(error))
        case GcsError() if isinstance(error.code, int):
            return HttpError(status=error.code, message=str(error))
        case GoogleAuthError():
            return HttpError(status=401, message=str(error))
    return None


#: gcsfs raises errors of the operating system, its own, and those of the HTTP client below it.
_ERRORS = SdkErrors(
    foreign=(OSError, GcsError, GoogleAuthError, aiohttp.ClientError, ValueError),
    wrapper=None,
    never_sent=(aiohttp.ClientConnectorError,),
    answer=_answer,
)


class Bucket:
    """The folder of one place. Its methods raise what those of GeminiClient raise."""

    def __init__(self, place: Place, *, patience: Patience) -> None:
        self._place = place
        self._patience = patience
        self._border = Border(
            _ERRORS,
            base_url=place.folder,
            secret="",
            key_variable="GOOGLE_APPLICATION_CREDENTIALS",
        )
        with self._border.translated("opening the bucket"):
            # The one that speaks JSON: the package's own first asks what kind of bucket it is, by
            # gRPC, for up to a minute where nobody answers (`extended_gcsfs.py`).
            self._fs = GCSFileSystem(
                project=place.project, use_listings_cache=False, skip_instance_cache=True
            )

    def upload(self, shard: Path, *, key: str) -> str:
        """Stream the shard to the bucket, each request with its label; the URL that it has there.

        Raises ArtifactError where it cannot be read here.
        """
        url = self._place.requests_of(key)
        try:
            source = shard.open("rb")
        except OSError as error:
            raise ArtifactError(f"cannot read {shard} to upload it: {error}") from error
        with (
            source,
            self._translated(f"uploading {shard.name} of the batch {key}"),
            self._fs.open(url, "wb", block_size=_BLOCK) as sink,
        ):
            for line in source:
                sink.write(_labelled(line))
        return url

    def download(self, folder: str, sink: BinaryIO) -> None:
        """Write the answers below the folder to `sink`, each line with its key at its head."""
        with self._translated(f"downloading the files of {folder}"):
            for path in sorted(self._fs.find(folder)):
                # Beside predictions there may be files that tell of errors of the whole job.
                name = path.rpartition("/")[2]
                if not (name.startswith("predictions") and name.endswith(".jsonl")):
                    continue
                with self._fs.open(path, "rb", block_size=_BLOCK, cache_type="readahead") as source:
                    # fsspec's own way of reading lines takes a whole block for each.
                    for line in io.BufferedReader(source, _READ):
                        sink.write(_with_key(line))

    def delete(self, url: str) -> None:
        """Delete a request file; one that is gone already is no error."""
        with self._translated(f"deleting {url}"):
            try:
                self._fs.rm_file(url)
            except FileNotFoundError:
                return

    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        """The request files of ours that were written at `since` or later."""
        folder = self._place.folder
        with self._translated(f"listing the request files of {folder}"):
            found: dict[str, Any] = self._fs.glob(f"{folder}/*/requests.jsonl", detail=True)
        for path, info in found.items():
            key = path.split("/")[-2]
            if len(key) == _KEY_LENGTH and _moment(info) >= since - CLOCK_SKEW:
                yield Upload(id=f"{BUCKET}{path}", key=key)

    def files(self) -> Iterator[RemoteFile]:
        """All files below the folder, in one go: two or three of each batch."""
        folder = self._place.folder
        with self._translated(f"listing the files of {folder}"):
            found: dict[str, Any] = self._fs.find(folder, detail=True)
        for path, info in found.items():
            yield RemoteFile(
                id=f"{BUCKET}{path}",
                name=f"{BUCKET}{path}".removeprefix(f"{folder}/"),
                bytes=int(info["size"]),
                created_at=_moment(info),
                # By the folders that we make: no batch is to be made of them.
                purpose=ANSWERS if f"/{ANSWERS}/" in path else None,
            )

    @contextmanager
    def _translated(self, call: str) -> Iterator[None]:
        self._patience.take(call)
        with self._patience.timed(), self._border.translated(call):
            yield


_KEY_LENGTH = 32


def _moment(info: dict[str, Any]) -> datetime:
    moment = info["mtime"]
    return moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))


def _labelled(line: bytes) -> bytes:
    """The line as we write it, its request's labels before its other fields."""
    head, body, rest = line.partition(_BODY)
    if not body:
        return line
    key = msgspec.json.decode(head + b"}", type=_Answer).key
    labels = b'"labels":{"' + LABEL.encode() + b'":' + _encode(key) + b"}"
    more = b"" if rest.startswith(_ENDS.encode()) else b","
    return b"".join((head, body, labels, more, rest))


def _with_key(line: bytes) -> bytes:
    """The line with its key, where it can be told and is not there."""
    try:
        found = _decode(line)
    except (msgspec.DecodeError, RecursionError):
        return line
    labels = (found.request and found.request.labels) or {}
    if found.key is not None or LABEL not in labels:
        return line
    return b'{"key":' + _encode(labels[LABEL]) + b"," + line.lstrip()[1:]
