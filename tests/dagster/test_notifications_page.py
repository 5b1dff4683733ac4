"""The code of the page works: the real Slack SDK over HTTP, and real SMTP with TLS."""

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dagster.components.testing.utils import create_defs_folder_sandbox
from dagster_slack import SlackResource
from slack_sdk.web.client import WebClient

from batch_assets.operations import event_log, inference_events, notifications

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "notifications.md").read_text()
SLACK, LETTER, DAGSTERS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def names_of(code: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(compile(code, "notifications.md", "exec"), found)
    return found


def tick(world, sensor: dg.SensorDefinition, **resources: Any) -> None:
    world.declare(world.inference(world.corpus(a=2), approval="required"))
    world.run("requests", "batches", partition="a")
    with dg.build_sensor_context(
        instance=world.instance,
        definitions=world.defs,
        resources={**dict(world.defs.resources or {}), **resources},
    ) as context:
        sensor.evaluate_tick(context)


class _Slack(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, self.headers["Authorization"], body))
        answer = json.dumps({"ok": True}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


class _Slacks(ThreadingHTTPServer):
    posted: list[tuple[str, str, bytes]]


@pytest.fixture
def slack_server() -> Iterator[_Slacks]:
    with _Slacks(("127.0.0.1", 0), _Slack) as server:
        server.posted = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def local_slack(slack_server: _Slacks) -> SlackResource:
    """The resource itself, whose client calls the server of the test."""

    class LocalSlack(SlackResource):
        def get_client(self) -> WebClient:
            client = super().get_client()
            client.base_url = f"http://127.0.0.1:{slack_server.server_port}/api/"
            return client

    return LocalSlack(token="xoxb-test")


def test_slack_gets_the_sentence_and_the_page(world, local_slack, slack_server):
    tick(world, names_of(SLACK)["tell_slack"], slack=local_slack)

    [(path, authorization, body)] = slack_server.posted
    fields = json.loads(body)
    assert (path, authorization) == ("/api/chat.postMessage", "Bearer xoxb-test")
    assert fields["channel"] == "#batches"
    assert "1 partition (a) waits for an approval" in fields["text"]
    assert fields["text"].endswith(
        "http://127.0.0.1:3000/assets/words/batches?view=partitions&partition=a"
    )


def test_text_of_others_does_not_call_the_whole_channel(world, local_slack, slack_server):
    world.declare(world.inference(world.corpus(a=2)))
    world.order("pause_batches", inference="words", reason="<!channel> & more")

    tick(world, names_of(SLACK)["tell_slack"], slack=local_slack)

    [text] = [json.loads(body)["text"] for *_, body in slack_server.posted if b"paused" in body]
    assert "&lt;!channel&gt; &amp; more" in text


def test_the_definitions_of_the_page_load_beside_inferences(world, monkeypatch):
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-test")
    declared = world.declare(world.inference(world.corpus(a=2)))

    defs = dg.Definitions.merge(declared, names_of(SLACK)["notifications"]())

    dg.Definitions.validate_loadable(defs)
    assert "batch_notifications" in {sensor.name for sensor in defs.sensors or []}


@pytest.mark.filterwarnings("ignore:Function `load_definitions_from_module:dagster.PreviewWarning")
def test_files_in_defs_are_all_it_takes(monkeypatch):
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-test")
    with create_defs_folder_sandbox() as project:
        (project.defs_folder_path / "slack.py").write_text(SLACK)
        (project.defs_folder_path / "letters.py").write_text(LETTER)

        with project.build_all_defs() as defs:
            names = sorted(sensor.name for sensor in defs.sensors or [])

    assert names == ["batch_letters", "batch_notifications"]


class _Letters:
    def __init__(self) -> None:
        self.taken: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of localhost, by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def test_a_letter_goes_out_over_tls_with_a_password(world, certificate, monkeypatch):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    letters, known = _Letters(), []

    def is_known(server: Any, session: Any, envelope: Any, mechanism: Any, data: Any) -> AuthResult:
        known.append((data.login, data.password))
        return AuthResult(success=True)

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = Controller(
        letters,
        hostname="localhost",
        port=port,
        tls_context=tls,
        require_starttls=True,
        authenticator=is_known,
        auth_required=True,
    )
    server.start()
    try:
        variables = {
            "SSL_CERT_FILE": str(certificate),
            "SMTP_HOST": "localhost",
            "SMTP_PORT": str(port),
            "SMTP_USER": "dagster@example.com",
            "SMTP_PASSWORD": "secret",
            "LETTERS_TO": "team@example.com",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        tick(world, names_of(LETTER)["tell_by_letter"])
    finally:
        server.stop()

    [(receivers, text)] = letters.taken
    assert known == [(b"dagster@example.com", b"secret")]
    assert receivers == ["team@example.com"]
    assert "Subject: words: waits_for_approval" in text
    assert "waits for an approval" in text


def test_dagsters_own_sensors_of_the_page_are_sensors(monkeypatch):
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-test")
    monkeypatch.setenv("SMTP_PASSWORD", "secret")

    found = names_of(DAGSTERS)

    for name in ("slack_on_failure", "mail_on_failure", "on_results"):
        assert isinstance(found[name], dg.SensorDefinition)


def test_the_page_has_every_kind_of_event():
    told = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)

    assert told == [kind.value for kind in inference_events.InferenceEventKind]


def test_the_page_gives_the_values_that_hold():
    assert f"`name` (`{notifications.SENSOR_NAME}`)" in PAGE
    assert f"`minimum_interval_seconds` ({notifications._INTERVAL_SECONDS})" in PAGE
    assert timedelta(seconds=10) == event_log.SETTLED_AFTER
    assert "told ten seconds after it was evaluated" in PAGE
