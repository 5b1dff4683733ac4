"""Every declared output is taken with one exact strict schema, or refused with the reason."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from golden_schemas import DECLARED, FOLDER, golden
from pydantic import BaseModel
from refused_outputs import REFUSED
from shapes import SHAPES, a_model

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt import Output, OutputType, output_of
from batch_assets.sandbox.documents import DocumentMaker
from batch_assets.sandbox.strict_schema import SchemaRefused, check_strict_schema

TEXTS = ["", "Word: oak\nDefinition: a deciduous tree", "ünïcode \u2028 'quoted' \"twice\"" * 9]


def raw_schema(declared: Any) -> Any:
    """The schema as it would go out were we not there."""
    is_model = isinstance(declared, type) and issubclass(declared, BaseModel)
    return declared.model_json_schema() if is_model else declared


def stored(output: Output, texts: list[str], folder: Any) -> list[Any]:
    """Answers on their way through a Parquet file."""
    values = pa.array([output.parse(text) for text in texts], output.arrow_type)
    pq.write_table(pa.table({"output": values}), folder / "results.parquet")
    table = pq.read_table(folder / "results.parquet")
    assert table["output"].type == output.arrow_type
    found: list[Any] = table["output"].to_pylist()
    assert found == values.to_pylist()
    return found


@pytest.mark.parametrize("name", DECLARED)
def test_it_has_the_strict_schema_of_its_golden_file(name):
    strict = output_of(DECLARED[name]).schema

    assert json.dumps(strict) == json.dumps(golden(name))  # The order of fields is the answer's.


def test_each_golden_file_belongs_to_a_declared_output():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(DECLARED)


@pytest.mark.parametrize("name", DECLARED)
def test_the_providers_own_check_takes_it(name):
    """Row 42: what the provider would refuse is refused before anything is sent."""
    assert check_strict_schema(output_of(DECLARED[name]).schema) is None


@pytest.mark.parametrize("name", DECLARED)
def test_what_the_provider_makes_of_the_schema_is_a_valid_answer_that_can_be_stored(name, tmp_path):
    output = output_of(DECLARED[name])
    maker = DocumentMaker(output.schema)

    found = stored(output, [json.dumps(maker.document(text)) for text in TEXTS], tmp_path)

    assert [set(row) for row in found] == [set(output.schema["properties"])] * len(TEXTS)


@pytest.mark.parametrize("name", SHAPES)
def test_so_it_is_with_a_field_of_every_shape(name, tmp_path):
    output = OutputType(a_model(x=SHAPES[name].type))
    maker = DocumentMaker(output.schema)

    assert len(stored(output, [json.dumps(maker.document(text)) for text in TEXTS], tmp_path)) == 3


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_strict_form_is_refused_with_the_reason(name):
    with pytest.raises(DeclarationError, match=REFUSED[name].sentence):
        output_of(REFUSED[name].declared)


@pytest.mark.parametrize("name", [name for name, case in REFUSED.items() if case.complaint])
def test_the_provider_would_refuse_it_too(name):
    with pytest.raises(SchemaRefused, match=REFUSED[name].complaint):
        check_strict_schema(raw_schema(REFUSED[name].declared))


@pytest.mark.parametrize("name", [name for name, case in REFUSED.items() if not case.complaint])
def test_what_we_alone_refuse_the_provider_would_take(name):
    assert check_strict_schema(raw_schema(REFUSED[name].declared)) is None
