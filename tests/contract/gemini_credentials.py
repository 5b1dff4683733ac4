"""Credentials of a service account at Google, whose tokens the sandbox gives out."""

import json
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def sign_in(monkeypatch: pytest.MonkeyPatch, folder: Path, origin: str) -> None:
    """Let Google's libraries find them, and no key."""
    account = {
        "type": "service_account",
        "project_id": "p1",
        "private_key_id": "1",
        "private_key": _private_key(),
        "client_email": "tests@p1.test",
        "client_id": "1",
        "token_uri": f"{origin}/gcs/token",
    }
    credentials = folder / "account.json"
    credentials.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)


@cache
def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()
