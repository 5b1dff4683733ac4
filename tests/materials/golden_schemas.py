"""The exact strict schema of every declared output, one file each.

Renew the files on purpose, and read the difference before it is committed:
    PYTHONPATH=tests/materials python tests/materials/golden_schemas.py
"""

import json
from pathlib import Path
from typing import Any

from declared_models import MODELS
from declared_schemas import SCHEMAS

from batch_assets.prompt import output_of

FOLDER = Path(__file__).parent / "golden"
DECLARED: dict[str, Any] = {**MODELS, **SCHEMAS}


def golden(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def renew() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, declared in DECLARED.items():
        written = json.dumps(output_of(declared).schema, indent=2, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(f"{written}\n")


if __name__ == "__main__":
    renew()
