"""OpenAI's wire, and that of all servers like it. Importing this module imports the SDK."""

from openai import OpenAI, Timeout

from batch_assets.resources.live.lines import OPENAI_LINES
from batch_assets.resources.live.sdk_caller import CONNECT_SECONDS, SdkCaller, border_of
from batch_assets.resources.openai.errors import ERRORS


def openai_caller(
    *,
    api_key: str,
    key_variable: str,
    base_url: str,
    timeout_seconds: float,
    organization: str | None = None,
    project: str | None = None,
) -> SdkCaller:
    """One account's. Raises AccountRefused for a key that no HTTP header can carry."""
    border = border_of(ERRORS, api_key=api_key, key_variable=key_variable, base_url=base_url)
    sdk = OpenAI(
        api_key=api_key,
        base_url=base_url,
        timeout=Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
        max_retries=0,
    )
    # Not those of the environment: the account that pays is the one that was declared.
    sdk.organization, sdk.project = organization, project
    # The base URL ends in the version that the urls of batch files begin with.
    return SdkCaller(sdk, border=border, errors=ERRORS, lines=OPENAI_LINES, without="/v1")
