"""Where each file lies below the root. Nothing else builds a path."""

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from batch_assets.domain.batch import Batch
from batch_assets.domain.request import RequestSetDigest, short_digest

#: Metadata of an asset that say which of an inference's it is: its key may be the user's own.
ASSET_METADATA = "batch_assets/asset"
INFERENCE_METADATA = "batch_assets/inference"
PROVIDER_METADATA = "batch_assets/provider"

#: Of an inference whose stragglers are asked live: the key of the lane, and after how many hours.
LANE_METADATA = "batch_assets/stragglers_provider"
AFTER_HOURS_METADATA = "batch_assets/stragglers_after_hours"

#: Names of 255 bytes are the limit of common file systems; endings need some of them.
_LONGEST_NAME = 180


#: No escape of any key begins so.
_EMPTY = "%empty"


def file_name(key: str) -> str:
    """A partition key as one safe, distinct path segment, readable where the key is plain."""
    escaped = quote(key, safe="")
    if escaped.startswith((".", "_")):
        # Neither a path of its own, nor one of the names that data set readers leave out.
        escaped = f"%{ord(escaped[0]):02X}{escaped[1:]}"
    if len(escaped) <= _LONGEST_NAME:
        return escaped or _EMPTY
    return f"{escaped[:_LONGEST_NAME]}~{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def results_path(inference: str, partition_key: str) -> str:
    """The partition's results as they stand: all partitions together are one Parquet data set."""
    return f"{inference}/results/{file_name(partition_key)}.parquet"


def usage_path(inference: str) -> str:
    """What the newest answers used, from which a quote expects the length of the next ones."""
    return f"{inference}/usage.json"


#: Declarations of what was started from a command line; no inference has such a name.
STARTED_FOLDER = "started-inferences"


def started_path(inference: str) -> str:
    """The declaration of an inference that was started from a command line."""
    return f"{STARTED_FOLDER}/{inference}.json"


@dataclass(frozen=True, kw_only=True)
class RequestSetLayout:
    """The files of one request set."""

    inference: str
    partition_key: str
    digest: RequestSetDigest

    @property
    def _folder(self) -> str:
        partition = file_name(self.partition_key)
        return f"{self.inference}/request_sets/{partition}/{short_digest(self.digest)}"

    @property
    def manifest(self) -> str:
        return f"{self._folder}/manifest.json"

    @property
    def items(self) -> str:
        """The item index."""
        return f"{self._folder}/items.parquet"

    @property
    def stragglers(self) -> str:
        """At which price its stragglers are asked live."""
        return f"{self._folder}/stragglers.json"

    @property
    def pruned(self) -> str:
        """What says that raw outputs of the request set were removed."""
        return f"{self._folder}/pruned.json"

    def wave_manifest(self, wave: int) -> str:
        """The shards of one wave."""
        return f"{self._folder}/requests/wave-{wave}.json"

    def shard(self, wave: int, number: int) -> str:
        return f"{self._folder}/requests/wave-{wave}-shard-{number:05}.jsonl"

    def raw_output(self, batch: Batch) -> str:
        return f"{self._raw(batch)}.output.jsonl"

    def raw_errors(self, batch: Batch) -> str:
        return f"{self._raw(batch)}.errors.jsonl"

    def answers(self, batch: Batch) -> str:
        """The folder of what a lane has brought of a batch, as long as that is open."""
        return f"{self._folder}/answers/{_of_batch(batch)}"

    @property
    def raw_outputs(self) -> str:
        """The folder of everything the provider returned for the request set."""
        return f"{self._folder}/raw_outputs"

    @property
    def carried_folder(self) -> str:
        """The folder of the answers that earlier request sets have to its requests."""
        return f"{self._folder}/carried"

    def carried(self, shard: int) -> str:
        """Answers to requests that a shard of wave 0 would have asked."""
        return f"{self.carried_folder}/shard-{shard:05}.jsonl"

    def _raw(self, batch: Batch) -> str:
        return f"{self.raw_outputs}/{_of_batch(batch)}"

    def increment(self, number: int, nonce: str) -> str:
        """Results that became readable together; two who take the same one write two files."""
        return f"{self._folder}/increments/{number:05}-{nonce}.parquet"

    @property
    def results(self) -> str:
        return results_path(self.inference, self.partition_key)

    def bundle(self, results_sha256: str) -> str:
        """The folder of one export: other results of the same requests are another bundle."""
        return f"{self.bundles}/{short_digest(self.digest)}-{results_sha256[:8]}"

    @property
    def bundles(self) -> str:
        """The folder of all exports of the partition."""
        return f"{self.inference}/bundles/{file_name(self.partition_key)}"


def _of_batch(batch: Batch) -> str:
    return f"wave-{batch.wave}-shard-{batch.shard:05}-attempt-{batch.attempt}"
