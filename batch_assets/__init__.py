"""Batch inference on Dagster: corpus partitions in, typed results and bundles out.

The public API. Importing it is cheap: each name is loaded where it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_assets.component import BatchInferenceComponent
    from batch_assets.corpus import FileCorpus
    from batch_assets.domain.wave import RetryPolicy
    from batch_assets.inference import Inference, batch_inference
    from batch_assets.operations import with_operations
    from batch_assets.prompt import Prompt
    from batch_assets.resources.io_managers import BatchFilesIOManager
    from batch_assets.resources.ledger import LedgerResource
    from batch_assets.resources.openai import OpenAIResource

__version__ = "0.1.0"

_HOMES = {
    "BatchFilesIOManager": "batch_assets.resources.io_managers",
    "BatchInferenceComponent": "batch_assets.component",
    "Inference": "batch_assets.inference",
    "LedgerResource": "batch_assets.resources.ledger",
    "OpenAIResource": "batch_assets.resources.openai",
    "FileCorpus": "batch_assets.corpus",
    "Prompt": "batch_assets.prompt",
    "RetryPolicy": "batch_assets.domain.wave",
    "batch_inference": "batch_assets.inference",
    "with_operations": "batch_assets.operations",
}

__all__ = [
    "BatchFilesIOManager",
    "BatchInferenceComponent",
    "FileCorpus",
    "Inference",
    "LedgerResource",
    "OpenAIResource",
    "Prompt",
    "RetryPolicy",
    "batch_inference",
    "with_operations",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
