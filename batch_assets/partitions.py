"""A corpus's partitions as Dagster's."""

import dagster as dg

from batch_assets.corpus import FileCorpus


def partitions_of(corpus: FileCorpus) -> dg.StaticPartitionsDefinition:
    """One partition per file, as the corpus is when the code location loads."""
    return dg.StaticPartitionsDefinition(corpus.partition_keys())
