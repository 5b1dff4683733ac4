"""Bringing what came back: whole or not at all, and never held in memory."""

from contextlib import suppress
from datetime import datetime
from io import BytesIO
from typing import BinaryIO, cast

import pytest

from batch_assets.contract.adapter import Adapter, Submit
from batch_assets.contract.gateway import Gateway, Incident, cut_in_chunks, cut_short
from batch_assets.contract.in_step import InStep, Watched
from batch_assets.contract.server import ContractServer
from batch_assets.domain.errors import ProviderUnavailable, RequestRefused
from batch_assets.domain.provider import Provider

#: Bytes of a long file, and how many of them an adapter may keep to itself.
_LONG = 16 * 2**20
_MOST_HELD = 2 * 2**20

#: Seconds in which what was sent must have arrived behind the adapter.
_PATIENCE = 10.0

CUTS = {"with a length": cut_short, "in chunks": cut_in_chunks}


class DownloadRules(Adapter):
    """`download`."""

    def file_of_a_batch(
        self, submit: Submit, provider: Provider, server: ContractServer, since: datetime
    ) -> str:
        """The id of a file with the answers of a batch."""
        batch = submit(requests=3)
        server.finish()
        [ended] = provider.poll({batch.id}, since=since)
        assert ended.output_file_id is not None
        return ended.output_file_id

    def test_a_file_arrives_byte_for_byte(
        self,
        submit: Submit,
        provider: Provider,
        server: ContractServer,
        since: datetime,
        gateway: Gateway,
    ) -> None:
        file_id = self.file_of_a_batch(submit, provider, server, since)
        before = len(gateway.replies(server.downloading))
        sink = BytesIO()

        provider.download(file_id, sink)

        answered = gateway.replies(server.downloading)[before:]
        assert sink.getvalue() == self.as_downloaded(answered)
        assert sink.getvalue() != b""

    @pytest.mark.parametrize("incident", CUTS.values(), ids=CUTS)
    def test_a_file_that_breaks_off_is_no_file(
        self,
        submit: Submit,
        provider: Provider,
        server: ContractServer,
        since: datetime,
        gateway: Gateway,
        incident: Incident,
    ) -> None:
        file_id = self.file_of_a_batch(submit, provider, server, since)
        gateway.on(server.downloading, incident)

        with pytest.raises(ProviderUnavailable):
            provider.download(file_id, BytesIO())

    def test_a_long_file_is_handed_on_while_it_arrives(
        self,
        submit: Submit,
        provider: Provider,
        server: ContractServer,
        since: datetime,
        gateway: Gateway,
    ) -> None:
        """Memory is flat: of 16 MiB, at most two are with the adapter at any moment."""
        file_id = self.file_of_a_batch(submit, provider, server, since)
        sink = Watched()
        paced = InStep(sink, size=_LONG, most_held=_MOST_HELD, patience=_PATIENCE)
        gateway.on(server.downloading, paced)

        # It may say in the end that the provider knows of a shorter one.
        with suppress(ProviderUnavailable):
            provider.download(file_id, cast("BinaryIO", sink))

        assert not paced.held_back
        assert sink.size == paced.sent > _LONG // 2

    def test_a_file_that_the_provider_does_not_have_is_refused(
        self, provider: Provider, server: ContractServer
    ) -> None:
        with pytest.raises(RequestRefused):
            provider.download(server.unknown_file_id, BytesIO())
