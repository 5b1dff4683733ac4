"""An audit finds the files that no batch came of, and tells those that are still stored."""

from audit_world import KEY, a_foreign_batch, a_foreign_file, an_audit, cases, id_of
from stage_world import refusal

from batch_assets.domain.audit import Case, FindingKind
from batch_assets.stages.sweep import sweep


def test_an_upload_that_no_batch_came_of_is_an_orphan_until_it_is_swept(a_world, script):
    script.replies["batches.create"] = [refusal(429)]
    script.replies["files.delete"] = [refusal(500)]
    world = a_world(3)
    world.submit()
    [left] = world.deployment.provider.files()

    assert cases(world) == [(Case.UNUSED_FILE, left.id)]
    sweep(world.deployment)
    assert cases(world) == []


def test_a_file_under_a_foreign_key_is_an_orphan_unless_a_batch_was_made_of_it(a_world, sandbox):
    used = a_foreign_batch(sandbox, name=f"{'0e' * 16}.jsonl")
    left = a_foreign_file(sandbox, f"{KEY}.jsonl")
    a_foreign_file(sandbox, "notes.jsonl")

    assert cases(a_world(3)) == [(Case.NO_KEY, used), (Case.FOREIGN_FILE, left)]


def test_what_the_provider_keeps_of_a_collected_batch_is_told_where_it_is_asked_for(a_world):
    world = a_world(3)
    world.carry()
    batch = world.batch

    quiet, _ = an_audit(world)
    told, found = an_audit(world, kinds=frozenset({FindingKind.REMAINS}))

    assert {(each.case, id_of(each)) for each in found} == {
        (Case.REQUESTS, batch.input_file_id),
        (Case.ANSWERS, batch.output_file_id),
    }
    assert {each.row for each in found} == {batch}
    assert quiet.remaining_files == told.remaining_files == 2
    assert quiet.remaining_bytes == sum(each.file.bytes for each in found)


def test_files_of_an_open_batch_are_needed(a_world):
    world = a_world(3)
    world.submit()

    audit, found = an_audit(world, kinds=frozenset({FindingKind.REMAINS}))

    assert (found, audit.files, audit.remaining_files) == ([], 1, 0)


def test_nothing_remains_of_what_is_deleted_once_it_is_collected(a_world):
    world = a_world(3, keeps_remote=False)
    world.carry()

    audit, _ = an_audit(world)

    assert (audit.files, audit.remaining_files) == (0, 0)


def test_without_a_list_of_files_the_batches_are_looked_at(a_world, script, sandbox):
    world = a_world(3)
    other = a_foreign_batch(sandbox)
    script.replies["files.list"] = [refusal(405), refusal(405)]

    audit, found = an_audit(world)

    assert [(each.case, id_of(each)) for each in found] == [(Case.NO_KEY, other)]
    assert len(audit.unread) == 1


def test_without_a_list_of_batches_no_file_is_taken_for_anothers(a_world, sandbox, script):
    """A batch may have been made of it."""
    a_foreign_file(sandbox, f"{KEY}.jsonl")
    script.replies["batches.list"] = [refusal(404)]

    assert cases(a_world(3)) == []
