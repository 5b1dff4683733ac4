"""The contract of lanes: the live one over HTTP to the sandbox, and vLLM's runner as a command."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lane_world import LIMITS, a_lane

from batch_assets.contract import LaneContract
from batch_assets.domain.budget import Budget
from batch_assets.prompt.endpoints.anthropic import MessagesEndpoint
from batch_assets.prompt.endpoints.chat import ChatEndpoint
from batch_assets.prompt.endpoints.responses import ResponsesEndpoint
from batch_assets.resources.live import LiveLane
from batch_assets.resources.live.anthropic_caller import anthropic_caller
from batch_assets.resources.vllm import VllmLane

COMMAND = Path(__file__).with_name("vllm_command.py")


class TestLive(LaneContract):
    endpoint = ChatEndpoint
    model = "gpt-4.1-mini"

    @pytest.fixture
    def lane(self, batch_sandbox) -> Iterator[LiveLane]:
        lane = a_lane(batch_sandbox.base_url, concurrency=4)
        yield lane
        lane.close()


class TestLiveResponses(TestLive):
    endpoint = ResponsesEndpoint


class TestLiveMessages(LaneContract):
    endpoint = MessagesEndpoint
    model = "claude-haiku-4-5"

    @pytest.fixture
    def lane(self, batch_sandbox) -> Iterator[LiveLane]:
        lane = a_lane(f"{batch_sandbox.origin}/anthropic", concurrency=4, caller=anthropic_caller)
        yield lane
        lane.close()


class TestVllm(LaneContract):
    endpoint = ChatEndpoint
    model = "tiny"

    @pytest.fixture
    def lane(self, tmp_path) -> VllmLane:
        command = [sys.executable, str(COMMAND), "--book", str(tmp_path / "book.txt")]
        return VllmLane(
            command=command,
            model=None,
            account="vllm",
            limits=LIMITS,
            budget=Budget(),
            look_every=0.01,
        )
