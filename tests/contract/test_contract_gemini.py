"""The contract over Gemini's adapter: google-genai, over HTTP, to the sandbox's wire."""

import json
from typing import ClassVar

import httpx
import httpx2
import pytest
from google.auth import exceptions as auth_exceptions
from google.genai import errors as genai_errors
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
from batch_assets.prompt.endpoints.gemini import GenerateContentEndpoint
from batch_assets.resources.border import Border
from batch_assets.resources.gemini import GeminiResource
from batch_assets.resources.gemini.errors import ERRORS
from batch_assets.sandbox.gemini_answers import GENERATE_CONTENT

MODEL = "gemini-2.5-flash"
_BODY = {"model": MODEL, "contents": [{"role": "user", "parts": [{"text": "Theirs"}]}]}


class GeminiServer(SandboxServer):
    wire = "gemini"
    url = GENERATE_CONTENT
    line = json.dumps(
        {"custom_id": "theirs-0", "method": "POST", "url": GENERATE_CONTENT, "body": _BODY}
    ).encode()
    creating = "POST *:batchGenerateContent"
    uploading = "POST */upload/*/files"
    downloading = "GET */files/*:download"
    unknown_id = "batches/unknown"
    unknown_file_id = "files/unknown"
    cannot: ClassVar = {
        Situation.EXPIRED: "a batch that expired has no results to retrieve",
        Situation.LIST_NAMED: "JSON of protocol buffers leaves out what is empty",
        Situation.WORDED: "the SDK has other words than the wire: BATCH_STATE_… is JOB_STATE_…",
    }

    def uploads(self):
        return [f"files/{name}" for name in super().uploads()]


class GeminiAdapter(Adapter):
    endpoint = GenerateContentEndpoint
    model = MODEL
    keeps_metadata = False

    @pytest.fixture
    def server(self, batch_sandbox_server) -> GeminiServer:
        return GeminiServer(batch_sandbox_server)

    def make_provider(self, origin: str, **settings: object) -> Provider:
        return GeminiResource(base_url=f"{origin}/gemini", **settings).create_resource(None)


class TestGemini(GeminiAdapter, ProviderContract):
    pass


class TestGeminiGenerateContent(GeminiAdapter, EndpointContract):
    pass


class TestGeminiErrors(SdkErrorsContract):
    def border(self, *, creating):
        border = Border(ERRORS, base_url="http://provider.test", secret="", key_variable="KEY")
        return border.translated("a call", creating=creating)

    def foreign(self):
        """But for what the SDK raises of calls of functions, which a batch has none of."""
        yield from subclasses_of(genai_errors.APIError)
        yield from (genai_errors.UnknownApiResponseError, json.JSONDecodeError, UnicodeDecodeError)
        for module in (auth_exceptions, httpx, httpx2):
            yield from exceptions_in(module)

    def never_sent(self):
        for client in (httpx, httpx2):
            yield client.ConnectError("refused")
            yield client.ConnectTimeout("nobody there")

    def instance(self, kind):
        if kind is UnicodeDecodeError:
            return UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no start byte")
        if not issubclass(kind, genai_errors.APIError):
            return super().instance(kind)
        return kind(500, {"error": {"code": 500, "message": "No.", "status": "INTERNAL"}})
