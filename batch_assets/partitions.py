"""A corpus's partitions as Dagster's."""

from typing import assert_never

import dagster as dg

from batch_assets.corpus.corpus import Corpus
from batch_assets.corpus.partitioning import (
    DiscoveredKeys,
    GivenPartitions,
    StaticKeys,
    TimeWindows,
)
from batch_assets.corpus.windows import definition_of
from batch_assets.domain.errors import CorpusError


def partitions_of(corpus: Corpus, inference: str) -> dg.PartitionsDefinition[str]:
    """The partitions of an inference over the corpus, as they are when the code location loads.

    Raises CorpusError for keys that Dagster refuses.
    """
    partitioning = corpus.partitioning
    match partitioning:
        case StaticKeys(keys=keys):
            try:
                return dg.StaticPartitionsDefinition(list(keys))
            except dg.DagsterInvalidDefinitionError as error:
                raise CorpusError(
                    f"the partition keys of {inference}: {error} Give the corpus other keys"
                ) from error
        case TimeWindows():
            return definition_of(partitioning)
        case DiscoveredKeys():
            return dg.DynamicPartitionsDefinition(name=f"{inference}_partitions")
        case GivenPartitions(definition=definition):
            given: dg.PartitionsDefinition[str] = definition
            return given
        case _:
            assert_never(partitioning)
