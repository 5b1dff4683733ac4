import openai
import pytest

from batch_assets.sandbox import ManualClock


def test_an_upload_is_described_as_the_api_describes_it(upload, clock):
    file = upload(b"{}\n")
    assert file.model_dump(exclude={"id"}) == {
        "object": "file",
        "bytes": 3,
        "created_at": int(clock.now()),
        "expires_at": int(clock.now()) + 30 * 24 * 3600,
        "filename": "in.jsonl",
        "purpose": "batch",
        "status": "processed",
        "status_details": None,
    }
    assert file.id.startswith("file-")


def test_an_upload_comes_back_byte_for_byte(client, upload):
    content = b'{"a": 1}\r\n\r\n--not-a-boundary\r\n' * 20_000
    assert client.files.content(upload(content).id).content == content


def test_a_file_can_be_retrieved(client, upload):
    file = upload(b"{}\n")
    assert client.files.retrieve(file.id) == file


def test_a_file_expires_when_its_policy_says(client, upload, clock: ManualClock):
    file = upload(b"{}\n", expires_after={"anchor": "created_at", "seconds": 3600})
    clock.advance(3601)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    assert client.files.list().data == []


@pytest.mark.parametrize("seconds", [3599, 2_592_001])
def test_an_expiry_outside_an_hour_and_thirty_days_is_refused(upload, seconds):
    with pytest.raises(openai.BadRequestError) as refused:
        upload(b"{}\n", expires_after={"anchor": "created_at", "seconds": seconds})
    assert refused.value.param == "expires_after.seconds"


def test_an_expiry_counts_from_creation_only(upload):
    with pytest.raises(openai.BadRequestError) as refused:
        upload(b"{}\n", expires_after={"anchor": "last_active_at", "seconds": 7200})
    assert refused.value.param == "expires_after.anchor"


def test_only_files_for_batches_are_taken(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=("in.jsonl", b"{}\n"), purpose="fine-tune")
    assert (refused.value.param, refused.value.code) == ("purpose", "invalid_value")


def test_a_file_that_is_not_called_jsonl_is_refused(client):
    with pytest.raises(openai.BadRequestError, match=r"Must be \.jsonl"):
        client.files.create(file=("in.csv", b"{}\n"), purpose="batch")


def test_a_file_above_the_size_limit_is_refused(sandbox, upload):
    sandbox.state.change_settings({"max_file_bytes": 10})
    with pytest.raises(openai.APIStatusError) as refused:
        upload(b'{"custom_id": "r1"}\n')
    assert refused.value.status_code == 413


def test_a_deleted_file_is_gone(client, upload):
    file = upload(b"{}\n")
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match=f"No such File object: {file.id}"):
        client.files.content(file.id)


def test_a_batch_survives_the_deletion_of_its_input(client, submit, finish, some_requests):
    batch = submit(some_requests(3))
    client.files.delete(batch.input_file_id)
    assert finish(batch).request_counts.completed == 3


def test_files_are_listed_newest_first_and_page_by_page(client, upload):
    ids = [upload(b"{}\n").id for _ in range(5)]
    page = client.files.list(limit=2)
    assert [file.id for file in page.data] == [ids[4], ids[3]]
    assert page.has_more
    assert [file.id for file in client.files.list(limit=2)] == ids[::-1]


def test_files_can_be_listed_oldest_first(client, upload):
    ids = [upload(b"{}\n").id for _ in range(3)]
    assert [file.id for file in client.files.list(limit=2, order="asc")] == ids


def test_files_are_listed_by_purpose(client, submit, finish, some_requests):
    batch = finish(submit(some_requests(1)))
    assert [f.id for f in client.files.list(purpose="batch")] == [batch.input_file_id]
    assert [f.id for f in client.files.list(purpose="batch_output")] == [batch.output_file_id]


def test_a_result_file_is_named_after_its_batch(client, submit, finish, some_requests):
    batch = finish(submit(some_requests(1)))
    file = client.files.retrieve(batch.output_file_id)
    assert (file.filename, file.purpose) == (f"{batch.id}_output.jsonl", "batch_output")


def test_a_result_file_expires_by_the_policy_of_its_batch(client, submit, finish, some_requests):
    policy = {"anchor": "created_at", "seconds": 7200}
    batch = finish(submit(some_requests(1), output_expires_after=policy))
    file = client.files.retrieve(batch.output_file_id)
    assert file.expires_at == file.created_at + 7200
