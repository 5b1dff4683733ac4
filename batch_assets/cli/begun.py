"""Where `start` and `plan` work: a declaration, and the provider it names, checked before use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from batch_assets.cli.declared import Declared, opened, own_name
from batch_assets.cli.declaring import Given
from batch_assets.cli.exit_codes import NotFound
from batch_assets.cli.place import Place
from batch_assets.domain.errors import AccountRefused, DeclarationError, RepeatedItemIds

if TYPE_CHECKING:
    from batch_assets.inference import Inference
    from batch_assets.stages.recipe import Deployment
    from batch_assets.started import Started


def declaration_of(place: Place, given: Given) -> "Started":
    """What the options declare, or what was started under the name that they give alone.

    Raises UsageError where something else was started under that name.
    """
    from batch_assets.started import check_started, read_started, started_names

    files = place.files()
    if given.names_only:
        name = str(given.run_id)
        found = read_started(files, name)
        if found is None:
            known = ", ".join(started_names(files)) or "nothing"
            raise NotFound(f"nothing was started here as {name}; what was: {known}")
        return found
    started = given.started()
    with usage():
        check_started(files, started)
    return started


def check_free(started: "Started", deployment: "Deployment") -> None:
    """Raise UsageError where the ledger has an inference of that name that was not started here."""
    from batch_assets.started import read_started

    name = started.name
    if read_started(deployment.files, name) is not None:
        return
    if name in deployment.ledger.standing.inferences():
        raise click.UsageError(
            f"the ledger has an inference {name} that was not started here: give another --run-id"
        )


def inference_of(started: "Started") -> "Inference":
    """The declaration compiled, and its fields found in the inputs.

    Raises UsageError for what cannot be asked, CorpusError for what cannot be read.
    """
    from batch_assets.stages.survey import columns_of

    with usage():
        inference = started.inference()
        for partition_key in inference.corpus.partition_keys():
            columns_of(inference.recipe(), partition_key)
    return inference


@contextmanager
def on_deployment(
    place: Place, inference: "Inference", *, needs_key: bool = True
) -> Iterator[Declared]:
    """The inference on the deployment of the place.

    Raises UsageError for a provider that the deployment does not have, AccountRefused for one
    whose key is not set.
    """
    lane = None if inference.stragglers is None else inference.stragglers.provider
    with usage():
        resources = {inference.provider: _resource(place, inference.provider)}
        if lane is not None:
            resources[lane] = _resource(place, lane, option="--stragglers-provider")
    for each in resources if needs_key else ():
        if said := lacking_key(place, each):
            raise AccountRefused(f"{said[0]}; nothing was sent")
    with opened(
        place, inference.provider, resources, owner=own_name("start"), lane=lane
    ) as deployment:
        yield Declared(recipe=inference.recipe(), deployment=deployment)


def lacking_key(place: Place, provider: str) -> list[str]:
    """What is to be said where the provider's key is not set; nothing where it is."""
    with usage():
        resource = _resource(place, provider)
    key, variable = resource.key()
    has_all = bool(key.strip()) or not resource.needs_key
    return [] if has_all else [f"there is no key for {provider}: set {variable}"]


def _resource(place: Place, provider: str, *, option: str = "--provider") -> Any:
    from batch_assets.domain.kinds import kinds
    from batch_assets.resources.deployments import provider_resource

    resource = provider_resource(place.environment, provider)
    if resource is not None:
        return resource
    known = dict(kinds())
    if provider not in known:
        raise click.UsageError(
            f"{option} {provider}: there is no such one; there are {', '.join(known)}"
        )
    address = known[provider].address_variable
    way_out = f"set {address} to its address" if address else "choose another one"
    raise click.UsageError(
        f"{option} {provider}: the {place.environment.name} deployment has none; {way_out}"
    )


@contextmanager
def about_rows(started: "Started") -> Iterator[None]:
    """Errors of the rows, told in the words of the options."""
    try:
        with usage():
            yield
    except RepeatedItemIds as error:
        if len(started.inputs) == 1 or started.namespaces:
            raise
        raise RepeatedItemIds(
            f"{error.message}; where they are different items, give each input a namespace: "
            "--namespace, once for each --input"
        ) from error


@contextmanager
def usage() -> Iterator[None]:
    """Options that declare nothing possible were given wrongly."""
    try:
        yield
    except DeclarationError as error:
        raise click.UsageError(error.message) from error
