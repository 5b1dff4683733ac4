"""A provider of somebody else's, written from docs/howto/provider.md alone, outside the package."""

import re
from pathlib import Path

import pytest
import yaml
from toy_provider_project import PAGE, ToyProject, files_of_the_page, installed

from batch_assets.component import BatchInferenceComponent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    return installed(tmp_path_factory.mktemp("toy"))


def test_the_page_has_every_file_of_the_project() -> None:
    assert set(files_of_the_page()) == {
        "pyproject.toml",
        "src/toy_batches/__init__.py",
        "src/toy_batches/client.py",
        "src/toy_batches/endpoint.py",
        "src/toy_batches/provider.py",
        "src/toy_batches/resource.py",
        "tests/test_contract.py",
        "tests/test_inference.py",
        "tests/toy_server.py",
    }


def test_it_passes_the_contract_and_says_what_its_provider_cannot(project: ToyProject) -> None:
    done = project.pytest("tests/test_contract.py", "-q", "-rs")

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    [passed] = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 120
    reasons = set(re.findall(r"SKIPPED \[\d+\] \S+ (.+)", done.stdout))
    assert reasons == {
        "requests are uploaded as a file: requests travel in the call that makes the job",
        "an answer is of a declared type: Toy knows no schema",
        "its answer has no place for a list",
        "it declares creates_of_uploads = False",
        "it declares uploads_files = False",
    }


def test_an_inference_that_names_it_goes_from_a_file_to_results(project: ToyProject) -> None:
    done = project.pytest("tests/test_inference.py", "-q")

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "1 passed" in done.stdout


@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated:DeprecationWarning")
def test_what_the_page_declares_is_a_component() -> None:
    [declared] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)

    component = BatchInferenceComponent.resolve_from_yaml(
        yaml.safe_dump(yaml.safe_load(declared)["attributes"])
    )

    assert component.provider == "toy"


#: What an author may get wrong: the file, what stands there, what would, and the rule it breaks.
SLIPS = {
    "creates twice": (
        "client.py",
        "            return _job(reply)\n\n    def page",
        "            if reply.status_code == 503:\n"
        '                reply = self._http.post("/jobs", content=b"")\n'
        "            return _job(reply)\n\n    def page",
        "test_a_creation_is_sent_once_though_other_calls_are_tried_again",
    ),
    "says of a lost reply that nothing exists": (
        "client.py",
        "with handle, self._calling(call, creating=True) as seconds:",
        "with handle, self._calling(call) as seconds:",
        "test_a_creation_in_doubt_is_sent_once_and_told_of_as_lost",
    ),
    "lets a foreign error through": (
        "client.py",
        "        msgspec.DecodeError,\n        UnicodeDecodeError,\n    ),",
        "        UnicodeDecodeError,\n    ),",
        "test_an_answer_that_cannot_be_read_is_never_taken_for_an_empty_one",
    ),
    "looks at the first page only": (
        "provider.py",
        "(page.jobs[-1].job, page.more) if page.jobs else (None, False)",
        "(None, False)",
        "test_a_batch_is_found_behind_pages_of_others",
    ),
    "takes any batch for ours": (
        "provider.py",
        " if job.label == key)",
        ")",
        "test_another_batch_of_ours_with_as_many_requests_is_not_taken_for_it",
    ),
    "asks one by one": (
        "provider.py",
        "for job in self._listed(since) if missing else ():",
        "for job in ():",
        "test_many_batches_are_asked_about_by_few_calls",
    ),
    "forgets an id that is unknown": (
        "provider.py",
        "                refused[job_id] = refusal",
        "                del refusal",
        "test_what_the_provider_does_not_know_is_named_after_all_others",
    ),
    "begins its list again": (
        "provider.py",
        "self._jobs(after)",
        "self._jobs()",
        "test_a_list_goes_on_behind_any_of_its_batches",
    ),
    "guesses at a new status": (
        "provider.py",
        "PHASES.get(job.state, Phase.UNKNOWN)",
        "PHASES.get(job.state, Phase.OPEN)",
        "test_a_status_that_nobody_knows_is_kept_as_it_is",
    ),
    "keeps what expired for itself": (
        "provider.py",
        "job.job if job.has_answers else None",
        'job.job if job.state == "done" else None',
        "test_an_expired_batch_has_the_answers_that_were_ready",
    ),
    "holds a file in memory": (
        "client.py",
        "            for block in reply.iter_bytes():\n                sink.write(block)",
        "            sink.write(reply.read())",
        "test_a_long_file_is_handed_on_while_it_arrives",
    ),
    "mends what was returned": (
        "client.py",
        "                sink.write(block)",
        '                sink.write(block.replace(b"Toy", b"toy"))',
        "test_a_file_arrives_byte_for_byte",
    ),
    "does not count its calls": (
        "client.py",
        "left = self._patience.take(call)",
        "left = None",
        "test_a_caller_with_few_calls_makes_no_more",
    ),
    "spreads the secret": (
        "client.py",
        "base_url=base_url, secret=api_key,",
        'base_url=base_url, secret="",',
        "test_a_provider_that_repeats_the_secret_does_not_spread_it",
    ),
    "loses an answer's tokens": (
        "endpoint.py",
        "body = ToyBody(answer=line.answer, usage=usage)",
        "body = ToyBody(answer=line.answer)",
        "test_an_answer_tells_its_tokens",
    ),
    "takes a refusal for an answer": (
        "endpoint.py",
        'if ending == "declined" else None',
        'if ending == "refused" else None',
        "test_what_goes_wrong_with_one_item_is_told_of_it_alone",
    ),
}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_an_adapter_that_breaks_a_rule_fails_by_the_rules_name(
    project: ToyProject, tmp_path: Path, slip: tuple[str, str, str, str]
) -> None:
    path, old, new, rule = slip
    wrong = project.with_other_words(tmp_path, f"src/toy_batches/{path}", old, new)

    done = wrong.pytest("tests/test_contract.py", "-q", "-x", "-k", rule)

    assert done.returncode == 1, done.stdout[-3000:]
    assert re.search(rf"FAILED tests/test_contract\.py::\w+::{rule}", done.stdout)
