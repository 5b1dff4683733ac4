"""What is asked and what may be answered: templates, request bodies, output types, token counts."""

from batch_assets.prompt.declared_output import output_of
from batch_assets.prompt.json_schema_output import JsonSchemaOutput
from batch_assets.prompt.labels import Labels
from batch_assets.prompt.output import JsonMode, Output, OutputType, TextOutput
from batch_assets.prompt.parts import Audio, File, Image
from batch_assets.prompt.prompt import Example, Prompt

__all__ = [
    "Audio",
    "Example",
    "File",
    "Image",
    "JsonMode",
    "JsonSchemaOutput",
    "Labels",
    "Output",
    "OutputType",
    "Prompt",
    "TextOutput",
    "output_of",
]
