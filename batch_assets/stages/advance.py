"""advance: take a partition as far as it can go now, without waiting for the provider."""

from collections.abc import Callable
from dataclasses import dataclass

from batch_assets.domain.batch import RequestSet
from batch_assets.domain.control import Waiting
from batch_assets.domain.progress import Progress, is_complete, progress_of
from batch_assets.files.manifest import read_manifest
from batch_assets.stages.begin import begin
from batch_assets.stages.canary import held_back
from batch_assets.stages.carry_out import carry_out
from batch_assets.stages.collect import collect
from batch_assets.stages.control import cancel_at_provider
from batch_assets.stages.dispatch import Dispatch, dispatch
from batch_assets.stages.plan import layout_of
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.recover import recover
from batch_assets.stages.rescue import (
    RescueNews,
    news_of_rescue,
    rescue,
    without_what_it_left,
)
from batch_assets.stages.resolve import Resolution, resolve


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A partition that still waits for its provider."""

    request_set: RequestSet
    progress: Progress
    #: Why planned batches were not sent.
    waiting_for: Waiting | None = None


def advance(
    deployment: Deployment,
    recipe: Recipe,
    request_set: RequestSet,
    *,
    on_rescue: Callable[[RescueNews], None] = lambda news: None,
) -> Resolution | Pending:
    """Collect what ended, resolve what is complete, send what may be sent.

    Where it is time, what the provider has not answered is cancelled there, and asked live. What is
    sent to a lane is carried out before it returns; `on_rescue` hears of stragglers before that.
    """
    partition_key = request_set.partition_key

    def told_of(now: RequestSet, before: RequestSet) -> RequestSet:
        news = news_of_rescue(deployment, recipe, before, now)
        if news is not None:
            on_rescue(news)
        return now

    before, request_set = request_set, rescue(deployment, recipe, request_set)
    if request_set.rescue_asks is not None:
        told_of(request_set, before)
    try:
        if request_set.awaits_rescue:
            cancel_at_provider(without_what_it_left(deployment, request_set))
            told_of(request_set, before)
        dispatched = _send(deployment, recipe, request_set)
    finally:
        # What was paid for is brought in, whatever keeps the rest from being sent.
        collect(deployment, request_set.inference, partition_key, keeps_remote=recipe.keeps_remote)
    carry_out(deployment, recipe, partition_key)
    request_set = _as_it_stands(deployment, request_set)
    if request_set.carried is None:
        # What it waits for may just have been brought in.
        dispatched = _send(deployment, recipe, request_set)
        carry_out(deployment, recipe, partition_key)
        request_set = _as_it_stands(deployment, request_set)
    while is_complete(request_set, progress := wave_progress(deployment, request_set)):
        resolution = resolve(deployment, recipe, request_set)
        if resolution is not None:
            return resolution
        current = _as_it_stands(deployment, request_set)
        if current == request_set:
            break
        request_set = told_of(current, request_set)
        dispatched = dispatch(deployment, request_set)
        carry_out(deployment, recipe, partition_key)
    waiting_for = held_back(request_set) or dispatched.waiting_for
    return Pending(request_set=request_set, progress=progress, waiting_for=waiting_for)


def _as_it_stands(deployment: Deployment, request_set: RequestSet) -> RequestSet:
    """The request set as the ledger has it now; as it was read, where it was replaced."""
    current = deployment.ledger.request_sets.current(
        request_set.inference, request_set.partition_key
    )
    return request_set if current is None or current.id != request_set.id else current


def _send(deployment: Deployment, recipe: Recipe, request_set: RequestSet) -> Dispatch:
    waiting_for = None
    if request_set.carried is None:
        # Whoever submitted it was stopped before, or it waits for another's answers.
        manifest = read_manifest(deployment.files, layout_of(request_set).manifest)
        waiting_for = begin(deployment, recipe, request_set, manifest)
    recover(without_what_it_left(deployment, request_set))
    dispatched = dispatch(deployment, request_set)
    return dispatched if waiting_for is None else Dispatch(sent=0, waiting_for=waiting_for)


def wave_progress(deployment: Deployment, request_set: RequestSet) -> Progress:
    """How far the wave on its way is."""
    return progress_of(deployment.ledger.batches(request_set=request_set.id, wave=request_set.wave))
