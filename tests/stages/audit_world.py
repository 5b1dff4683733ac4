"""What tests of the audit share: an audit of a world, and what it finds in short."""

from datetime import timedelta

from openai import OpenAI
from stage_world import World

from batch_assets.domain.audit import Case, Finding, FindingKind
from batch_assets.domain.provider import KEY_METADATA
from batch_assets.sandbox import RunningSandbox
from batch_assets.stages.audit import Audit
from batch_assets.stages.plan import shard_on_disk

ENDPOINT = "/v1/chat/completions"

#: One that no row of any ledger has.
KEY = "0f" * 16

_LINE = (
    b'{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": '
    b'"gpt-5-mini", "messages": [{"role": "user", "content": "Who?"}]}}\n'
)

#: All but what stays by default.
ALARMING = frozenset(FindingKind) - {FindingKind.REMAINS}


def an_audit(
    world: World, *, days: float = 30, kinds: frozenset[FindingKind] = ALARMING
) -> tuple[Audit, list[Finding]]:
    since = world.ledger.clock() - timedelta(days=days)
    audit = Audit(world.deployment, since=since, kinds=kinds)
    return audit, list(audit.findings())


def cases(world: World) -> list[tuple[Case, str]]:
    """What is found, each with the provider's id of the batch or file."""
    return [(each.case, id_of(each)) for each in an_audit(world)[1]]


def id_of(finding: Finding) -> str:
    if finding.file is not None:
        return finding.file.id
    if finding.batch is not None:
        return finding.batch.id
    assert finding.row is not None
    return str(finding.row.provider_id)


def a_foreign_file(sandbox: RunningSandbox, name: str) -> str:
    """What somebody uploads to the account without batch-assets; its id."""
    with OpenAI(api_key="somebody", base_url=sandbox.base_url) as client:
        return client.files.create(file=(name, _LINE), purpose="batch").id


def a_foreign_batch(
    sandbox: RunningSandbox, *, key: str | None = None, name: str = "mine.jsonl"
) -> str:
    """A batch that somebody makes of such a file, under a key or without one; its id."""
    file_id = a_foreign_file(sandbox, name)
    with OpenAI(api_key="somebody", base_url=sandbox.base_url) as client:
        return client.batches.create(
            input_file_id=file_id,
            endpoint=ENDPOINT,
            completion_window="24h",
            metadata=None if key is None else {KEY_METADATA: key},
        ).id


def sent_again(world: World) -> str:
    """The shard of the one batch is sent past the ledger, with the batch's key; its id."""
    batch = world.batch
    with shard_on_disk(world.files, batch) as shard:
        created = world.deployment.provider.submit(shard, endpoint=batch.endpoint, key=batch.key)
    return created.id
