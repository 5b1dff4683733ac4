"""Where a command gets the declaration of an inference: the code location, or what `start` kept."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from batch_assets.cli.exit_codes import NotFound
from batch_assets.cli.place import Place
from batch_assets.domain.errors import BatchAssetsError, DeclarationError

if TYPE_CHECKING:
    from batch_assets.domain.batch import Account
    from batch_assets.files import Files
    from batch_assets.inference import Inference
    from batch_assets.ledger import Ledger
    from batch_assets.stages.recipe import Deployment, Recipe

#: The variable by which Dagster's own commands are told the module (dagster 1.13).
MODULE = "DAGSTER_MODULE_NAME"


@dataclass(frozen=True, kw_only=True)
class Declared:
    """An inference's declaration, and what it is carried out on."""

    recipe: "Recipe"
    deployment: "Deployment"


def own_name(command: str) -> str:
    """By what the ledger knows this process: no other one has it, not of another machine either."""
    return f"{command} (command line, process {os.getpid()}, {secrets.token_hex(3)})"


def with_declaration(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option that says where inferences are declared, as `module`."""

    @click.option(
        "-m",
        "--module-name",
        "module",
        metavar="MODULE",
        envvar=MODULE,
        show_envvar=True,
        help="The code location that declares the inference, as `dagster dev -m` takes it: "
        "my_project.definitions. One that `start` began needs none.",
    )
    @wraps(command)
    def declared(*given: Any, **named: Any) -> Any:
        return command(*given, **named)

    return declared


@contextmanager
def declared_at(
    place: Place, inference: str, module: str | None, *, owner: str
) -> Iterator[Declared]:
    """The inference as it is declared, on the ledger and the store of the place.

    Raises DeclarationError where nothing declares it, and NotFound where the module does not.
    """
    if module is None:
        started = _started(place, inference)
        if started is None:
            raise DeclarationError(
                f"nothing here says how {inference} is declared: name its code location with -m, "
                "as in `dagster dev -m my_project.definitions`"
            )
        declaration, resources = started
    else:
        declaration, resources = _located(inference, module)
    lane = None if declaration.stragglers is None else declaration.stragglers.provider
    with opened(place, declaration.provider, resources, owner=owner, lane=lane) as deployment:
        yield Declared(recipe=declaration.recipe(), deployment=deployment)


@contextmanager
def kept_at(
    place: Place, inference: str, module: str | None
) -> Iterator[tuple["Ledger", "Files", "Inference | None"]]:
    """The ledger, the store, and the declaration where there is one; no provider is needed.

    Raises NotFound where the module does not declare it.
    """
    if module is None:
        from batch_assets.started import started_inference

        files = place.files()
        with place.open_ledger() as ledger:
            yield ledger, files, started_inference(files, inference)
        return
    from batch_assets.assets.keys import FILES, LEDGER

    declaration, resources = _located(inference, module)
    with ExitStack() as stack:
        built = _built(stack, _storage(place, resources))
        yield getattr(built, LEDGER), getattr(built, FILES).files, declaration


@contextmanager
def ledger_at(place: Place, module: str | None) -> Iterator["Ledger"]:
    """The ledger of the place, or of the code location where one is named."""
    if module is None:
        with place.open_ledger() as ledger:
            yield ledger
        return
    from batch_assets.assets.keys import LEDGER

    with ExitStack() as stack:
        yield getattr(_built(stack, _storage(place, resources_of(module))), LEDGER)


@contextmanager
def opened(
    place: Place,
    provider: str,
    resources: Mapping[str, Any],
    *,
    owner: str,
    lane: str | None = None,
) -> Iterator["Deployment"]:
    """What the stages act on, with the provider of that resource key, and the lane of the other."""
    from batch_assets.assets.deployment import deployment_from

    needed = [provider, *([] if lane is None else [lane])]
    for key in needed:
        if key not in resources:
            raise DeclarationError(
                f"the deployment has no resource {key!r}; it has {', '.join(sorted(resources))}"
            )
    chosen = {**_storage(place, resources), **{key: resources[key] for key in needed}}
    with ExitStack() as stack:
        built = _built(stack, chosen)
        yield deployment_from(built, provider, owner=owner, lane=lane)


def _built(stack: ExitStack, chosen: Mapping[str, Any]) -> Any:
    """The resources, made until the stack ends. Raises what keeps one from being made."""
    import dagster as dg

    try:
        return stack.enter_context(dg.build_resources(chosen))
    except dg.DagsterError as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None


def _storage(place: Place, resources: Mapping[str, Any]) -> dict[str, Any]:
    """The resources of the ledger and the store: those that are given, else the place's."""
    from batch_assets.assets.keys import FILES, LEDGER
    from batch_assets.resources.io_managers import BatchFilesIOManager
    from batch_assets.resources.ledger import LedgerResource

    chosen = {key: resources[key] for key in (LEDGER, FILES) if key in resources}
    if place.ledger is not None or LEDGER not in chosen:
        chosen[LEDGER] = LedgerResource(url=place.ledger_url)
    if place.root is not None or FILES not in chosen:
        chosen[FILES] = BatchFilesIOManager(
            root=place.root or place.environment.required_files_root()
        )
    return chosen


@contextmanager
def deployments_by_account(
    place: Place, module: str | None, *, owner: str
) -> Iterator[Mapping["Account", "Deployment"]]:
    """What the stages act on, for each account of the code location, or of the deployment."""
    from batch_assets.resources.deployments import chosen_deployment
    from batch_assets.resources.provider_resource import ProviderResource

    resources = chosen_deployment().resources
    if module is not None:
        resources = resources_of(module)
    found: dict[Account, Deployment] = {}
    with ExitStack() as stack:
        for key, resource in resources.items():
            if isinstance(resource, ProviderResource):
                deployment = stack.enter_context(opened(place, key, resources, owner=owner))
                found.setdefault(deployment.provider.account, deployment)
        yield found


def resources_of(module: str) -> Mapping[str, Any]:
    """The resources of a code location."""
    return _definitions_in(_imported(module), module).resources or {}


def _started(place: Place, inference: str) -> tuple["Inference", Mapping[str, Any]] | None:
    """What `start` kept of it; None where it began no such inference."""
    from batch_assets.resources.deployments import chosen_deployment
    from batch_assets.started import started_inference

    found = started_inference(place.files(), inference)
    return None if found is None else (found, chosen_deployment().resources)


def _located(inference: str, name: str) -> tuple["Inference", Mapping[str, Any]]:
    """The inference of a code location, and the location's resources."""
    from batch_assets.inference import declared_inferences

    defs = _definitions_in(_imported(name), name)
    declared = declared_inferences()
    if inference not in declared:
        known = ", ".join(sorted(declared)) or "none"
        raise NotFound(f"{name} declares no inference {inference}; it declares {known}")
    return declared[inference], defs.resources or {}


def _imported(name: str) -> ModuleType:
    # As Dagster does where it loads a module by its name.
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise DeclarationError(
            f"the module {name} cannot be imported: {error}; name it as `dagster dev -m` takes it, "
            "from its project's folder"
        ) from error


def _definitions_in(module: ModuleType, name: str) -> Any:
    import dagster as dg
    from dagster.components.definitions import LazyDefinitions

    found = [
        each for each in vars(module).values() if isinstance(each, dg.Definitions | LazyDefinitions)
    ]
    if len(found) != 1:
        raise DeclarationError(
            f"the module {name} has {len(found) or 'no'} Definitions: name the module that "
            "`dagster dev -m` loads"
        )
    try:
        return found[0] if isinstance(found[0], dg.Definitions) else found[0]()
    except BatchAssetsError:
        raise
    except dg.DagsterError as error:
        own = error.__cause__ if isinstance(error.__cause__, BatchAssetsError) else None
        raise DeclarationError(f"{name} cannot be loaded: {own or error}") from error
