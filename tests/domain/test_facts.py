"""What holds for every fact of the domain."""

import dataclasses
import inspect
import pkgutil
from importlib import import_module
from types import ModuleType

import pytest

from batch_assets import domain
from batch_assets.domain.shard import ShardFill

MODULES: list[ModuleType] = [
    import_module(f"{domain.__name__}.{found.name}")
    for found in pkgutil.iter_modules(domain.__path__)
]
FACTS = [
    kind
    for module in MODULES
    for _, kind in inspect.getmembers(module, dataclasses.is_dataclass)
    if kind.__module__ == module.__name__
]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.__name__)
def test_a_fact_is_frozen_and_made_by_keywords_only(fact):
    assert fact.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(fact))


def test_only_the_fill_of_a_shard_changes():
    kinds = {
        kind
        for module in MODULES
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__ and "__init__" in vars(kind)
        # An error says more than its message by what it is made with.
        if not issubclass(kind, Exception)
    }

    assert kinds - set(FACTS) == {ShardFill}
