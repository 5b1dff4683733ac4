import pytest

from batch_assets.domain.item import is_inference_name


@pytest.mark.parametrize("name", ["a", "_", "Glosses_2", "x" * 63])
def test_an_inference_name_is_a_word_that_dagster_takes(name):
    assert is_inference_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "2nd", "a-b", "a b", "a.b", "a/b", "..", "é", "a\n", "\na", "x" * 64, "a\u0660"],
)
def test_a_name_that_could_be_anything_else_is_none(name):
    assert not is_inference_name(name)
