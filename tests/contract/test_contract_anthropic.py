"""The contract over Anthropic's adapter: the real SDK, over HTTP, to the sandbox's wire."""

import json
from typing import ClassVar

import anthropic
import httpx2
import pytest
from anthropic import _exceptions as anthropic_exceptions
from sandbox_server import SandboxServer

from batch_assets.contract import (
    Adapter,
    EndpointContract,
    ProviderContract,
    SdkErrorsContract,
    Situation,
)
from batch_assets.contract.sdk_rules import exceptions_in, subclasses_of
from batch_assets.domain.provider import Provider
from batch_assets.prompt.endpoints.anthropic import MessagesEndpoint
from batch_assets.resources.anthropic import AnthropicResource
from batch_assets.resources.anthropic.errors import ERRORS
from batch_assets.resources.border import Border

REQUEST = httpx2.Request("POST", "http://provider.test/v1/messages/batches")
MODEL = "claude-haiku-4-5"
_BODY = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "Theirs"}]}


class AnthropicServer(SandboxServer):
    wire = "anthropic"
    url = "/v1/messages"
    line = json.dumps(
        {"custom_id": "theirs-0", "method": "POST", "url": "/v1/messages", "body": _BODY}
    ).encode()
    creating = "POST */messages/batches"
    downloading = "GET */messages/batches/*/results"
    unknown_id = unknown_file_id = "msgbatch_unknown"
    cannot: ClassVar = {
        Situation.UPLOADED: "requests come with the call that creates their batch",
        Situation.KEYED: "a batch has no place for a word of ours",
        Situation.REJECTED: "a batch never fails as a whole: each request has a result of its own",
        Situation.EMPTY: "an ended batch has results until it is archived",
    }


class AnthropicAdapter(Adapter):
    endpoint = MessagesEndpoint
    model = MODEL
    settings: ClassVar = {"max_tokens": 200}
    finds_created = False
    lists_files = uploads_files = creates_of_uploads = keeps_metadata = False

    @pytest.fixture
    def server(self, batch_sandbox_server) -> AnthropicServer:
        return AnthropicServer(batch_sandbox_server)

    def make_provider(self, origin: str, **settings: object) -> Provider:
        return AnthropicResource(base_url=f"{origin}/anthropic", **settings).create_resource(None)


class TestAnthropic(AnthropicAdapter, ProviderContract):
    def test_a_list_of_more_than_a_page_of_a_thousand_is_read_to_its_end(self, provider, server):
        server.others(1_002)

        listed = [batch.id for batch in provider.batches()]

        assert len(set(listed)) == len(listed) == 1_002
        assert [batch.id for batch in provider.batches(after=listed[999])] == listed[1_000:]


class TestAnthropicMessages(AnthropicAdapter, EndpointContract):
    pass


class TestAnthropicErrors(SdkErrorsContract):
    def border(self, *, creating):
        border = Border(ERRORS, base_url="http://provider.test", secret="", key_variable="KEY")
        return border.translated("a call", creating=creating)

    def foreign(self):
        yield from subclasses_of(anthropic.AnthropicError)
        yield from exceptions_in(anthropic_exceptions)
        yield from exceptions_in(httpx2)

    def never_sent(self):
        kinds = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
        for kind in kinds:
            error = anthropic.APIConnectionError(request=REQUEST)
            error.__cause__ = kind("refused")
            yield error

    def instance(self, kind):
        if issubclass(kind, anthropic.WorkloadIdentityError):
            return kind("No.")
        if not issubclass(kind, anthropic.APIStatusError):
            return super().instance(kind)
        error = kind.__new__(kind, "No.")
        status = getattr(kind, "status_code", 500)
        response = httpx2.Response(status, request=REQUEST)
        anthropic.APIStatusError.__init__(error, "No.", response=response, body=None)
        return error
