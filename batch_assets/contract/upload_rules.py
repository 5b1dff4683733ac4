"""Request files at the provider: none is left behind that no batch was made of."""

from datetime import datetime
from pathlib import Path

import pytest

from batch_assets.contract.adapter import KEY, PERSONS_KEY, Adapter, Submit, ids
from batch_assets.contract.gateway import Gateway, answering, losing_the_reply
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.errors import (
    ArtifactError,
    BatchAssetsError,
    DeclarationError,
    ProviderUnavailable,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.provider import Provider, Upload

#: What a person calls a file.
_MINE = "spring words-1.jsonl"


class UploadRules(Adapter):
    """`uploads` and `delete_upload`, which have nothing to tell or do where nothing is uploaded.

    And `upload`, for a person.
    """

    def test_an_upload_is_known_by_the_key_of_its_batch(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        batch = submit()

        uploads = list(provider.uploads(since=since))

        if Situation.UPLOADED in server.cannot:
            assert uploads == []
        else:
            assert uploads == [Upload(id=batch.input_file_id or "", key=KEY)]

    def test_an_upload_that_is_gone_can_be_deleted_again(
        self, submit: Submit, provider: Provider, server: ContractServer
    ) -> None:
        self.need(server, Situation.UPLOADED)
        batch = submit()
        before = set(server.uploads())
        assert batch.input_file_id is not None

        provider.delete_upload(batch.input_file_id)
        provider.delete_upload(batch.input_file_id)

        assert (len(before), set(server.uploads())) == (1, set())

    @pytest.mark.parametrize("status", [400, 403, 429])
    def test_a_refused_creation_takes_its_file_back(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        tmp_path: Path,
        status: int,
    ) -> None:
        self.need(server, Situation.UPLOADED)
        gateway.on(server.creating, answering(status, server.refusal(status, "No.")))

        with pytest.raises(BatchAssetsError):
            self.offered(provider, tmp_path)

        assert set(server.uploads()) == set()

    def test_an_upload_in_doubt_leaves_no_doubt_about_the_batch(
        self, provider: Provider, gateway: Gateway, server: ContractServer, tmp_path: Path
    ) -> None:
        """Nothing was created of it: the file is found and swept up."""
        self.need(server, Situation.UPLOADED)
        gateway.on(server.uploading, losing_the_reply)

        with pytest.raises(ProviderUnavailable):
            self.offered(provider, tmp_path)

        assert gateway.count(server.uploading) > 0
        assert gateway.count(server.creating) == 0

    def test_a_creation_in_doubt_keeps_its_file(
        self, provider: Provider, gateway: Gateway, server: ContractServer, tmp_path: Path
    ) -> None:
        self.need(server, Situation.UPLOADED)
        gateway.on(server.creating, losing_the_reply)

        with pytest.raises(ReplyLost):
            self.offered(provider, tmp_path)

        assert len(set(server.uploads())) == 1

    def test_a_persons_file_is_uploaded_under_its_name(
        self, provider: Provider, gateway: Gateway, server: ContractServer, tmp_path: Path
    ) -> None:
        """And no batch is made of it."""
        path = tmp_path / "mine.jsonl"
        self.write_shard(path, 3)
        if not self.uploads_files:
            with pytest.raises(RequestRefused):
                provider.upload(path, name=_MINE)
            assert gateway.calls == []
            return

        file = provider.upload(path, name=_MINE)

        listed = {each.id: each.name for each in provider.files()} if self.lists_files else {}
        assert (file.name, listed.get(file.id, _MINE)) == (_MINE, _MINE)
        assert file.bytes is None or file.bytes > 0
        assert gateway.count(server.creating) == 0

    def test_a_persons_file_is_none_of_those_that_are_swept_up(
        self, provider: Provider, server: ContractServer, since: datetime, tmp_path: Path
    ) -> None:
        path = tmp_path / "mine.jsonl"
        self.write_shard(path, 1)
        self.need_files()

        provider.upload(path, name=_MINE)

        assert list(provider.uploads(since=since)) == []

    @pytest.mark.parametrize("name", [KEY, f"{KEY}.jsonl", "", "a/b.jsonl", "..", "a\nb"])
    def test_a_name_that_is_none_for_a_persons_file_is_refused_without_a_call(
        self, provider: Provider, gateway: Gateway, tmp_path: Path, name: str
    ) -> None:
        """A key is the name of files that may be swept up."""
        path = tmp_path / "mine.jsonl"
        self.write_shard(path, 1)

        with pytest.raises(DeclarationError, match="name"):
            provider.upload(path, name=name)

        assert gateway.calls == []

    def test_a_file_to_upload_that_cannot_be_read_is_our_own_fault(
        self, provider: Provider, gateway: Gateway, tmp_path: Path
    ) -> None:
        self.need_files()

        with pytest.raises(ArtifactError, match=r"gone\.jsonl"):
            provider.upload(tmp_path / "gone.jsonl", name=_MINE)

        assert gateway.calls == []

    def test_a_batch_is_made_of_a_file_that_a_person_uploaded(
        self, provider: Provider, server: ContractServer, since: datetime, tmp_path: Path
    ) -> None:
        """Its answers come back under the ids that the person wrote."""
        self.need_files()
        if not self.creates_of_uploads:
            pytest.skip("it declares creates_of_uploads = False")
        path = tmp_path / "mine.jsonl"
        self.write_shard(path, 3)
        file = provider.upload(path, name=_MINE)

        batch = provider.create(file.id, endpoint=self.compiled().url, key=PERSONS_KEY, metadata={})

        server.finish()
        [ended] = provider.poll({batch.id}, since=since)
        assert self.came_back(provider, ended) == sorted(ids(3))

    def need_files(self) -> None:
        """Skip the test where the adapter declares that it uploads no files of a person's."""
        if not self.uploads_files:
            pytest.skip("it declares uploads_files = False")
