"""Anthropic's wire. Importing this module imports the SDK."""

from collections.abc import Sequence

from anthropic import Anthropic, Timeout

from batch_assets.resources.anthropic.errors import ERRORS
from batch_assets.resources.live.lines import ANTHROPIC_LINES
from batch_assets.resources.live.sdk_caller import CONNECT_SECONDS, SdkCaller, border_of


def anthropic_caller(
    *,
    api_key: str,
    key_variable: str,
    base_url: str,
    timeout_seconds: float,
    betas: Sequence[str] = (),
) -> SdkCaller:
    """One account's. Raises AccountRefused for a key that no HTTP header can carry."""
    border = border_of(ERRORS, api_key=api_key, key_variable=key_variable, base_url=base_url)
    sdk = Anthropic(
        api_key=api_key,
        base_url=base_url,
        timeout=Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
        max_retries=0,
    )
    headers = {"anthropic-beta": ",".join(betas)} if betas else {}
    return SdkCaller(sdk, border=border, errors=ERRORS, lines=ANTHROPIC_LINES, headers=headers)
