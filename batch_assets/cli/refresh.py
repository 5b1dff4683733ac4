"""What `status --refresh` does first: it looks once at each open inference, as `wait` does."""

from collections.abc import Collection

from batch_assets.cli.declared import declared_at, ledger_at, own_name
from batch_assets.cli.exit_codes import ExitCode, NotFound
from batch_assets.cli.place import Place
from batch_assets.cli.render import tell
from batch_assets.cli.watch import Fate, Watch
from batch_assets.domain.errors import DeclarationError


def refresh(
    place: Place, inference: str | None, partitions: Collection[str], module: str | None
) -> ExitCode:
    """Ask the provider, collect, resolve, and send what waits; how that went.

    What is kept from going on is said on stderr. Raises DeclarationError or NotFound where nothing
    says how the inference is declared that was named; of all, those are left to their sensor.
    """
    with ledger_at(place, module) as ledger:
        standings = ledger.standing.of(inference, only_open=True)
    code = ExitCode.OK
    for name in dict.fromkeys(each.request_set.inference for each in standings):
        try:
            with declared_at(place, name, module, owner=own_name("status")) as declared:
                ledger = declared.deployment.ledger
                looked = Watch(ledger, name, partitions, declared=declared).look()
        except (DeclarationError, NotFound) as error:
            if inference is not None:
                raise
            tell(f"{name} is left to its sensor: {error.message}")
            code = max(code, ExitCode.PARTIAL)
            continue
        for seen in looked.partitions:
            if seen.why:
                tell(f"{name} {seen.partition_key}: {seen.why}")
        if looked.fates[Fate.STOPPED]:
            code = max(code, ExitCode.PARTIAL)
        for trouble in looked.troubles:
            tell(f"{name}: {trouble}")
            code = ExitCode.PROVIDER
    return code
