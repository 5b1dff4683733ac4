"""upload: request files of a person's own, put where a batch can be made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    DeclarationError,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.provider import Provider, RemoteFile, check_file_name
from batch_assets.stages.direct.request_file import RequestFile, read_request_file
from batch_assets.stages.direct.wanted import check_taken
from batch_assets.stages.direct.wire import Wire


@dataclass(frozen=True, kw_only=True)
class ToUpload:
    """A request file that is to be uploaded, and what was found out before anything is sent."""

    #: As the person named it.
    path: str
    #: What it is to be called at the provider.
    name: str
    #: Requests and bytes, where they are known.
    requests: int | None = None
    bytes: int | None = None
    #: Why it is not sent.
    refusal: BatchAssetsError | None = None


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """What became of it: a file at the provider, or why there is none."""

    wanted: ToUpload
    file: RemoteFile | None = None
    error: BatchAssetsError | None = None


def to_upload(
    paths: Sequence[str], provider: Provider, wire: Wire, *, prefix: str = "", again: bool = False
) -> list[ToUpload]:
    """The files with `prefix` before their names, each read through and checked. Nothing is sent.

    One whose name a file at the provider has is refused, unless it is wanted `again`. Raises
    RequestRefused for a provider without a list of files: none of them could be named later.
    """
    try:
        there = {each.name: each.id for each in provider.files() if each.name is not None}
    except RequestRefused as error:
        raise RequestRefused(
            f"{error.message}: give the files to `batch-assets batches create`"
        ) from error
    found: list[ToUpload] = []
    given: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        name = f"{prefix}{Path(path).name}"
        earlier = given.setdefault(name, path)
        try:
            check_file_name(name)
            if earlier != path:
                raise DeclarationError(f"it would be called {name}, as {earlier} is: rename it")
            if name in there and not again:
                raise RequestRefused(
                    f"{there[name]} is called {name} already: delete it, give another "
                    "--name-prefix, or --again for a second one"
                )
            file = _checked(path, provider, wire)
        except BatchAssetsError as error:
            found.append(ToUpload(path=path, name=name, refusal=error))
            continue
        found.append(ToUpload(path=path, name=name, requests=file.requests, bytes=file.bytes))
    return found


def upload(provider: Provider, wanted: Sequence[ToUpload]) -> Iterator[Uploaded]:
    """Upload the files one after the other; one that cannot be stops no other.

    But none is tried behind one that the account was refused for, or that could not be sent for
    want of a connection.
    """
    stopped: BatchAssetsError | None = None
    for each in wanted:
        refusal = each.refusal or stopped
        if refusal is not None:
            yield Uploaded(wanted=each, error=refusal)
            continue
        try:
            file = provider.upload(Path(each.path), name=each.name)
        except BatchAssetsError as error:
            if isinstance(error, AccountRefused | ProviderUnreachable):
                stopped = error
            yield Uploaded(wanted=each, error=error)
            continue
        yield Uploaded(wanted=each, file=file)


def _checked(path: str, provider: Provider, wire: Wire) -> RequestFile:
    file = read_request_file(Path(path), wire=wire, limits=provider.limits)
    if file.endpoint is not None:
        check_taken(provider, file.endpoint)
    return file
