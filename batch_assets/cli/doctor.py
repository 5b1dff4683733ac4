"""Whether a deployment is fit to work, line by line, and what to do where it is not."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import click

from batch_assets.cli.exit_codes import ExitCode
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, with_output
from batch_assets.domain.cadence import LONGEST
from batch_assets.domain.errors import BatchAssetsError
from batch_assets.domain.spoken import spoken_age
from batch_assets.resources.environment import PRODUCTION, SANDBOX

if TYPE_CHECKING:
    import sqlalchemy as sa

SCHEMA = schema_of("doctor", 1)


class Health(StrEnum):
    """What a line says."""

    OK = "ok"
    #: Nothing is wrong; a person may want to know.
    NOTE = "note"
    WRONG = "wrong"


class Diagnosis(Row, frozen=True, kw_only=True):
    """One thing that was looked at."""

    what: str
    #: ok, note or wrong.
    health: str
    said: str
    #: Empty where there is nothing to do.
    todo: str = ""


#: Packages whose versions a report of a bug should have.
_PACKAGES = (
    "batch-assets",
    "dagster",
    "sqlalchemy",
    "pyarrow",
    "msgspec",
    "openai",
    "anthropic",
    "google-genai",
    "mistralai",
)

#: Where a provider answers without a key, with a date of its own: the addresses of the SDKs
#: (openai 3.54, anthropic 2.12: `_client.py`; google-genai 3.4: `_api_client.py`).
_ADDRESSES = {
    "openai": "https://api.openai.com/v1/models",
    "anthropic": "https://api.anthropic.com/v1/models",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models",
}

#: A clock that is further off makes leases and looks at a provider wrong.
_MOST_SKEW = timedelta(minutes=1)

#: A store with less room than this will not take the next shards of a large partition.
_LEAST_ROOM = 1 << 30

#: As the check `polled` has it: a batch is asked about every ten minutes at least.
_UNASKED = 3 * LONGEST

_PROBE_SECONDS = 5.0


@click.command()
@with_output
@at_place
@click.pass_context
def doctor(context: click.Context, place: Place, output: str) -> None:
    """Look whether everything is there and fit to work; each line says what to do.

    Ends with 1 where something is wrong. Keys are never shown.

    Example: batch-assets doctor
    """
    rows = list(_diagnoses(place))
    emit(output, SCHEMA, rows)
    if any(row.health == Health.WRONG for row in rows):
        context.exit(ExitCode.FAILED)


def _diagnoses(place: Place) -> Iterator[Diagnosis]:
    yield _versions()
    yield Diagnosis(
        what="deployment",
        health=Health.OK,
        said=f"{place.environment.name}, which BATCH_ASSETS_DEPLOYMENT chooses",
    )
    yield from _keys(place)
    yield _store(place)
    yield from _database(place)
    yield from _providers_clocks(place)


def _versions() -> Diagnosis:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return Diagnosis(what="versions", health=Health.OK, said=", ".join(found))


def _keys(place: Place) -> Iterator[Diagnosis]:
    """Whether the key of each kind of provider is set, and never what it is."""
    from batch_assets.domain.kinds import kinds

    if place.environment.name == SANDBOX:
        yield Diagnosis(what="keys", health=Health.OK, said="the sandbox takes any")
        return
    variables: dict[str, list[str]] = {}
    for name, kind in kinds():
        if kind.address_variable is None or os.environ.get(kind.address_variable):
            variables.setdefault(kind.key_variable, []).append(name)
    there = {each: names for each, names in variables.items() if os.environ.get(each)}
    for variable, names in there.items():
        yield Diagnosis(
            what="key", health=Health.OK, said=f"{variable} is set, for {', '.join(names)}"
        )
    missing = sorted(variables.keys() - there.keys())
    if missing:
        yield Diagnosis(
            what="key",
            health=Health.NOTE if there else Health.WRONG,
            said=f"not set: {', '.join(missing)}",
            todo="" if there else "set the variable of the provider that you use",
        )


def _store(place: Place) -> Diagnosis:
    """Whether a file can be written, read and removed again."""
    import secrets

    name = f"doctor-{secrets.token_hex(4)}"
    root = place.root or place.environment.files_root
    if not root:
        return Diagnosis(
            what="store",
            health=Health.WRONG,
            said="nothing names it",
            todo="set BATCH_ASSETS_FILES_ROOT to a folder or a bucket URL, or give --root",
        )
    try:
        files = place.files()
        files.write(name, b"batch-assets")
        is_whole = files.read(name) == b"batch-assets"
        files.delete(name)
    except Exception as error:  # noqa: BLE001
        # Whatever a bucket's driver raises is what a person has to know here.
        return Diagnosis(
            what="store",
            health=Health.WRONG,
            said=f"{root} cannot be written: {_one_line(error)}",
            todo="see that it is there, that this user may write it, and that it has room",
        )
    if not is_whole:
        return Diagnosis(
            what="store", health=Health.WRONG, said=f"{root} does not give back what was written"
        )
    local = files.local_path("")
    room = None if local is None else shutil.disk_usage(local).free
    if room is not None and room < _LEAST_ROOM:
        return Diagnosis(
            what="store",
            health=Health.NOTE,
            said=f"{root} can be written; {room / _LEAST_ROOM:.2f} GiB are free",
            todo="make room: `batch-assets prune-artifacts INFERENCE --dry-run`",
        )
    return Diagnosis(what="store", health=Health.OK, said=f"{root} can be written")


def _database(place: Place) -> Iterator[Diagnosis]:
    from sqlalchemy.exc import SQLAlchemyError

    from batch_assets.ledger.checkup import NEWEST, looked_at, version_of

    try:
        url = place.ledger_url
        with looked_at(url) as engine:
            found = version_of(engine)
            yield _version(found, NEWEST, engine.url.render_as_string())
            yield _clock_of_database(engine)
    except (BatchAssetsError, SQLAlchemyError, OSError) as error:
        is_new = isinstance(error, BatchAssetsError) and "there is no ledger" in error.message
        yield Diagnosis(
            what="ledger",
            health=Health.NOTE if is_new else Health.WRONG,
            said=_one_line(error),
            todo=""
            if is_new
            else "see that the database runs, and that --db-path or "
            "BATCH_ASSETS_LEDGER_URL names it with a user who may write",
        )
        return
    if found == NEWEST:
        yield from _work(place)


def _version(found: int, newest: int, url: str) -> Diagnosis:
    """`url` has no password in it."""
    if found == newest:
        return Diagnosis(what="ledger", health=Health.OK, said=f"{url}, version {found}")
    newer = found > newest
    return Diagnosis(
        what="ledger",
        health=Health.WRONG if newer else Health.NOTE,
        said=f"{url} is at version {found}, this batch-assets is at {newest}",
        todo="upgrade batch-assets" if newer else "back it up, and `batch-assets ledger migrate`",
    )


def _clock_of_database(engine: "sa.Engine") -> Diagnosis:
    from batch_assets.ledger.checkup import database_time

    theirs = database_time(engine)
    if theirs is None:
        return Diagnosis(what="clock", health=Health.OK, said="the ledger has this machine's")
    return _skew("clock", "the database's", theirs)


def _skew(what: str, whose: str, theirs: datetime) -> Diagnosis:
    off = abs(datetime.now(UTC) - theirs)
    if off <= _MOST_SKEW:
        return Diagnosis(what=what, health=Health.OK, said=f"{whose} clock and this one agree")
    return Diagnosis(
        what=what,
        health=Health.WRONG,
        said=f"{whose} clock and this one are {spoken_age(off)} apart",
        todo="set this machine's clock by NTP: leases and looks at the provider go by it",
    )


def _work(place: Place) -> Iterator[Diagnosis]:
    """Whether what is open is followed, and what waits for a person."""
    with place.open_ledger() as ledger:
        since = ledger.polls.oldest_unasked(ledger.standing.inferences())
        unasked = max((ledger.clock() - each for each in since.values()), default=None)
        accounts = {batch.account for batch in ledger.batches()}
        doubtful = [each for account in accounts for each in ledger.doubtful_batches(account)]
        orders = [str(pause) for pause in ledger.pauses.standing()]
    if unasked is None:
        yield Diagnosis(what="sensor", health=Health.OK, said="no batch is at a provider")
    elif unasked <= _UNASKED:
        yield Diagnosis(
            what="sensor",
            health=Health.OK,
            said=f"every batch was asked about in the last {spoken_age(unasked)}",
        )
    else:
        yield Diagnosis(
            what="sensor",
            health=Health.WRONG,
            said=f"nobody has asked about some batch for {spoken_age(unasked)}",
            todo="see that the sensor batch_poll is on and the Dagster daemon runs, or "
            f"`batch-assets wait {min(since, key=lambda name: since[name])}`",
        )
    for batch in doubtful:
        yield Diagnosis(
            what=f"batch {batch.id}",
            health=Health.WRONG,
            said=f"nobody knows whether the provider has it: {batch.reason or 'not asked so far'}",
            todo="the next look asks; where it cannot tell, `batch-assets audit` shows what the "
            f"provider has, and `batch-assets decide {batch.id}` takes your word",
        )
    for order in orders:
        yield Diagnosis(
            what="order", health=Health.NOTE, said=order, todo="`batch-assets resume` lifts it"
        )


def _providers_clocks(place: Place) -> Iterator[Diagnosis]:
    """The clock of each provider that may be called; no key is sent."""
    if place.environment.name == SANDBOX:
        address = place.environment.sandbox_url
        theirs = _date_of(address)
        if theirs is None:
            yield Diagnosis(
                what="sandbox",
                health=Health.WRONG,
                said=f"nothing answers at {address}",
                todo="`batch-assets sandbox serve`, or name its address in "
                "BATCH_ASSETS_SANDBOX_URL",
            )
        else:
            yield _skew("sandbox", "the sandbox's", theirs)
        return
    from batch_assets.domain.kinds import kinds

    for name, kind in kinds():
        if name in _ADDRESSES and os.environ.get(kind.key_variable):
            theirs = _date_of(_ADDRESSES[name])
            if theirs is None:
                yield Diagnosis(
                    what=f"reach of {name}",
                    health=Health.WRONG if place.environment.name == PRODUCTION else Health.NOTE,
                    said=f"nothing answers at {_ADDRESSES[name]}",
                    todo="see that this machine may reach it, and its proxy's variables",
                )
            else:
                yield _skew(f"reach of {name}", f"{name}'s", theirs)


def _date_of(address: str) -> datetime | None:
    """The time that a server says it is, whatever it answers; None where none does."""
    from email.utils import parsedate_to_datetime
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(address, timeout=_PROBE_SECONDS) as reply:
            said = reply.headers.get("date")
    except HTTPError as error:
        said = error.headers.get("date")
        error.close()
    except (URLError, OSError, ValueError):
        return None
    try:
        return parsedate_to_datetime(said or "").astimezone(UTC)
    except ValueError:
        return None


def _one_line(error: Exception) -> str:
    """Without a statement of SQL, which a driver's error has on further lines."""
    said = error.message if isinstance(error, BatchAssetsError) else str(error)
    return " ".join(said.split("[SQL:")[0].split())
