"""The answer of the example inference."""

from typing import Literal

from pydantic import BaseModel, Field


class GlossClass(BaseModel):
    """The class of thing a word stands for."""

    label: Literal[
        "animal",
        "artifact",
        "body",
        "communication",
        "feeling",
        "food",
        "location",
        "person",
        "plant",
        "substance",
    ]
    evidence: str = Field(description="Words of the definition that decided it.")
