"""The provider's batches and files against the ledger."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from batch_assets.cli.age import age
from batch_assets.cli.audit_rows import Audited, audited, line_of, todos_of
from batch_assets.cli.declared import opened, resources_of, with_declaration
from batch_assets.cli.exit_codes import ExitCode, exit_code_of
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import emit, schema_of, tell, with_output
from batch_assets.domain.audit import FindingKind
from batch_assets.domain.batch import Account
from batch_assets.domain.errors import BatchAssetsError, DeclarationError
from batch_assets.domain.listing import CLOCK_SKEW

if TYPE_CHECKING:
    from batch_assets.ledger.audits import AccountTally
    from batch_assets.stages.audit import Audit
    from batch_assets.stages.recipe import Deployment

SCHEMA = schema_of("audit", 1)

#: How far back it reads where nothing says it, and no open batch is older.
_USUAL = timedelta(days=30)

#: Before the first batch of any provider: further back there is nothing.
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)

#: What remains is kept by default: it is counted, and listed where it is asked for.
_USUAL_KINDS = frozenset(FindingKind) - {FindingKind.REMAINS}


@dataclass(kw_only=True)
class _Course:
    """How far an audit came."""

    found: int = 0
    #: Whether an account with open batches was not looked at.
    is_partial: bool = False
    error: BatchAssetsError | None = None
    #: The accounts that were looked at, or have no batches at a provider.
    accounts: set[Account] = field(default_factory=set)

    @property
    def exit_code(self) -> ExitCode:
        if self.error is not None:
            return ExitCode.PROVIDER
        return ExitCode.PARTIAL if self.found or self.is_partial else ExitCode.OK

    @property
    def nothing(self) -> str:
        """What stands in place of a table without a line."""
        if self.error is not None:
            return "nothing found in what could be read"
        if not self.accounts:
            return (
                "no account was looked at: the ledger has batches of none; name one with --provider"
            )
        return "nothing found"


@click.command()
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="NAME",
    help="Only of this provider: openai, anthropic, …; of a code location, the key of its "
    "resource. May be repeated. Left out, every account that the ledger has batches of.",
)
@click.option(
    "--since",
    callback=age,
    metavar="AGE",
    help="How far back to read: 30d, 12h, 2w. Left out, 30 days, or to the oldest open batch.",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([kind.value for kind in FindingKind]),
    help="Only findings of this kind; may be repeated. Left out, all but remains.",
)
@with_declaration
@with_output
@at_place
@click.pass_context
def audit(
    context: click.Context,
    place: Place,
    providers: tuple[str, ...],
    since: timedelta | None,
    kinds: tuple[str, ...],
    module: str | None,
    output: str,
) -> None:
    """Hold a provider's batches and files against the ledger.

    Finds what is paid for and in nobody's hands: unknown batches, twins, orphans, missing ones.
    Reads only, at both ends. Ends with 0 where nothing is found, 4 where something is or an account
    with open batches could not be looked at, 6 where a provider cannot be asked.

    Example: batch-assets audit --provider openai --since 7d
    """
    course = _Course()
    wanted = frozenset(map(FindingKind, kinds)) or _USUAL_KINDS
    rows = _rows(place, module, providers, since, wanted, course)
    if output == "table":
        found = list(rows)
        emit(output, SCHEMA, [line_of(row) for row in found], nothing=course.nothing)
        for sentence in todos_of(found):
            tell(sentence)
    else:
        emit(output, SCHEMA, rows)
        if not course.accounts:
            tell(course.nothing)
    context.exit(course.exit_code)


def _rows(
    place: Place,
    module: str | None,
    providers: tuple[str, ...],
    since: timedelta | None,
    kinds: frozenset[FindingKind],
    course: _Course,
) -> Iterator[Audited]:
    """What is found, account by account; a provider that cannot be asked keeps no other one."""
    from batch_assets.domain.lane import Lane
    from batch_assets.stages.audit import Audit
    from batch_assets.stages.audit_cost import ExpectedCosts

    tallies: Mapping[Account, AccountTally] = {}
    for name, deployment in _deployments(place, module, providers):
        account = deployment.provider.account
        tallies = tallies or {each.account: each for each in deployment.ledger.audits.accounts()}
        if account in course.accounts or not (providers or account in tallies):
            continue
        course.accounts.add(account)
        if isinstance(deployment.provider, Lane):
            _check_unnamed(name, providers)
            continue
        begin = _begin(deployment.ledger.clock(), since, tallies.get(account))
        reading = Audit(deployment, since=begin, kinds=kinds)
        costs = ExpectedCosts(deployment.files)
        try:
            for finding in reading.findings():
                course.found += 1
                yield audited(finding, name=name, account=account, module=module, costs=costs)
        except BatchAssetsError as error:
            if exit_code_of(error) is not ExitCode.PROVIDER:
                raise
            course.error = error
            tell(f"{name}: {error.message}")
        else:
            _tell_of(name, reading, begin, kinds)
    if not providers:
        _tell_of_others([each for each in tallies.values() if each.account not in course.accounts])
        course.is_partial = any(
            each.open for each in tallies.values() if each.account not in course.accounts
        )


def _deployments(
    place: Place, module: str | None, providers: tuple[str, ...]
) -> "Iterator[tuple[str, Deployment]]":
    """The providers of these names, or all there are, one after the other."""
    from batch_assets.resources.deployments import chosen_deployment
    from batch_assets.resources.provider_resource import ProviderResource

    resources = chosen_deployment().resources if module is None else resources_of(module)
    names = [key for key, each in resources.items() if isinstance(each, ProviderResource)]
    for name in providers:
        if name not in names:
            where = module or f"the deployment {place.environment.name}"
            raise DeclarationError(
                f"{where} has no provider {name}: name one of {', '.join(names) or 'none'}"
            )
    for name in dict.fromkeys(providers or names):
        with opened(place, name, resources, owner="audit (command line)") as deployment:
            yield name, deployment


def _check_unnamed(name: str, providers: tuple[str, ...]) -> None:
    """Raise DeclarationError for a lane that was asked for by its name."""
    if name in providers:
        raise DeclarationError(
            f"{name} asks without a batch at a provider: name another --provider"
        )


def _begin(now: datetime, since: timedelta | None, tally: "AccountTally | None") -> datetime:
    """From when on batches are looked at."""
    if since is not None:
        return max(now - since, _EARLIEST)
    oldest = None if tally is None else tally.oldest_open
    # The provider's clock may be behind, and has whole seconds.
    return min(now - _USUAL, now if oldest is None else oldest - CLOCK_SKEW)


def _tell_of(name: str, reading: "Audit", begin: datetime, kinds: frozenset[FindingKind]) -> None:
    """What was read, and what is no finding."""
    for sentence in reading.unread:
        tell(f"{name}: {sentence}")
    said = [
        f"{name}: {reading.batches:,} batches and {reading.files:,} files since "
        f"{begin:%Y-%m-%d %H:%M} UTC"
    ]
    if reading.not_asked_yet:
        said.append(f"{reading.not_asked_yet:,} have ended, and the next look collects them")
    if reading.older:
        said.append(f"{reading.older:,} open batches are older: a longer --since looks at them")
    if reading.remaining_files and FindingKind.REMAINS not in kinds:
        said.append(
            f"{reading.remaining_files:,} files of batches that are over are still stored "
            f"({reading.remaining_bytes:,} bytes): --kind remains lists them"
        )
    tell("; ".join(said))


def _tell_of_others(tallies: "list[AccountTally]") -> None:
    """The accounts that the ledger has, and nothing here asks for."""
    for tally in tallies:
        tell(
            f"account {tally.account} is none of this deployment, and not looked at "
            f"({tally.batches:,} batches, {tally.open:,} of them open): name its code location "
            "with -m"
        )
