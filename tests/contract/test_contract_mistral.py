"""The contract over Mistral's adapter: the real SDK, over HTTP, to the sandbox's wire."""

from typing import ClassVar

import httpx2
import pytest
from mistralai.client import errors as mistral_errors
from sandbox_server import SandboxServer, chat_line

from batch_assets.contract import (
    Adapter,
    EndpointContract,
    ProviderContract,
    SdkErrorsContract,
)
from batch_assets.contract.sdk_rules import exceptions_in, subclasses_of
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.provider import Provider
from batch_assets.prompt.endpoints.mistral import MistralChatEndpoint
from batch_assets.resources.border import Border
from batch_assets.resources.mistral import MistralResource
from batch_assets.resources.mistral.errors import ERRORS
from batch_assets.sandbox.mistral_chat import CHAT

REQUEST = httpx2.Request("POST", "http://provider.test/v1/batch/jobs")


class MistralServer(SandboxServer):
    wire = "mistral"
    url = CHAT
    line = chat_line("mistral-small-latest", CHAT)
    creating = "POST */batch/jobs"
    uploading = "POST */files"
    downloading = "GET */files/*/content"
    cannot: ClassVar = {Outcome.REFUSED: "a message has no field for a refusal"}


class MistralAdapter(Adapter):
    endpoint = MistralChatEndpoint
    model = "mistral-small-latest"

    @pytest.fixture
    def server(self, batch_sandbox_server) -> MistralServer:
        return MistralServer(batch_sandbox_server)

    def make_provider(self, origin: str, **settings: object) -> Provider:
        return MistralResource(base_url=f"{origin}/mistral", **settings).create_resource(None)


class TestMistral(MistralAdapter, ProviderContract):
    pass


class TestMistralChat(MistralAdapter, EndpointContract):
    pass


class TestMistralErrors(SdkErrorsContract):
    def border(self, *, creating):
        border = Border(ERRORS, base_url="http://provider.test", secret="", key_variable="KEY")
        return border.translated("a call", creating=creating)

    def foreign(self):
        yield from subclasses_of(mistral_errors.MistralError)
        yield from exceptions_in(httpx2)
        yield mistral_errors.NoResponseError

    def never_sent(self):
        kinds = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
        return [kind("refused") for kind in kinds]

    def instance(self, kind):
        if kind is mistral_errors.NoResponseError:
            return kind("No.")
        if not issubclass(kind, mistral_errors.MistralError):
            return super().instance(kind)
        error = kind.__new__(kind, "No.")
        response = httpx2.Response(500, request=REQUEST, text="No.")
        mistral_errors.MistralError.__init__(error, "No.", response)
        return error
