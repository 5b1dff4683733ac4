"""Request files at the provider: none is left behind that no batch was made of."""

from datetime import datetime
from pathlib import Path

import pytest

from batch_assets.contract.adapter import KEY, Adapter, Submit
from batch_assets.contract.gateway import Gateway, answering, losing_the_reply
from batch_assets.contract.server import ContractServer, Situation
from batch_assets.domain.errors import BatchAssetsError, ProviderUnavailable, ReplyLost
from batch_assets.domain.provider import Provider, Upload


class UploadRules(Adapter):
    """`uploads` and `delete_upload`; where nothing is uploaded, they have nothing to tell or do."""

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
