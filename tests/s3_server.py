"""A server that speaks S3, and buckets in it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import s3fs
from moto.server import ThreadedMotoServer

from batch_assets.corpus import FileCorpus

#: What s3fs opens a file system with.
Options = dict[str, str]


@contextmanager
def running_s3() -> Iterator[Options]:
    """What s3fs needs to reach a server of its own kind."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {"key": "k", "secret": "s", "endpoint_url": f"http://{host}:{port}"}
    server.stop()


@dataclass(frozen=True)
class Bucket:
    """A bucket and the way to it."""

    url: str
    options: Options

    def put(self, name: str, content: bytes) -> None:
        """Another process puts a file there."""
        self.elsewhere().pipe_file(f"{self.url}/{name}", content)

    def names(self) -> list[str]:
        """Every file in it, as another process sees them."""
        found = self.elsewhere().find(self.url)
        return [name.removeprefix(self.url.removeprefix("s3://") + "/") for name in found]

    def elsewhere(self) -> s3fs.S3FileSystem:
        """The file system as another process has it: without what this one knows of it."""
        return _file_system(**self.options)

    def corpus(self, path: str = "", **over: object) -> FileCorpus:
        """A corpus of the files below a path."""
        url = f"{self.url}/{path}"
        return FileCorpus(path=url, item_id="id", storage_options=self.options, **over)


@cache
def _file_system(**options: str) -> s3fs.S3FileSystem:
    # Each takes a fifth of a second and some megabytes: it reads the description of S3.
    return s3fs.S3FileSystem(**options, skip_instance_cache=True, use_listings_cache=False)


def a_bucket(options: Options) -> Bucket:
    """An empty one of its own."""
    found = Bucket(url=f"s3://b-{secrets.token_hex(4)}", options=options)
    found.elsewhere().mkdir(found.url)
    return found
