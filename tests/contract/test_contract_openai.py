"""The contract of the port over OpenAI's adapter: the real SDK, over HTTP, to the sandbox."""

import httpx2
import openai
import pytest
from openai import _exceptions as openai_exceptions
from sandbox_server import SandboxServer, chat_line

from batch_assets.contract import (
    Adapter,
    EndpointContract,
    ProviderContract,
    SdkErrorsContract,
)
from batch_assets.contract.sdk_rules import exceptions_in, subclasses_of
from batch_assets.domain.provider import Provider
from batch_assets.prompt.endpoints.chat import ChatEndpoint
from batch_assets.prompt.endpoints.responses import ResponsesEndpoint
from batch_assets.resources.border import Border
from batch_assets.resources.openai import OpenAIResource
from batch_assets.resources.openai.errors import ERRORS as OPENAI_ERRORS

REQUEST = httpx2.Request("POST", "http://provider.test/v1/batches")


class OpenAIServer(SandboxServer):
    creating = "POST /v1/batches"
    uploading = "POST /v1/files"
    downloading = "GET /v1/files/*/content"
    wire = "openai"
    url = "/v1/chat/completions"
    line = chat_line()


class OpenAIAdapter(Adapter):
    endpoint = ChatEndpoint
    model = "gpt-4.1-mini"

    @pytest.fixture
    def server(self, batch_sandbox_server) -> OpenAIServer:
        return OpenAIServer(batch_sandbox_server)

    def make_provider(self, origin: str, **settings: object) -> Provider:
        return OpenAIResource(base_url=f"{origin}/v1", **settings).create_resource(None)


class TestOpenAI(OpenAIAdapter, ProviderContract):
    pass


class TestOpenAIChat(OpenAIAdapter, EndpointContract):
    pass


class TestOpenAIResponses(OpenAIAdapter, EndpointContract):
    endpoint = ResponsesEndpoint


class TestOpenAIErrors(SdkErrorsContract):
    def border(self, *, creating):
        border = Border(
            OPENAI_ERRORS, base_url="http://provider.test", secret="", key_variable="OPENAI_API_KEY"
        )
        return border.translated("a call", creating=creating)

    def foreign(self):
        yield from subclasses_of(openai.OpenAIError)
        yield from exceptions_in(openai_exceptions)
        yield from exceptions_in(httpx2)

    def never_sent(self):
        kinds = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
        for kind in kinds:
            error = openai.APIConnectionError(request=REQUEST)
            error.__cause__ = kind("refused")
            yield error

    def instance(self, kind):
        if not issubclass(kind, openai.APIStatusError):
            return super().instance(kind)
        error = kind.__new__(kind, "No.")
        status = getattr(kind, "status_code", 500)
        response = httpx2.Response(status, request=REQUEST)
        openai.APIStatusError.__init__(error, "No.", response=response, body=None)
        return error
