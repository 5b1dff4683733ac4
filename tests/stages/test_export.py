"""A bundle holds everything the results rest on, each file by its checksum, and never changes."""

import hashlib
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.stages.export import Bundle, export

THREE_ROWS = Limits(requests=3, bytes=10**6)


@pytest.fixture
def world(a_world, script):
    """Results of seven items, of which one was asked twice."""
    asked: list[str] = []

    def once_down(batch_id: str, custom_id: str):
        if not custom_id.endswith("-4") or custom_id in asked:
            return None
        asked.append(custom_id)
        return {"custom_id": custom_id, "response": {"status_code": 500, "body": {}}}

    script.line = once_down
    world = a_world(7, limits=THREE_ROWS)
    world.carry()
    return world


def stored(files: Files, folder: str) -> dict[str, bytes]:
    root = Path(files.root) / folder
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_bundle_holds_results_items_requests_and_raw_outputs(world):
    folder, _ = export(world.deployment, world.request_set)

    assert list(stored(world.files, folder)) == [
        "items.parquet",
        "manifest.json",
        "raw_outputs/wave-0-shard-00000-attempt-1.output.jsonl.zst",
        "raw_outputs/wave-0-shard-00001-attempt-1.errors.jsonl.zst",
        "raw_outputs/wave-0-shard-00001-attempt-1.output.jsonl.zst",
        "raw_outputs/wave-0-shard-00002-attempt-1.output.jsonl.zst",
        "raw_outputs/wave-1-shard-00000-attempt-1.output.jsonl.zst",
        "request_set.json",
        "requests/wave-0-shard-00000.jsonl.zst",
        "requests/wave-0-shard-00001.jsonl.zst",
        "requests/wave-0-shard-00002.jsonl.zst",
        "requests/wave-1-shard-00000.jsonl.zst",
        "results.parquet",
    ]


def test_the_manifest_names_each_file_by_its_checksum(world):
    folder, bundle = export(world.deployment, world.request_set)

    found = stored(world.files, folder)
    manifest = found.pop("manifest.json")
    assert msgspec.json.decode(manifest, type=Bundle) == bundle
    assert {file.path: (file.sha256, file.bytes) for file in bundle.files} == {
        name: (hashlib.sha256(content).hexdigest(), len(content)) for name, content in found.items()
    }
    assert bundle.bytes == sum(map(len, found.values()))


def test_a_compressed_file_is_the_stored_one(world):
    folder, _ = export(world.deployment, world.request_set)

    bundled = stored(world.files, folder)
    assert bundled["results.parquet"] == world.files.read(world.layout.results)
    for shard in world.manifest.shards:
        squeezed = bundled[f"requests/{Path(shard.path).name}.zst"]
        with pa.input_stream(pa.BufferReader(squeezed), compression="zstd") as opened:
            assert hashlib.sha256(opened.read()).hexdigest() == shard.sha256


def test_a_bundle_names_the_batches_that_answered(world):
    _, bundle = export(world.deployment, world.request_set)

    assert bundle.batch_ids == tuple(batch.provider_id for batch in world.batches)
    assert (bundle.items, bundle.request_set) == (7, world.manifest.digest)


def test_a_bundle_is_written_once(world):
    first = export(world.deployment, world.request_set)
    root = Path(world.files.root) / first[0]
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}

    assert export(world.deployment, world.request_set) == first

    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_other_results_are_another_bundle(world):
    """Such as those of a raw output that was restored."""
    first, _ = export(world.deployment, world.request_set)
    before = stored(world.files, first)
    output = world.layout.raw_output(world.batches[0])
    world.files.write(output, world.files.read(output).replace(b'\\"score\\":', b'\\"score\\":1'))
    world.advance()

    second, _ = export(world.deployment, world.request_set)

    assert second != first
    assert stored(world.files, first) == before


def test_a_bundle_that_was_cut_off_is_written_again(world):
    folder, _ = export(world.deployment, world.request_set)
    whole = stored(world.files, folder)
    world.files.delete(f"{folder}/manifest.json")
    world.files.delete(f"{folder}/items.parquet")
    world.files.write(f"{folder}/results.parquet", b"half")

    export(world.deployment, world.request_set)

    assert stored(world.files, folder) == whole


@pytest.mark.parametrize(
    "named",
    [
        lambda world: world.manifest.shards[1].path,
        lambda world: world.layout.items,
        lambda world: world.layout.raw_output(world.batches[2]),
    ],
    ids=["shard", "items", "raw output"],
)
def test_a_bundle_without_one_of_its_files_is_none(world, named):
    world.files.delete(named(world))

    with pytest.raises(ArtifactError, match="is missing from the store"):
        export(world.deployment, world.request_set)

    assert not list(Path(world.files.root).rglob("bundles/**/manifest.json"))


@pytest.mark.parametrize(
    "named",
    [lambda world: world.manifest.shards[1].path, lambda world: world.layout.items],
    ids=["shard", "items"],
)
def test_a_file_that_is_not_what_was_stored_is_not_bundled(world, named):
    world.files.write(named(world), world.files.read(named(world)) + b"\n")

    with pytest.raises(ArtifactError, match=r"is not what was stored: .* restore it"):
        export(world.deployment, world.request_set)

    assert not list(Path(world.files.root).rglob("bundles/**/manifest.json"))


def test_there_is_no_bundle_without_results(a_world):
    world = a_world(3)
    world.submit()

    with pytest.raises(ArtifactError, match=r"results/p\.parquet is missing"):
        export(world.deployment, world.request_set)


def test_a_bundle_of_oversize_items_has_no_requests(a_world):
    world = a_world(3, limits=Limits(requests=10, bytes=10))
    world.submit()
    world.advance()

    folder, bundle = export(world.deployment, world.request_set)

    assert bundle.batch_ids == ()
    assert set(stored(world.files, folder)) == {
        "items.parquet",
        "manifest.json",
        "request_set.json",
        "results.parquet",
    }
