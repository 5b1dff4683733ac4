"""Batch inference on Dagster: corpus partitions in, typed results and bundles out.

The public API. Importing it is cheap: each name is loaded where it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_assets.assets.partitions_per_run import (
        PartitionsPerRun,
    )
    from batch_assets.component import (
        BatchInferenceComponent,
    )
    from batch_assets.corpus import (
        ByColumn,
        ByFile,
        ByRows,
        ByTime,
        Corpus,
        CsvDialect,
        Discovered,
        FileCorpus,
        Rows,
    )
    from batch_assets.corpus.asset import (
        AssetCorpus,
    )
    from batch_assets.corpus.composite import (
        CompositeCorpus,
    )
    from batch_assets.corpus.partitioning import (
        StaticKeys,
        TimeWindows,
    )
    from batch_assets.corpus.request_files import (
        RequestFileCorpus,
    )
    from batch_assets.corpus.sql import (
        SqlCorpus,
    )
    from batch_assets.domain.checks import (
        Check,
        Checks,
    )
    from batch_assets.domain.errors import (
        CorpusError,
        DeclarationError,
    )
    from batch_assets.domain.stragglers import (
        Stragglers,
    )
    from batch_assets.domain.wave import (
        RetryPolicy,
    )
    from batch_assets.inference import (
        Inference,
        batch_inference,
    )
    from batch_assets.operations import (
        with_operations,
    )
    from batch_assets.operations.inference_events import (
        InferenceEvent,
        InferenceEventKind,
    )
    from batch_assets.operations.notifications import (
        inference_sensor,
    )
    from batch_assets.prices.declared import (
        Prices,
    )
    from batch_assets.prompt import (
        Audio,
        Example,
        File,
        Image,
        JsonMode,
        JsonSchemaOutput,
        Labels,
        Output,
        Prompt,
    )
    from batch_assets.resources.anthropic import (
        AnthropicResource,
    )
    from batch_assets.resources.compatible import (
        CompatibleResource,
    )
    from batch_assets.resources.gemini import (
        GeminiResource,
    )
    from batch_assets.resources.io_managers import (
        BatchFilesIOManager,
    )
    from batch_assets.resources.ledger import (
        LedgerResource,
    )
    from batch_assets.resources.live import (
        LiveResource,
    )
    from batch_assets.resources.mistral import (
        MistralResource,
    )
    from batch_assets.resources.openai import (
        OpenAIResource,
    )
    from batch_assets.resources.vllm import (
        VllmResource,
    )

__version__ = "0.1.0"

_HOMES = {
    "AnthropicResource": "batch_assets.resources.anthropic",
    "AssetCorpus": "batch_assets.corpus.asset",
    "Audio": "batch_assets.prompt",
    "BatchFilesIOManager": "batch_assets.resources.io_managers",
    "BatchInferenceComponent": "batch_assets.component",
    "ByColumn": "batch_assets.corpus",
    "ByFile": "batch_assets.corpus",
    "ByRows": "batch_assets.corpus",
    "ByTime": "batch_assets.corpus",
    "Check": "batch_assets.domain.checks",
    "Checks": "batch_assets.domain.checks",
    "CompatibleResource": "batch_assets.resources.compatible",
    "CompositeCorpus": "batch_assets.corpus.composite",
    "Corpus": "batch_assets.corpus",
    "CorpusError": "batch_assets.domain.errors",
    "CsvDialect": "batch_assets.corpus",
    "DeclarationError": "batch_assets.domain.errors",
    "Discovered": "batch_assets.corpus",
    "Example": "batch_assets.prompt",
    "File": "batch_assets.prompt",
    "FileCorpus": "batch_assets.corpus",
    "GeminiResource": "batch_assets.resources.gemini",
    "Image": "batch_assets.prompt",
    "Inference": "batch_assets.inference",
    "InferenceEvent": "batch_assets.operations.inference_events",
    "InferenceEventKind": "batch_assets.operations.inference_events",
    "JsonMode": "batch_assets.prompt",
    "JsonSchemaOutput": "batch_assets.prompt",
    "Labels": "batch_assets.prompt",
    "LedgerResource": "batch_assets.resources.ledger",
    "LiveResource": "batch_assets.resources.live",
    "MistralResource": "batch_assets.resources.mistral",
    "OpenAIResource": "batch_assets.resources.openai",
    "Output": "batch_assets.prompt",
    "PartitionsPerRun": "batch_assets.assets.partitions_per_run",
    "Prices": "batch_assets.prices.declared",
    "Prompt": "batch_assets.prompt",
    "RequestFileCorpus": "batch_assets.corpus.request_files",
    "RetryPolicy": "batch_assets.domain.wave",
    "Rows": "batch_assets.corpus",
    "SqlCorpus": "batch_assets.corpus.sql",
    "StaticKeys": "batch_assets.corpus.partitioning",
    "Stragglers": "batch_assets.domain.stragglers",
    "TimeWindows": "batch_assets.corpus.partitioning",
    "VllmResource": "batch_assets.resources.vllm",
    "batch_inference": "batch_assets.inference",
    "inference_sensor": "batch_assets.operations.notifications",
    "with_operations": "batch_assets.operations",
}

__all__ = [
    "AnthropicResource",
    "AssetCorpus",
    "Audio",
    "BatchFilesIOManager",
    "BatchInferenceComponent",
    "ByColumn",
    "ByFile",
    "ByRows",
    "ByTime",
    "Check",
    "Checks",
    "CompatibleResource",
    "CompositeCorpus",
    "Corpus",
    "CorpusError",
    "CsvDialect",
    "DeclarationError",
    "Discovered",
    "Example",
    "File",
    "FileCorpus",
    "GeminiResource",
    "Image",
    "Inference",
    "InferenceEvent",
    "InferenceEventKind",
    "JsonMode",
    "JsonSchemaOutput",
    "Labels",
    "LedgerResource",
    "LiveResource",
    "MistralResource",
    "OpenAIResource",
    "Output",
    "PartitionsPerRun",
    "Prices",
    "Prompt",
    "RequestFileCorpus",
    "RetryPolicy",
    "Rows",
    "SqlCorpus",
    "StaticKeys",
    "Stragglers",
    "TimeWindows",
    "VllmResource",
    "batch_inference",
    "inference_sensor",
    "with_operations",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
