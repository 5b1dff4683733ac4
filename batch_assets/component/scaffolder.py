"""What `dg scaffold defs batch_assets.BatchInferenceComponent NAME` writes."""

import dagster as dg
from pydantic import BaseModel, Field


class ScaffoldParams(BaseModel):
    """What `dg scaffold defs` asks for: the declaration's fields that have no default."""

    corpus_path: str = Field(description="Folder, glob or file of Parquet; below the project.")
    item_id: str = Field(description="Column of the item's key.")
    prompt: str = Field(description="Jinja2 template over the corpus's columns.")
    model_name: str = Field(description="The provider's name of the model.")
    output: str = Field(description="Import path of a Pydantic model, package.module:Class.")


class BatchInferenceScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a component file that loads as it is; the inference has the folder's name."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write the file."""
        given = request.params
        dg.scaffold_component(
            request,
            {
                "name": request.target_path.name,
                "corpus": {"path": given.corpus_path, "item_id": given.item_id},
                "prompt": {"user": given.prompt},
                "model_name": given.model_name,
                "output": given.output,
            },
        )
