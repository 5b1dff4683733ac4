"""Creating batches for a person: of a file here or at the provider, with words of one's own."""

import json
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from batch_assets.contract.adapter import KEY, NOBODYS_KEY, PERSONS_KEY, Adapter, Submit
from batch_assets.contract.gateway import Gateway, answering, losing_the_reply
from batch_assets.contract.server import ContractServer
from batch_assets.domain.errors import (
    ArtifactError,
    BatchAssetsError,
    DeclarationError,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.provider import KEY_METADATA, Phase, Provider, ProviderBatch

#: The key of another batch of a person's.
_SECOND = "0" * 8 + "2" * 24

#: Ids of a person's own: as long as the shortest limit of a provider that gives them back whole.
_OWN_IDS = ["request-0", "r" * 63, "2026-11-22_a"]

_WORDS = {"project": "spring", "owner": "Jüri"}

#: No batch carries so many, or one so long, or our own word.
_TOO_MUCH = {
    "too many": {f"name-{number}": "x" * 100 for number in range(200)},
    "too long": {"note": "x" * 20_000},
    "our own": {KEY_METADATA: KEY},
}


class CreateRules(Adapter):
    """`create` and `check_metadata`."""

    def made(self, provider: Provider, folder: Path, **over: Any) -> ProviderBatch:
        """A batch of a new file of three requests."""
        path = folder / "requests.jsonl"
        self.write_shard(path, 3)
        return self.created(provider, path, **over)

    def created(
        self,
        provider: Provider,
        requests: Path | str,
        key: str = PERSONS_KEY,
        metadata: dict[str, str] | None = None,
    ) -> ProviderBatch:
        return provider.create(
            requests, endpoint=self.compiled().url, key=key, metadata=metadata or {}
        )

    def test_a_file_here_becomes_a_batch_like_any_other(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
        tmp_path: Path,
    ) -> None:
        batch = self.made(provider, tmp_path)

        assert (batch.phase, gateway.count(server.creating)) == (Phase.OPEN, 1)
        found = self.found_again(provider, server, batch, since=since, requests=3)
        assert dict(found.metadata) == {}

    def test_a_batch_carries_what_a_person_wrote_on_it(
        self, provider: Provider, gateway: Gateway, since: datetime, tmp_path: Path
    ) -> None:
        """And nothing else: our key is not of it."""
        if not self.keeps_metadata:
            with pytest.raises(DeclarationError):
                self.made(provider, tmp_path, metadata=_WORDS)
            assert gateway.calls == []
            return
        batch = self.made(provider, tmp_path, metadata=_WORDS)

        [polled] = provider.poll({batch.id}, since=since)

        assert (dict(batch.metadata), dict(polled.metadata)) == (_WORDS, _WORDS)
        assert polled.key == PERSONS_KEY

    @pytest.mark.parametrize("metadata", _TOO_MUCH.values(), ids=_TOO_MUCH)
    def test_words_that_no_batch_can_carry_are_refused_without_a_call(
        self, provider: Provider, gateway: Gateway, tmp_path: Path, metadata: dict[str, str]
    ) -> None:
        with pytest.raises(DeclarationError, match="metadata"):
            provider.check_metadata(metadata)
        with pytest.raises(DeclarationError, match="metadata"):
            self.made(provider, tmp_path, metadata=metadata)

        assert gateway.calls == []

    def test_a_file_that_cannot_be_read_is_our_own_fault(
        self, provider: Provider, gateway: Gateway, tmp_path: Path
    ) -> None:
        with pytest.raises(ArtifactError, match=r"gone\.jsonl"):
            self.created(provider, tmp_path / "gone.jsonl")

        assert gateway.calls == []

    def test_an_uploaded_file_becomes_a_batch_without_another_upload(
        self,
        submit: Submit,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
    ) -> None:
        if not self.creates_of_uploads:
            with pytest.raises(RequestRefused):
                self.created(provider, server.unknown_file_id)
            assert gateway.calls == []
            return
        uploaded = submit(requests=3).input_file_id or ""
        uploads = gateway.count(server.uploading)

        batch = self.created(provider, uploaded, key=_SECOND)

        assert (gateway.count(server.creating), gateway.count(server.uploading)) == (2, uploads)
        assert (batch.phase, batch.input_file_id) == (Phase.OPEN, uploaded)
        self.found_again(provider, server, batch, key=_SECOND, since=since, requests=3)

    def test_a_refused_creation_leaves_a_file_that_was_there_before(
        self,
        submit: Submit,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
    ) -> None:
        self.need_uploads()
        uploaded = submit().input_file_id or ""
        before = set(server.uploads())
        gateway.on(server.creating, answering(400, server.refusal(400, "No.")))

        with pytest.raises(BatchAssetsError):
            self.created(provider, uploaded, key=_SECOND)

        assert (len(before), set(server.uploads())) == (1, before)

    @pytest.mark.parametrize("of_upload", [False, True])
    def test_a_batch_whose_reply_was_lost_is_found_by_its_key_or_said_to_be_in_doubt(
        self,
        submit: Submit,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
        tmp_path: Path,
        of_upload: bool,
    ) -> None:
        if of_upload:
            self.need_uploads()
            requests: Path | str = submit().input_file_id or ""
        else:
            requests = tmp_path / "requests.jsonl"
            self.write_shard(tmp_path / "requests.jsonl", 3)
        before = gateway.count(server.creating)
        gateway.on(server.creating, losing_the_reply)
        with pytest.raises(ReplyLost, match=_SECOND):
            self.created(provider, requests, key=_SECOND)
        gateway.behave()

        assert gateway.count(server.creating) - before == 1
        if not self.finds_created:
            with pytest.raises(RequestRefused):
                self.found(provider, server, _SECOND, since=since, requests=3)
            return
        found = self.found(provider, server, _SECOND, since=since, requests=3)
        assert found is not None
        assert [each.id for each in provider.poll({found.id}, since=since)] == [found.id]

    def test_a_file_that_the_provider_does_not_have_is_refused_or_fails_as_a_batch(
        self, provider: Provider, gateway: Gateway, server: ContractServer, since: datetime
    ) -> None:
        self.need_uploads()
        try:
            batch = self.created(provider, server.unknown_file_id)
        except RequestRefused:
            assert gateway.count(server.uploading) == 0
            return
        server.finish()

        [ended] = provider.poll({batch.id}, since=since)

        assert (ended.phase, ended.output_file_id) == (Phase.ENDED, None)
        assert ended.problems != ()

    def test_an_uploaded_file_is_answered_as_any_other(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        self.need_uploads()
        uploaded = submit(requests=3)
        batch = self.created(provider, uploaded.input_file_id or "", key=_SECOND)
        server.finish()

        ended = {each.id: each for each in provider.poll({uploaded.id, batch.id}, since=since)}

        first, second = BytesIO(), BytesIO()
        provider.download(ended[uploaded.id].output_file_id or "", first)
        provider.download(ended[batch.id].output_file_id or "", second)
        assert len(second.getvalue().splitlines()) == len(first.getvalue().splitlines()) == 3

    def test_what_a_person_creates_comes_back_under_the_ids_they_wrote(
        self, provider: Provider, server: ContractServer, since: datetime, tmp_path: Path
    ) -> None:
        """Whatever order the fields of a line stand in."""
        path = tmp_path / "own.jsonl"
        self.write_own(path)

        batch = self.created(provider, path)

        server.finish()
        [ended] = provider.poll({batch.id}, since=since)
        assert self.came_back(provider, ended) == sorted(_OWN_IDS)

    def test_one_file_makes_as_many_batches_as_a_person_creates_of_it(
        self, provider: Provider, server: ContractServer, since: datetime, tmp_path: Path
    ) -> None:
        path = tmp_path / "own.jsonl"
        self.write_own(path)

        batches = [self.created(provider, path, key=key) for key in (PERSONS_KEY, _SECOND)]

        server.finish()
        ended = list(provider.poll({batch.id for batch in batches}, since=since))
        assert [self.came_back(provider, each) for each in ended] == [sorted(_OWN_IDS)] * 2
        if self.finds_created:
            for batch, key in zip(batches, (PERSONS_KEY, _SECOND), strict=True):
                self.found_again(provider, server, batch, key=key, since=since, requests=3)

    def test_what_a_person_creates_is_never_taken_for_a_batch_of_an_inference(
        self,
        provider: Provider,
        gateway: Gateway,
        server: ContractServer,
        since: datetime,
        tmp_path: Path,
    ) -> None:
        """Both have as many requests, and the reply was lost of the one that is looked for."""
        theirs = self.made(provider, tmp_path)
        gateway.on(server.creating, losing_the_reply)
        with pytest.raises(ReplyLost):
            self.offered(provider, tmp_path, requests=3)
        gateway.behave()

        found = self.found(provider, server, KEY, since=since, requests=3)

        assert self.found(provider, server, NOBODYS_KEY, since=since, requests=3) is None
        assert found is not None
        assert found.id != theirs.id

    def test_a_batch_that_a_person_never_created_is_not_found(
        self, provider: Provider, server: ContractServer, since: datetime
    ) -> None:
        assert self.found(provider, server, PERSONS_KEY, since=since, requests=3) is None

    def found_again(
        self,
        provider: Provider,
        server: ContractServer,
        batch: ProviderBatch,
        key: str = PERSONS_KEY,
        **known: Any,
    ) -> ProviderBatch:
        """The batch as its key finds it, or itself where `find` only says that it may be it."""
        if not self.finds_created:
            with pytest.raises(RequestRefused, match=batch.id):
                self.found(provider, server, key, **known)
            return batch
        found = self.found(provider, server, key, **known)
        assert found is not None
        assert found.id == batch.id
        return found

    def write_own(self, path: Path) -> None:
        """Write a person's file: ids of their own, at the end of each line, and blanks."""
        id_field = self.compiled().envelope.id_field
        written = self.lines([f"word {number}" for number in range(len(_OWN_IDS))])
        lines = [
            dict(reversed({**json.loads(line), id_field: own_id}.items()))
            for line, own_id in zip(written, _OWN_IDS, strict=True)
        ]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def need_uploads(self) -> None:
        """Skip the test where the adapter declares that it makes no batch of an uploaded file."""
        if not self.creates_of_uploads:
            pytest.skip("it declares creates_of_uploads = False")
