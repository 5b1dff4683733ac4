"""What a request set asks that its partition did not ask before, and what the difference costs."""

from dataclasses import replace

import msgspec
import pytest
from factories import Kind, a_corpus, a_recipe, a_table

from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.shard import Limits
from batch_assets.sandbox import ItemError
from batch_assets.stages.difference import Difference, difference
from batch_assets.stages.plan import layout_of

THREE_ROWS = Limits(requests=3, bytes=10**6)


class Renamed(Kind):
    """The answer most tests ask for, under another name."""


@pytest.fixture
def rewrite(tmp_path):
    """Writes a partition of these ids, each with its word."""

    def write(*, key: str = "p", **words: str) -> None:
        table = a_table(len(words), id=list(words), word=list(words.values()))
        a_corpus(tmp_path / "corpus", table, key=key)

    return write


def look(world) -> Difference:
    return difference(world.deployment, world.recipe, world.prepare())


def items(found: Difference) -> tuple[int, int, int, int]:
    """New, changed, unchanged, gone."""
    return found.new.items, found.changed.items, found.unchanged, found.gone.items


def cost(found: Difference) -> tuple[int, int, int]:
    """Requests that are reused, awaited, to be paid for."""
    return found.cost.reused, found.cost.awaited, found.cost.requests


# Items


def test_of_the_first_request_set_everything_is_new(a_world):
    world = a_world(3)

    found = look(world)

    assert (items(found), found.new.examples) == ((3, 0, 0, 0), ["i-0", "i-1", "i-2"])
    assert (found.before, found.why) == (None, "")
    assert cost(found) == (0, 0, 3)
    assert found.cost.tokens == world.manifest.tokens


def test_items_are_told_apart_by_their_ids_whatever_their_order(a_world, rewrite):
    world = a_world(0)
    rewrite(a="oak", b="wolf", c="sea", d="elm")
    world.carry()
    rewrite(e="ash", d="elm", c="lake", a="oak")

    found = look(world)

    assert items(found) == (1, 1, 2, 1)
    assert found.new.examples == ["e"]
    assert found.changed.examples == ["c"]
    assert found.gone.examples == ["b"]
    assert (found.why, found.before.digest) == ("text", world.manifests[0].digest)


def test_text_that_moved_to_another_item_is_a_change_that_costs_nothing(a_world, rewrite):
    world = a_world(0)
    rewrite(a="oak", b="wolf")
    world.carry()
    rewrite(a="wolf", b="oak")

    found = look(world)

    assert items(found) == (0, 2, 0, 0)
    assert cost(found) == (2, 0, 0)


def test_ids_and_words_of_a_large_partition_are_compared_one_by_one(a_world, tmp_path):
    rows = 5_000
    world = a_world(rows, limits=Limits(requests=700, bytes=10**8))
    world.submit()
    words = [f"word {row}" if row % 16 else f"changed {row}" for row in range(rows)]
    table = a_table(rows, word=words).slice(100)
    a_corpus(tmp_path / "corpus", table)

    found = look(world)

    changed = len([row for row in range(100, rows) if not row % 16])
    assert items(found) == (0, changed, rows - 100 - changed, 100)
    assert found.changed.examples == ["i-112", "i-128", "i-144"]


def test_the_same_request_set_is_not_compared(a_world, files):
    world = a_world(3)
    world.carry()
    manifest = world.prepare()
    files.delete(world.layout.items)

    found = difference(world.deployment, world.recipe, manifest)

    assert (items(found), cost(found)) == ((0, 0, 3, 0), (3, 0, 0))


# Why


@pytest.mark.parametrize(
    ("over", "why"),
    [
        ({"user": "Another: {{ word }}"}, "prompt"),
        ({"system": "Be brief."}, "prompt"),
        ({"model": "gpt-4.1-mini"}, "model"),
        ({"output": Renamed}, "schema"),
        ({"output": None}, "schema"),
        ({"settings": {"seed": 1}}, "parameters"),
        ({"settings": {"extra_body": {"top_k": 3}}}, "parameters"),
        ({"endpoint": "responses"}, "endpoint, prompt"),
        ({"model": "gpt-4.1-mini", "settings": {"seed": 1}}, "model, parameters"),
    ],
)
def test_a_changed_declaration_changes_every_item_and_says_by_which_part(a_world, over, why):
    world = a_world(3)
    world.carry()
    world.recipe = a_recipe(world.recipe.corpus, **over)

    found = look(world)

    assert (items(found), found.why) == ((0, 3, 0, 0), why)
    assert cost(found) == (0, 0, 3)


def test_a_setting_of_the_answer_is_a_parameter_and_not_the_schema(a_world):
    world = a_world(3, endpoint="responses")
    world.submit()
    settings = {"text": {"verbosity": "low"}}
    world.recipe = a_recipe(world.recipe.corpus, endpoint="responses", settings=settings)

    assert look(world).why == "parameters"


def test_the_models_are_named(a_world):
    world = a_world(3)
    world.submit()
    world.recipe = a_recipe(world.recipe.corpus, model="gpt-4.1-mini")

    assert look(world).parts == {"model": ("gpt-5-mini", "gpt-4.1-mini")}


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("Word: {{ word }}", "text"),
        ("Another: {{ word }}", "prompt, model, schema or parameters"),
    ],
)
def test_a_manifest_of_an_older_version_tells_only_whether_the_shape_is_another(
    a_world, rewrite, files, user, why
):
    world = a_world(3)
    world.submit()
    written = msgspec.json.decode(files.read(world.layout.manifest))
    del written["shape"]
    files.write(world.layout.manifest, msgspec.json.encode(written))
    rewrite(**{"i-0": "changed"})
    world.recipe = a_recipe(world.recipe.corpus, user=user)

    assert look(world).why == why


# Cost


def test_what_was_answered_is_reused_and_the_rest_is_to_be_paid_for(a_world, rewrite):
    world = a_world(0, limits=THREE_ROWS)
    rewrite(a="1", b="2", c="3", d="4", e="5", f="6")
    world.carry()
    rewrite(a="1", b="changed", c="3", d="4", e="5", f="6", g="7")

    found = look(world)
    submission = world.submit()

    assert cost(found) == (5, 0, 2)
    assert [batch.reservation.requests for batch in submission.batches] == [found.cost.requests]
    assert 0 < found.cost.tokens < world.manifest.tokens


def test_requests_that_items_share_are_paid_for_once(a_world, rewrite):
    world = a_world(0)
    rewrite(a="oak", b="oak", c="wolf")

    found = look(world)

    assert (found.items, world.manifest.duplicates, cost(found)) == (3, 1, (0, 0, 2))


def test_a_copy_of_another_partition_is_new_and_costs_nothing(a_world, rewrite):
    world = a_world(0)
    rewrite(a="oak", b="wolf")
    world.carry()
    rewrite(key="copy", a="oak", b="wolf")

    found = look(replace(world, partition_key="copy", manifests=[]))

    assert (items(found), cost(found)) == ((2, 0, 0, 0), (2, 0, 0))


def test_changed_back_costs_nothing(a_world):
    world = a_world(3)
    world.carry()
    old = world.recipe
    world.recipe = a_recipe(old.corpus, user="Another: {{ word }}")
    world.carry()
    world.recipe = old

    found = look(world)

    assert (items(found), found.why, cost(found)) == ((0, 3, 0, 0), "prompt", (3, 0, 0))


def test_of_a_request_set_that_was_begun_what_was_never_sent_is_to_be_paid_for(
    a_world, sandbox, provider_at
):
    one_batch = provider_at(sandbox.base_url, budget=Budget(batches=1))
    world = a_world(6, limits=THREE_ROWS, via=one_batch)
    world.submit()
    assert cost(look(world)) == (3, 0, 3)
    old = world.recipe
    world.recipe = a_recipe(old.corpus, user="Another: {{ word }}")
    world.submit()
    world.recipe = old

    found = look(world)

    assert cost(found) == (3, 0, 3)
    assert found.cost.tokens == world.manifest.shards[1].tokens


def test_what_is_at_the_provider_is_awaited_and_not_to_be_paid_for(a_world, rewrite):
    world = a_world(0)
    rewrite(a="oak", b="wolf", c="sea")
    world.submit()
    first = world.request_set
    rewrite(a="oak", b="wolf", c="lake")

    found = look(world)

    assert cost(found) == (0, 2, 1)
    assert found.cost.awaited_from == first


def test_answers_that_were_not_valid_are_to_be_paid_for(a_world, rewrite, script):
    script.items(ItemError(status=400), containing="wolf")
    world = a_world(0, max_waves=1)
    rewrite(a="oak", b="wolf")
    world.carry()
    rewrite(a="oak", b="wolf", c="sea")

    assert cost(look(world)) == (1, 0, 2)


def test_where_reuse_is_off_everything_is_to_be_paid_for(a_world, rewrite):
    world = a_world(3, reuse=False)
    world.carry()
    rewrite(**{"i-0": "word 0", "i-1": "word 1"})

    found = look(world)

    assert (items(found), cost(found)) == ((0, 0, 2, 1), (0, 0, 2))


def test_a_look_sends_nothing_and_plans_nothing(a_world, rewrite):
    world = a_world(3)
    world.carry()
    bought, batches = world.executions, world.batches
    rewrite(**{"i-0": "changed"})

    look(world)

    assert (world.executions, world.batches) == (bought, batches)
    assert world.request_set.digest == world.manifests[0].digest


def test_what_stands_in_a_log_is_one_line(a_world, rewrite):
    world = a_world(0)
    rewrite(a="oak", b="wolf", c="sea")
    world.carry()
    rewrite(a="oak", b="lake", d="elm")

    found = look(world)

    assert str(found) == (
        "1 new, 1 changed (text), 1 unchanged, 1 gone items; 1 requests reused, 2 to pay for "
        f"(about {found.cost.tokens} prompt tokens, price unknown)"
    )


def test_a_missing_manifest_of_the_request_set_before_is_named(a_world, rewrite, files):
    world = a_world(3)
    world.carry()
    layout = layout_of(world.request_set)
    rewrite(**{"i-0": "changed"})
    files.delete(layout.manifest)

    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        look(world)
