"""The contract over Gemini's adapter at Vertex AI: its jobs, and its bucket over gcsfs."""

from io import BytesIO
from types import SimpleNamespace
from typing import ClassVar

import pytest
from gemini_credentials import sign_in
from test_contract_gemini import MODEL, GeminiServer

from batch_assets.contract import ProviderContract, Situation
from batch_assets.contract.adapter import KEY
from batch_assets.contract.in_step import Watched
from batch_assets.domain.errors import ProviderUnavailable
from batch_assets.domain.provider import Provider
from batch_assets.prompt.endpoints.gemini import GenerateContentEndpoint
from batch_assets.resources.gemini import GeminiResource
from batch_assets.resources.gemini.labels import with_key
from batch_assets.sandbox.gemini_bucket import object_names, object_path

BUCKET = "a-bucket"
FOLDER = f"gs://{BUCKET}/batches"
PARENT = "projects/p1/locations/us-central1"


class VertexServer(GeminiServer):
    wire = "vertex"
    creating = "POST */batchPredictionJobs"
    uploading = "POST */gcs/upload/*"
    downloading = "GET */gcs/download/*"
    unknown_id = f"{PARENT}/batchPredictionJobs/1"
    unknown_file_id = f"{FOLDER}/unknown/answers/prediction-model-1"
    cannot: ClassVar = {
        Situation.LIST_NAMED: GeminiServer.cannot[Situation.LIST_NAMED],
        Situation.WORDED: "the wire's word JOB_STATE_RUNNING is our running",
        Situation.SECRET: "it is called with credentials of Google's, which are no setting",
    }
    told: ClassVar = {
        "displayName": "theirs",
        "model": f"publishers/google/models/{MODEL}",
        "source": f"{FOLDER}/theirs.jsonl",
        "prefix": f"{FOLDER}/theirs",
        "parent": PARENT,
    }

    def others(self, count: int) -> None:
        super().others(count)
        self.put("batches/theirs.jsonl", self.line)

    def put(self, name: str, content: bytes) -> None:
        """Into the bucket, behind the back of the wire."""
        object_path(self._sandbox.state, BUCKET, name).write_bytes(content)

    def uploads(self):
        names = object_names(self._sandbox.state, BUCKET)
        return [f"gs://{BUCKET}/{name}" for name in names if name.endswith("/requests.jsonl")]


async def _at_once(seconds: float) -> None:
    pass


class TestVertex(ProviderContract):
    endpoint = GenerateContentEndpoint
    model = MODEL
    keeps_metadata = False

    @pytest.fixture(autouse=True)
    def gcsfs_tries_again_at_once(self, monkeypatch):
        """And not after half a minute in all."""
        monkeypatch.setattr("gcsfs.retry.asyncio", SimpleNamespace(sleep=_at_once))

    @pytest.fixture
    def server(self, batch_sandbox_server, tmp_path, monkeypatch) -> VertexServer:
        sign_in(monkeypatch, tmp_path, batch_sandbox_server.origin)
        self._environment = monkeypatch
        return VertexServer(batch_sandbox_server)

    def as_downloaded(self, answered: bytes) -> bytes:
        """Each line with its key at its head, which Vertex AI gives back as a label alone."""
        return b"".join(with_key(line) for line in answered.splitlines(keepends=True))

    def make_provider(self, origin: str, **settings: object) -> Provider:
        self._environment.setenv("STORAGE_EMULATOR_HOST", f"{origin}/gcs")
        return GeminiResource(
            base_url=f"{origin}/gemini",
            vertexai=True,
            project="p1",
            location="us-central1",
            bucket=FOLDER,
            **settings,
        ).create_resource(None)

    def test_a_bucket_that_says_nothing_is_not_waited_for(self, providers, gateway, tmp_path):
        gateway.on("*/storage/v1/*", lambda exchange: exchange.wait())
        provider = providers(timeout_seconds=0.1)

        with pytest.raises(ProviderUnavailable):
            provider.download(f"{FOLDER}/{KEY}/answers", BytesIO())
        with pytest.raises(ProviderUnavailable):
            self.offered(provider, tmp_path)

    def test_a_long_file_is_handed_on_while_it_arrives(self, provider, gateway, server):
        """In ranges, of which one is asked for when most of the one before has been handed on."""
        server.put("batches/long/predictions.jsonl", (b"x" * 1_023 + b"\n") * 20 * 1_024)
        sink, held, fetched = Watched(), [], 0

        def note(exchange):
            nonlocal fetched
            held.append(fetched - sink.size)
            reply = exchange.forwarded()
            fetched += len(reply.body)
            exchange.send(reply)

        gateway.on(server.downloading, note)
        provider.download(f"{FOLDER}/long", sink)

        assert sink.size == 20 * 2**20
        assert len(held) > 2
        assert max(held) <= 2 * 2**20
