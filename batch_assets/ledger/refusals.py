"""What the database refuses, in our words: the name of each constraint is a sentence."""

import re

from batch_assets.domain.errors import LedgerError

#: SQLite names the columns of a unique index, not the index.
_UNIQUE = {
    "batch.request_set_id, batch.wave, batch.shard": "shard_has_one_live_batch",
    "batch.account, batch.provider_id": "provider_batch_has_one_row",
    "batch.key": "batch_key_is_unique",
    "request_set.inference, request_set.partition_key": "partition_has_one_current_request_set",
    "request_set.inference, request_set.partition_key, request_set.digest": (
        "request_set_is_named_by_its_digest"
    ),
    "index 'scope_is_paused_once'": "scope_is_paused_once",
    "increment.inference, increment.first_sequence": "sequence_is_given_once",
}

_SQLITE = re.compile(r"(?:UNIQUE|CHECK) constraint failed: (.*)")


def refusal_of(error: BaseException) -> LedgerError:
    """The domain's error for the driver's."""
    return LedgerError(f"the ledger refuses, since {_rule_in(error).replace('_', ' ')}")


def _rule_in(error: BaseException) -> str:
    diagnosis = getattr(error, "diag", None)
    if diagnosis is not None and diagnosis.constraint_name:
        return str(diagnosis.constraint_name)
    if (found := _SQLITE.search(str(error))) is not None:
        return _UNIQUE.get(found[1], found[1])
    return f"a rule of the database says so: {error}"
