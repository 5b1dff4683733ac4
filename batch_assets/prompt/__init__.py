"""What is asked and what may be answered: templates, request bodies, output types, token counts."""

from batch_assets.prompt.output import OutputType
from batch_assets.prompt.template import Prompt

__all__ = ["OutputType", "Prompt"]
