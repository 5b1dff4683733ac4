"""wanted: the batches that a person asks for, and what is wrong with each before it is sent."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batch_assets.domain.batch_key import key_for_a_person
from batch_assets.domain.errors import (
    BatchAssetsError,
    CorpusError,
    DeclarationError,
    RequestRefused,
)
from batch_assets.domain.provider import COMPLETED, Phase, Provider, ProviderBatch, RemoteFile
from batch_assets.stages.direct.request_file import read_request_file
from batch_assets.stages.direct.wire import Wire

#: In a provider's word for what a file is for, what says that a batch brought it: "batch_output" at
#: OpenAI, "batch_result" and "batch_error" at Mistral (`client/models/sampletype.py`).
_BROUGHT = ("output", "result", "error", "generated")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A batch that is asked for, and what was found out before anything is sent."""

    #: How the person names what it is made of.
    name: str
    #: A file here, or the id of one at the provider.
    requests: Path | str
    endpoint: str
    #: Requests and bytes, where they are known.
    count: int | None = None
    bytes: int | None = None
    #: Why it is not sent.
    refusal: BatchAssetsError | None = None
    #: Travels with the batch, so that it is found after a lost reply. Of a file here it says, too,
    #: what is asked (`content_of`).
    key: str = field(default_factory=key_for_a_person)


def wanted_of_files(
    names: Sequence[str], provider: Provider, wire: Wire, *, endpoint: str | None
) -> list[Wanted]:
    """The batches of files on this machine, each read through and checked. Nothing is sent."""
    return [_checked(name, provider, wire, endpoint) for name in names]


def wanted_of_uploads(
    prefix: str, provider: Provider, *, endpoint: str, again: bool = False
) -> list[Wanted]:
    """The batches of the request files at the provider whose names begin so, by name.

    One that a batch was made of already is not wanted, unless that failed; nor is the same file
    another time, as an upload leaves it that was tried twice. Both are where it is wanted `again`.
    Raises RequestRefused for a provider that has no list of files, and DeclarationError for one
    that takes no requests of the endpoint.
    """
    if not provider.takes(endpoint):
        raise DeclarationError(_not_taken(provider, endpoint))
    found = [each for each in provider.files() if _is_requests(each, prefix)]
    found.sort(key=lambda each: (each.name or "", each.id))
    refusals = {} if again else _refusals(provider, found)
    return [
        Wanted(
            name=each.name or each.id,
            requests=each.id,
            endpoint=endpoint,
            bytes=each.bytes,
            refusal=refusals.get(each.id),
        )
        for each in found
    ]


def check_taken(provider: Provider, endpoint: str) -> None:
    """Raise CorpusError for requests of an endpoint that the provider's batches do not have."""
    if not provider.takes(endpoint):
        raise CorpusError(_not_taken(provider, endpoint))


def _checked(name: str, provider: Provider, wire: Wire, endpoint: str | None) -> Wanted:
    path = Path(name)
    try:
        file = read_request_file(path, wire=wire, limits=provider.limits, endpoint=endpoint)
        if file.endpoint is None:
            raise CorpusError("its lines do not say which endpoint they are for: give --endpoint")
        check_taken(provider, file.endpoint)
    except CorpusError as error:
        return Wanted(name=name, requests=path, endpoint=endpoint or "", refusal=error)
    return Wanted(
        name=name,
        requests=path,
        endpoint=file.endpoint,
        count=file.requests,
        bytes=file.bytes,
        key=key_for_a_person(file.digest),
    )


def _not_taken(provider: Provider, endpoint: str) -> str:
    return (
        f"batches of {provider.account} take no requests of {endpoint}: name another provider, or "
        "another endpoint"
    )


def _is_requests(file: RemoteFile, prefix: str) -> bool:
    """Whether a batch can be made of it: not one of answers, or for something else."""
    purpose = (file.purpose or "batch").lower()
    is_for_batches = purpose.startswith("batch") and not any(word in purpose for word in _BROUGHT)
    return is_for_batches and (file.name or "").startswith(prefix)


def _refusals(provider: Provider, files: Sequence[RemoteFile]) -> Mapping[str, BatchAssetsError]:
    """By the ids of files that would be paid for twice, why no batch is made of them."""
    used = _batches_by_input(provider, {each.id for each in files}) if files else {}
    found: dict[str, BatchAssetsError] = {}
    for same in _same(files):
        # One that was used stands for all of them.
        first = next((each for each in same if each.id in used), same[0])
        for each in same:
            if each.id in used:
                found[each.id] = _used_already(used[each.id])
            elif each is not first:
                found[each.id] = _twin_of(first)
    return found


def _same(files: Iterable[RemoteFile]) -> Collection[Sequence[RemoteFile]]:
    """The files in groups of one name and size each."""
    groups: dict[object, list[RemoteFile]] = defaultdict(list)
    for each in files:
        groups[each.id if each.bytes is None else (each.name, each.bytes)].append(each)
    return groups.values()


def _batches_by_input(provider: Provider, ids: Collection[str]) -> Mapping[str, ProviderBatch]:
    """Those of the files that something was made of and may be paid for, each with its batch."""
    found: dict[str, ProviderBatch] = {}
    for batch in provider.batches():
        if batch.input_file_id is not None and batch.input_file_id in ids and not is_void(batch):
            found[batch.input_file_id] = batch
    return found


def is_void(batch: ProviderBatch) -> bool:
    """Whether it ended and brought nothing, so that another may be made of the same requests."""
    has_files = batch.output_file_id is not None or batch.error_file_id is not None
    is_done = batch.status.lower() in COMPLETED
    return batch.phase is Phase.ENDED and not has_files and not is_done


def _used_already(batch: ProviderBatch) -> BatchAssetsError:
    return RequestRefused(
        f"{batch.id} was made of it already, and is {batch.status}: give --again for another"
    )


def _twin_of(file: RemoteFile) -> BatchAssetsError:
    return RequestRefused(
        f"its name and size are those of {file.id}, so that it may be the same: delete one of the "
        "two, or give --again for a batch of each"
    )
