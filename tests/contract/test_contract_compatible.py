"""The contract over every profile of a server that speaks OpenAI's Batch API, each at its wire."""

from collections.abc import Callable

import pytest
from sandbox_server import SandboxServer, chat_line

from batch_assets.contract import Adapter
from batch_assets.contract.account_rules import AccountRules
from batch_assets.contract.cancel_rules import CancelRules
from batch_assets.contract.create_rules import CreateRules
from batch_assets.contract.download_rules import DownloadRules
from batch_assets.contract.ending_rules import EndingRules
from batch_assets.contract.failure_rules import FailureRules
from batch_assets.contract.find_rules import FindRules
from batch_assets.contract.hurry_rules import HurryRules
from batch_assets.contract.list_rules import ListRules
from batch_assets.contract.poll_rules import PollRules
from batch_assets.contract.submit_rules import SubmitRules
from batch_assets.contract.upload_rules import UploadRules
from batch_assets.domain.provider import Provider
from batch_assets.prompt.endpoints.chat import ChatEndpoint
from batch_assets.resources.compatible import PROFILES, CompatibleResource
from batch_assets.sandbox import ScriptedSandbox

#: Where each profile's wire is below the sandbox's address; `{slug}` is the account's part of it.
ADDRESSES = {
    "azure": "/azure/openai/v1",
    "azure-2024-10-21": "/azure/openai",
    "groq": "/groq/openai/v1",
    "together": "/together/v1",
    "deepinfra": "/deepinfra/v1/openai",
    "doubleword": "/doubleword/v1",
    "xerotier": "/xerotier/{slug}/v1",
    "novita": "/novita/openai/v1",
}


class CompatibleServer(SandboxServer):
    creating = "POST */batches"
    uploading = "POST */files*"
    downloading = "GET */files/*/content"
    url = "/v1/chat/completions"
    line = chat_line()

    def __init__(self, sandbox: ScriptedSandbox, profile: str) -> None:
        super().__init__(sandbox)
        self.wire = profile


class CompatibleAdapter(Adapter):
    endpoint = ChatEndpoint
    model = "gpt-4.1-mini"
    profile: str
    wait: Callable[[float], None]

    def server_of(self, sandbox: ScriptedSandbox, profile: str) -> CompatibleServer:
        self.profile, self.wait = profile, sandbox.clock.advance
        self.keeps_metadata = self.creates_of_uploads = PROFILES[profile].metadata is not None
        return CompatibleServer(sandbox, profile)

    def make_provider(self, origin: str, **settings: object) -> Provider:
        slug = "acme" if "{slug}" in ADDRESSES[self.profile] else None
        resource = CompatibleResource(
            profile=self.profile,
            base_url=origin + ADDRESSES[self.profile],
            slug=slug,
            **settings,
        )
        return resource.provider(wait=self.wait)


class TestEveryProfile(
    CompatibleAdapter,
    SubmitRules,
    FindRules,
    PollRules,
    EndingRules,
    DownloadRules,
    CancelRules,
    UploadRules,
    ListRules,
    CreateRules,
):
    @pytest.fixture(params=ADDRESSES)
    def server(self, request, batch_sandbox_server) -> CompatibleServer:
        return self.server_of(batch_sandbox_server, request.param)


class TestTheClientOfAllProfiles(CompatibleAdapter, HurryRules, FailureRules, AccountRules):
    """One client makes the calls of all; these two are the furthest from OpenAI's."""

    @pytest.fixture(params=["azure-2024-10-21", "together"])
    def server(self, request, batch_sandbox_server) -> CompatibleServer:
        return self.server_of(batch_sandbox_server, request.param)
