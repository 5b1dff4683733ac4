"""What the environment says of a deployment: where its ledger and files are, and its sandbox.

The one place that reads variables of ours. It imports nothing that takes long, since every command
of an operator begins here.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batch_assets.domain.errors import DeclarationError

#: Which deployment a process uses: local, sandbox or production.
DEPLOYMENT = "BATCH_ASSETS_DEPLOYMENT"
#: Where the sandbox listens; OpenAI's wire, which ends in /v1.
SANDBOX_URL = "BATCH_ASSETS_SANDBOX_URL"
#: Where local and sandbox keep ledger and files.
HOME = "BATCH_ASSETS_HOME"
#: Root of the files in production: a folder or a bucket URL.
FILES_ROOT = "BATCH_ASSETS_FILES_ROOT"
#: SQLAlchemy URL of the ledger in production.
LEDGER_URL = "BATCH_ASSETS_LEDGER_URL"

_DEFAULT_HOME = ".batch_assets"
_DEFAULT_SANDBOX_URL = "http://127.0.0.1:8750/v1"

LOCAL, SANDBOX, PRODUCTION = "local", "sandbox", "production"
NAMES = (LOCAL, PRODUCTION, SANDBOX)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The deployment that was chosen, as plain values."""

    name: str
    #: None in production where no variable names it.
    ledger_url: str | None
    files_root: str | None
    sandbox_url: str

    @property
    def sandbox_origin(self) -> str:
        """The sandbox's address, to which each wire adds its own prefix."""
        return self.sandbox_url.rstrip("/").removesuffix("/v1")

    def required_ledger_url(self) -> str:
        """Raises DeclarationError where the environment has none."""
        return _required(self.ledger_url, "ledger", "its SQLAlchemy URL", LEDGER_URL)

    def required_files_root(self) -> str:
        """Raises DeclarationError where the environment has none."""
        return _required(self.files_root, "files", "a folder or a bucket URL", FILES_ROOT)


def chosen_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """What the variables choose; `local` where they choose nothing.

    Raises DeclarationError for a deployment that there is not.
    """
    name = variables.get(DEPLOYMENT, LOCAL)
    if name not in NAMES:
        raise DeclarationError(f"{DEPLOYMENT} is {name!r}; it can be {', '.join(NAMES)}")
    if name == PRODUCTION:
        ledger_url, files_root = variables.get(LEDGER_URL), variables.get(FILES_ROOT)
    else:
        # What the sandbox answered never passes for the real.
        home = Path(variables.get(HOME, _DEFAULT_HOME)).absolute() / name
        ledger_url, files_root = f"sqlite:///{home}/ledger.db", f"{home}/files"
    return Environment(
        name=name,
        ledger_url=ledger_url,
        files_root=files_root,
        sandbox_url=variables.get(SANDBOX_URL, _DEFAULT_SANDBOX_URL),
    )


def _required(value: str | None, what: str, form: str, variable: str) -> str:
    if not value:
        raise DeclarationError(
            f"nothing names the {what} of the production deployment: set {variable} to {form}"
        )
    return value
