"""A partition that is resolved, one that waits for approval, one at the provider; and for each
schema a command that answers in it.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner, Result

from batch_assets.cli import main

#: By the schema's name: what is typed, with what `Stage.names` has in braces.
ANSWERS = {
    "approve": "approve words --partition q --dry-run",
    "audit": "audit --kind remains -m {module}",
    "batches-cancel": "batches cancel {open_id} -m {module}",
    "batches-create": "batches create {requests} -m {module}",
    "batches-delete": "batches delete {ended_id} --yes -m {module}",
    "batches-download": "batches download {ended_id} --output-file {folder}/o.jsonl -m {module}",
    "batches-list": "batches list -m {module}",
    "batches-show": "batches show {ended_id} -m {module}",
    "decide": "decide {open_batch} give_up -m {module}",
    "doctor": "doctor",
    "explain": "explain words {item_id} --partition p",
    "export-artifacts": "export-artifacts words --to {folder}/to --partition p -m {module}",
    "files-delete": "files delete {file_id} --yes -m {module}",
    "files-download": "files download {file_id} --output-file {folder}/f.jsonl -m {module}",
    "files-list": "files list -m {module}",
    "files-upload": "files upload {requests} -m {module}",
    "ledger-check": "ledger check",
    "order": "pause words --reason lunch",
    "plan": "plan --input {csv} --id-field id --prompt-field text --model gpt-5-mini",
    "prune-artifacts": "prune-artifacts words --dry-run",
    "resolve": "resolve words --partition p -m {module}",
    "retry": "retry words --partition p --outcome invalid -m {module}",
    "start": "start --input {csv} --id-field id --prompt-field text --model gpt-5-mini",
    "status": "status",
    "wait": "wait words --partition p --no-refresh",
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where commands are called, and what there is for them."""

    #: The options that name the ledger and the store.
    place: Sequence[str]
    names: Mapping[str, Any]

    def words(self, typed: str, *given: str) -> list[str]:
        """A command as it is typed, in words: none of them has a blank in it."""
        return [*(word.format(**self.names) for word in typed.split()), *given, *self.place]

    def run(self, typed: str, *given: str) -> Result:
        """Run it in this process."""
        return CliRunner().invoke(main, self.words(typed, *given))

    def exit_code(self, typed: str, *given: str, output: int, patch: pytest.MonkeyPatch) -> int:
        """The same as a program does, which writes to that file descriptor."""
        with os.fdopen(output, "w") as stdout, patch.context() as patched:
            patched.setattr(sys, "stdout", stdout)
            with pytest.raises(SystemExit) as ended:
                main(self.words(typed, *given))
        return int(ended.value.code or 0)
