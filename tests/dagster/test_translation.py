"""Assets of an inference under other keys, groups and owners: the graph changes, nothing else."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import pyarrow.dataset as pads
import pytest
import yaml
from component_files import WARNING
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing.test_cases import TestTranslation as CasesOfDagster
from dagster.components.testing.utils import component_defs, create_defs_folder_sandbox

import batch_assets as ba
from batch_assets.domain.errors import DeclarationError

pytestmark = pytest.mark.filterwarnings(
    WARNING,
    "ignore:Class `.*CodeReference.*` is currently in beta:dagster.BetaWarning",
)

#: One asset under a key of its own, all of them in a group.
YAML = """
  key: "{{ 'warehouse/answers' if asset == 'results' else 'llm/' + spec.key.to_user_string() }}"
  group_name: support
  owners: [team:support]
  tags: {tier: gold, day: 7}
  kinds: [openai]
  description: "{{ 'The ' + asset + '.' }}"
  metadata: {url: "https://a.b"}
  automation_condition: "{{ dg.AutomationCondition.eager() if asset == 'requests' else None }}"
"""


def in_python(spec: dg.AssetSpec) -> dg.AssetSpec:
    """The same."""
    asset = spec.metadata["batch_assets/asset"]
    eager = dg.AutomationCondition.eager() if asset == "requests" else None
    key = "warehouse/answers" if asset == "results" else f"llm/{spec.key.to_user_string()}"
    return spec.replace_attributes(
        key=dg.AssetKey(key.split("/")),
        group_name="support",
        owners=["team:support"],
        kinds={"openai"},
        description=f"The {asset}.",
        automation_condition=eager,
    ).merge_attributes(tags={"tier": "gold", "day": "7"}, metadata={"url": "https://a.b"})


KEYS = {
    "requests": dg.AssetKey(["llm", "words", "requests"]),
    "batches": dg.AssetKey(["llm", "words", "batches"]),
    "raw_outputs": dg.AssetKey(["llm", "words", "raw_outputs"]),
    "results": dg.AssetKey(["warehouse", "answers"]),
    "bundle": dg.AssetKey(["llm", "words", "bundle"]),
}


def attributes_of(world, translation: Any) -> dict[str, Any]:
    return {
        "name": "words",
        "corpus": {"path": str(world.folder / "corpus" / "words"), "item_id": "id"},
        "prompt": {"user": "Word: {{ word }}"},
        "model_name": "gpt-4.1-mini",
        "output": "factories:Kind",
        "translation": translation,
    }


def by_yaml(world, translation: Any) -> dg.Definitions:
    text = yaml.safe_dump(attributes_of(world, translation), sort_keys=False)
    return component_defs(component=ba.BatchInferenceComponent.resolve_from_yaml(text))


def translated_by_yaml(world) -> dg.Definitions:
    return by_yaml(world, yaml.safe_load(YAML))


def translated_in_python(world) -> dg.Definitions:
    return ba.batch_inference(world.inference(world.corpus(a=3)), translate=in_python)


def translated_by_a_function_of_the_component(world) -> dg.Definitions:
    attributes = attributes_of(world, lambda spec, asset: in_python(spec))
    return component_defs(component=ba.BatchInferenceComponent(**attributes))


class Ours(ba.BatchInferenceComponent):
    """A team's own component."""

    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        return in_python(super().get_asset_spec(spec))


def translated_by_a_subclass(world) -> dg.Definitions:
    return component_defs(component=Ours(**attributes_of(world, None)))


WAYS = [
    translated_by_yaml,
    translated_in_python,
    translated_by_a_function_of_the_component,
    translated_by_a_subclass,
]


def specs_of(defs: dg.Definitions) -> Mapping[str, dg.AssetSpec]:
    """The specs by the names that the assets have in every inference."""
    specs = [spec for assets in defs.assets or [] for spec in assets.specs]
    named = {spec.metadata.get("batch_assets/asset"): spec for spec in specs}
    return {asset: spec for asset, spec in named.items() if asset is not None}


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def translated(request, world) -> dg.Definitions:
    """The inference `words` over one partition of three, under other keys."""
    world.corpus(a=3)
    downstream = dg.asset(
        name="counts",
        ins={"answers": dg.AssetIn(key=KEYS["results"])},
        partitions_def=dg.StaticPartitionsDefinition(["a"]),
    )(counts)
    resources = world.resources()
    return world.load(request.param(world), dg.Definitions([downstream], resources=resources))


def counts(answers: pads.Dataset) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"rows": answers.count_rows()})


def run(world, *assets: str, key: str = "a") -> dg.ExecuteInProcessResult:
    return world.defs.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[KEYS[asset] for asset in assets],
        partition_key=key,
        instance=world.instance,
        raise_on_error=False,
    )


# What is other


def test_every_way_of_translating_gives_these_specs(translated):
    specs = specs_of(translated)

    assert {asset: spec.key for asset, spec in specs.items()} == KEYS
    for asset, spec in specs.items():
        assert spec.group_name == "support"
        assert spec.owners == ["team:support"]
        assert spec.kinds == {"openai"}
        assert (spec.tags["tier"], spec.tags["day"]) == ("gold", "7")
        assert spec.description == f"The {asset}."
        assert spec.metadata["url"] == "https://a.b"
        assert (spec.automation_condition is not None) == (asset == "requests")


def test_the_graph_is_drawn_between_the_new_keys(translated):
    graph = translated.resolve_asset_graph()

    way = [graph.get(key).parent_keys for key in KEYS.values()]
    assert way == [set(), *({key} for key in list(KEYS.values())[:-1])]
    checked = {check.asset_key for check in graph.asset_check_keys}
    assert KEYS["results"] in checked <= set(KEYS.values())


# What is not


def test_a_partition_goes_its_way_under_the_new_keys(world, translated):
    submitted = run(world, "requests", "batches")
    [collected] = world.collect()
    read = world.run_asset("counts", partition="a")

    assert submitted.success
    assert collected.success
    materialized = {
        asset: set(world.instance.get_materialized_partitions(key)) for asset, key in KEYS.items()
    }
    assert materialized == {asset: {"a"} for asset in KEYS}
    [event] = read.asset_materializations_for_node("counts")
    assert event.metadata["rows"].value == 3


def test_an_order_is_told_on_batches_under_its_new_key(world, translated):
    run(world, "requests", "batches")

    ordered = world.order("pause_batches", inference="words", reason="later")

    assert ordered.success
    records = world.instance.fetch_observations(KEYS["batches"], limit=10).records
    orders = [each.asset_observation.metadata.get("order") for each in records]
    assert any("words is paused" in order.value for order in orders if order is not None)


def test_items_are_asked_again_under_the_new_keys(world, translated):
    world.script.fail_once(1)
    run(world, "requests", "batches")
    collected, sent_again, collected_again = world.collect(), world.collect(), world.collect()

    assert all(run.success for run in collected + sent_again + collected_again)
    assert world.sent() == 2
    assert world.instance.get_materialized_partitions(KEYS["results"]) == {"a"}


def test_a_job_has_its_inferences_assets(translated):
    selected = {
        name: translated.resolve_job_def(name).asset_layer.executable_asset_keys
        for name in ("words_submit", "words_collect")
    }

    assert selected == {
        "words_submit": {KEYS["requests"], KEYS["batches"]},
        "words_collect": {KEYS["raw_outputs"], KEYS["results"], KEYS["bundle"]},
    }


def test_an_upstream_asset_keeps_its_key(world):
    corpus = ba.AssetCorpus(key="warehouse/words", item_id="id")
    inference = ba.Inference(
        name="words", corpus=corpus, prompt=ba.Prompt(field="word"), model="gpt-4.1-mini"
    )

    specs = specs_of(ba.batch_inference(inference, translate=in_python))

    [dep] = specs["requests"].deps
    assert dep.asset_key == dg.AssetKey(["warehouse", "words"])


def test_further_dependencies_come_beside_those_an_asset_has(world):
    world.corpus(a=1)

    specs = specs_of(by_yaml(world, {"deps": ["warehouse/labels"]}))

    assert [dep.asset_key.to_user_string() for dep in specs["batches"].deps] == [
        "words/requests",
        "warehouse/labels",
    ]


# Dagster's own cases


@pytest.mark.filterwarnings("ignore:Accessing .*automation_condition.*:DeprecationWarning")
class TestTranslation(CasesOfDagster):
    def test_every_attribute_of_dagsters_cases_is_translated(
        self, world, attributes, assertion, key_modifier
    ):
        world.corpus(a=1)
        if "partitions_def" in attributes:
            with pytest.raises(DeclarationError, match="changes its partitions_def"):
                by_yaml(world, attributes)
            return

        spec = specs_of(by_yaml(world, attributes))["requests"]

        key = dg.AssetKey(["words", "requests"])
        assert spec.key == (key_modifier(key) if key_modifier else key)
        assert assertion(spec)


# What is refused


@pytest.mark.parametrize(
    ("translate", "said"),
    [
        (
            lambda spec: spec.replace_attributes(key="mine"),
            "the translation of words gives two assets one key: mine; make it of the key they have",
        ),
        (lambda spec: None, "the translation of words/requests gives None: return an AssetSpec"),
        (
            lambda spec: spec.replace_attributes(
                partitions_def=dg.StaticPartitionsDefinition(["a"])
            ),
            "the translation of words/requests changes its partitions_def or skippable",
        ),
        (
            lambda spec: spec.replace_attributes(skippable=False),
            "the translation of words/requests changes its partitions_def or skippable",
        ),
    ],
)
def test_a_translation_that_breaks_an_asset_is_refused(
    world, translate: Callable[[dg.AssetSpec], Any], said: str
):
    inference = world.inference(world.corpus(a=1))

    with pytest.raises(DeclarationError, match=re.escape(said)):
        ba.batch_inference(inference, translate=translate)


@pytest.mark.parametrize(
    ("translation", "line", "said"),
    [
        ("key: mine", 9, "gives two assets one key: mine"),
        ("partitions_def: {type: static, partition_keys: [a]}", 9, "changes its partitions_def"),
        ("group_name: g\n    key: '{{ nope }}'", 11, "'nope' not found in scope"),
        ("automation_condition: eager", 9, "is not a AutomationCondition"),
        ("owners: [me]", 9, "the translation of words/requests is no spec of an asset"),
        ("keys: mine", 10, "Extra inputs are not permitted"),
        ("tags: 7", 10, "attributes.translation.tags"),
    ],
)
def test_a_wrong_translation_in_yaml_is_refused_with_its_line(world, translation, line, said):
    world.corpus(a=1)
    attributes = attributes_of(world, None)
    attributes["corpus"] = "CORPUS"
    text = yaml.safe_dump(
        {"type": "batch_assets.BatchInferenceComponent", "attributes": attributes}, sort_keys=False
    )
    corpus = f"{{path: '{world.folder / 'corpus' / 'words'}', item_id: id}}"
    text = text.replace("CORPUS", corpus).replace(
        "translation: null", f"translation:\n    {translation}"
    )

    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.defs_folder_path / "words"
        folder.mkdir()
        (folder / "defs.yaml").write_text(text)
        with pytest.raises(ComponentTreeException) as refused, sandbox.build_all_defs():
            pass

    told = said_in(refused.value)
    assert f"defs.yaml:{line}" in told
    assert said in told


def said_in(error: BaseException | None) -> str:
    """The messages of an error and of what led to it."""
    return "" if error is None else f"{error}\n{said_in(error.__cause__ or error.__context__)}"
