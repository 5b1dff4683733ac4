"""The files of Vertex AI's batches, in a bucket of Google Cloud Storage.

Importing this module imports gcsfs.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError as GcsError
from google.auth.exceptions import GoogleAuthError

from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.listing import CLOCK_SKEW
from batch_assets.domain.provider import RemoteFile, Upload
from batch_assets.resources.border import Border, HttpError, SdkErrors
from batch_assets.resources.gemini.labels import labelled, with_key
from batch_assets.resources.gemini.place import ANSWERS, BUCKET, Place
from batch_assets.resources.patience import Patience

#: Bytes of a block that is sent or read.
_BLOCK = 8 * 2**20

#: Bytes that lines are taken from.
_READ = 2**20


def _answer(error: Exception) -> HttpError | None:
    match error:
        case FileExistsError():
            message = "there is a file of that name in the bucket, which is not replaced"
            return HttpError(status=412, message=message)
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


#: gcsfs raises errors of the operating system, its own, and those of the HTTP client below it; over
#: a reply that is none of Google's it stumbles.
_ERRORS = SdkErrors(
    foreign=(
        *(OSError, GcsError, GoogleAuthError, aiohttp.ClientError),
        *(ValueError, AttributeError, KeyError, TypeError),
    ),
    wrapper=None,
    never_sent=(aiohttp.ClientConnectorError,),
    answer=_answer,
)


class Bucket:
    """The folder of one place. Its methods raise what those of GeminiClient raise."""

    def __init__(self, place: Place, *, timeout_seconds: float, patience: Patience) -> None:
        self._place = place
        self._patience = patience
        with _border(place.folder).translated("opening the bucket"):
            # The one that speaks JSON: the package's own first asks what kind of bucket it is, by
            # gRPC, for up to a minute where nobody answers (`extended_gcsfs.py`).
            self._fs = GCSFileSystem(
                project=place.project,
                use_listings_cache=False,
                skip_instance_cache=True,
                # Left to itself it waits for a silent server without end.
                requests_timeout=aiohttp.ClientTimeout(sock_read=timeout_seconds),
            )
        self._border = _border(f"{place.folder} at {self._fs.base}")

    def upload(self, path: Path, url: str, *, call: str, replacing: bool = True) -> RemoteFile:
        """Stream a request file to the bucket, each request with its label; what it is there.

        Unless it may be `replacing`, raises RequestRefused where there is one of that name. Raises
        ArtifactError where the file cannot be read here, and CorpusError for one of a person's with
        a line whose answer could not be told from others: then nothing was sent.
        """
        try:
            # An upload that breaks off would leave a part of the file in the bucket.
            size = sum(map(len, labelled(path)))
        except OSError as error:
            raise ArtifactError(f"cannot read {path} to upload it: {error}") from error
        with (
            self._translated(call),
            self._fs.open(url, "wb" if replacing else "xb", block_size=_BLOCK) as sink,
        ):
            sink.writelines(labelled(path))
        return RemoteFile(id=url, name=self._name_of(url), bytes=size)

    def download(self, folder: str, sink: BinaryIO) -> None:
        """Write the answers below the folder to `sink`, each line with its key at its head.

        Raises RequestRefused where nothing is there, but in the folder that we name for a job: it
        may have been broken off before its first answer.
        """
        with self._translated(f"downloading the files of {folder}"):
            found = sorted(self._fs.find(folder))
            if not found and not folder.endswith(f"/{ANSWERS}"):
                raise FileNotFoundError(f"there is no file below {folder}")
            for path in found:
                # Beside predictions there may be files that tell of errors of the whole job.
                name = path.rpartition("/")[2]
                if not (name.startswith("predictions") and name.endswith(".jsonl")):
                    continue
                with self._fs.open(path, "rb", block_size=_BLOCK, cache_type="readahead") as source:
                    # fsspec's own way of reading lines takes a whole block for each.
                    for line in io.BufferedReader(source, _READ):
                        sink.write(with_key(line))

    def delete(self, url: str) -> None:
        """Delete a file, or a job's answers by their folder; what is gone already is no error.

        Of any other folder nothing is deleted.
        """
        with self._translated(f"deleting {url}") as left:
            are_many = self._place.are_answers(url)
            for path in self._fs.find(url, timeout=left) if are_many else [url]:
                with suppress(FileNotFoundError):
                    self._fs.rm_file(path, timeout=left)

    def uploads(self, *, since: datetime) -> Iterator[Upload]:
        """The request files of ours that were written at `since` or later."""
        folder = self._place.folder
        with self._translated(f"listing the request files of {folder}") as left:
            pattern = f"{folder}/*/requests.jsonl"
            found: dict[str, Any] = self._fs.glob(pattern, detail=True, timeout=left)
        for path, info in found.items():
            key = path.split("/")[-2]
            if len(key) == _KEY_LENGTH and _moment(info) >= since - CLOCK_SKEW:
                yield Upload(id=f"{BUCKET}{path}", key=key)

    def files(self) -> Iterator[RemoteFile]:
        """All files below the folder, in one go: two or three of each batch."""
        folder = self._place.folder
        with self._translated(f"listing the files of {folder}") as left:
            found: dict[str, Any] = self._fs.find(folder, detail=True, timeout=left)
        for path, info in found.items():
            yield RemoteFile(
                id=f"{BUCKET}{path}",
                name=self._name_of(f"{BUCKET}{path}"),
                bytes=int(info["size"]),
                created_at=_moment(info),
                # By the folders that we make: no batch is to be made of them.
                purpose=ANSWERS if self._place.are_answers(f"{BUCKET}{path}") else None,
            )

    def _name_of(self, url: str) -> str:
        return url.removeprefix(f"{self._place.folder}/")

    @contextmanager
    def _translated(self, call: str) -> Iterator[float | None]:
        """Gives the seconds that are left for the call, all its tries together; None without end.

        Raises OutOfTime where none are left.
        """
        left = self._patience.take(call)
        with self._patience.timed(), self._border.translated(call):
            yield left


def _border(address: str) -> Border:
    return Border(
        _ERRORS, base_url=address, secret="", key_variable="GOOGLE_APPLICATION_CREDENTIALS"
    )


_KEY_LENGTH = 32


def _moment(info: dict[str, Any]) -> datetime:
    moment = info["mtime"]
    return moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
