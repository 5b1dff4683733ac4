"""What a stranger's project gets."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built as a release is."""
    folder = tmp_path_factory.mktemp("dist")
    for target in ("wheel", "sdist"):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
            cwd=PROJECT,
            check=True,
            capture_output=True,
        )
    return folder


def names_in_wheel(built: Path) -> set[str]:
    (wheel,) = built.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_the_resources_as_real_files_of_the_package(built: Path) -> None:
    names = names_in_wheel(built)

    assert "batch_assets/resources/openai/resource.py" in names
    assert not any(name.startswith("resources/") for name in names)


def test_the_wheel_holds_types_and_licence(built: Path) -> None:
    names = names_in_wheel(built)

    assert "batch_assets/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_the_resources_as_real_files_of_the_package(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = {
            member.name.split("/", 1)[-1]: member for member in archive if "/" in member.name
        }

    assert members["batch_assets/resources/openai/resource.py"].isfile()


def test_the_wheel_works_beside_a_users_own_resources_package(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "__init__.py").write_text("MINE = True\n")
    environment = a_venv_that_sees_the_dependencies(tmp_path / "venv", wheel)

    said = subprocess.run(
        [environment, "-c", "import resources, batch_assets; from batch_assets import Inference, "
         "OpenAIResource; print(resources.MINE, batch_assets.__file__)"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout  # fmt: skip

    assert said.startswith("True")
    assert str(tmp_path) in said


def a_venv_that_sees_the_dependencies(folder: Path, wheel: Path) -> str:
    """A new environment with the wheel; what the wheel needs comes from this environment."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "dependencies.pth").write_text(f"{here}\n")
    return str(folder / "bin" / "python")


@pytest.mark.parametrize(
    "module",
    ["batch_assets", "batch_assets.resources.ledger", "batch_assets.cli", "batch_assets.sandbox"],
)
def test_importing_it_loads_no_sdk(module: str) -> None:
    code = f"import sys, {module}; print('openai' in sys.modules)"

    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout

    assert said.strip() == "False"


@pytest.mark.parametrize("module", ["batch_assets", "batch_assets.cli"])
def test_importing_it_is_cheap(module: str) -> None:
    heavy = "{'dagster', 'pyarrow', 'pydantic'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"

    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout

    assert said.strip() == "[]"


def test_the_public_api_is_what_it_says() -> None:
    import batch_assets

    assert [name for name in batch_assets.__all__ if not hasattr(batch_assets, name)] == []


def test_no_file_names_this_machine_or_a_registry() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    texts = {
        name: (PROJECT / name).read_text(errors="ignore")
        for name in tracked
        if name and (PROJECT / name).is_file() and not name.endswith((".parquet", ".png"))
    }

    words = (str(PROJECT) + "/", str(Path.home()) + "/", "--index" + "-url", "pypi" + ".org/simple")
    assert [name for name, text in texts.items() if any(word in text for word in words)] == []
