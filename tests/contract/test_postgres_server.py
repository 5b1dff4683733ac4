"""The tests' own Postgres: shared while a session lasts, and gone after it however it ended."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from postgres_server import shared_server

HOLD_IT = """
import sys
from pathlib import Path
from postgres_server import shared_server
with shared_server(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def guardians(folder: Path) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if str(folder) in (process.info["cmdline"] or [])]


def home(url: str) -> Path:
    return Path(str(sa.make_url(url).query["host"]))


def wait_for_the_end(guardian: psutil.Process) -> None:
    psutil.wait_procs([guardian], timeout=60)
    assert not guardian.is_running()


@pytest.fixture
def a_user_process(tmp_path):
    tests = str(Path(__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_IT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": tests},
        text=True,
    ) as process:
        yield process
        process.kill()


def test_all_who_share_a_folder_have_one_server_and_the_last_of_them_ends_it(tmp_path):
    with shared_server(tmp_path) as url:
        [guardian] = guardians(tmp_path)
        with shared_server(tmp_path) as again:
            assert again == url
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT 1")) == 1
        engine.dispose()

    wait_for_the_end(guardian)
    assert not home(url).exists()


def test_the_server_outlives_none_of_its_users_even_if_they_are_killed(tmp_path, a_user_process):
    url = a_user_process.stdout.readline().strip()
    user = psutil.Process(a_user_process.pid)
    [guardian] = [found for found in guardians(tmp_path) if found.pid != user.pid]
    assert guardian.children()
    user.kill()

    wait_for_the_end(guardian)
    assert not home(url).exists()


def test_a_server_is_started_anew_after_its_last_user(tmp_path):
    with shared_server(tmp_path) as first:
        [guardian] = guardians(tmp_path)
    wait_for_the_end(guardian)

    with shared_server(tmp_path) as second:
        assert second != first
