"""The project of docs/howto/provider.md, installed into an environment of its own."""

import os
import re
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "howto" / "provider.md").read_text()

#: Seconds that a run of its tests may take on a busy machine.
PATIENCE = 240


def files_of_the_page() -> Mapping[str, str]:
    """Each file that the page tells of, by its path."""
    return dict(re.findall(r"`([\w./]+\.\w+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))


@dataclass(frozen=True, kw_only=True)
class ToyProject:
    """The project in a folder, and the interpreter that it is installed for."""

    folder: Path
    python: Path

    def pytest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run its tests as its author does."""
        return subprocess.run(
            [self.python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly",
             "-p", "no:xdist", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )  # fmt: skip

    def with_other_words(self, folder: Path, path: str, old: str, new: str) -> "ToyProject":
        """The same project elsewhere, with one change."""
        changed = a_project(folder)
        source = changed / path
        assert source.read_text().count(old) == 1, f"{old!r} is to stand in {path} once"
        source.write_text(source.read_text().replace(old, new))
        # In place of the installed one.
        config = changed / "pyproject.toml"
        config.write_text(config.read_text().replace('["tests"]\n', '["src", "tests"]\n'))
        return ToyProject(folder=changed, python=self.python)


def a_project(folder: Path) -> Path:
    """The page's files in a folder."""
    for path, text in files_of_the_page().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def installed(folder: Path) -> ToyProject:
    """The project, built and installed beside this environment's packages and our checkout."""
    project = a_project(folder / "toy")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--no-deps", "--no-index", "-q", str(wheel)]
    subprocess.run(install, check=True)
    [site] = (folder / "venv").glob("lib/python*/site-packages")
    here = next(path for path in sys.path if path.endswith("site-packages"))
    # As a site folder, so that its own .pth files count: our checkout may be one of them.
    (site / "dependencies.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    return ToyProject(folder=project, python=python)
