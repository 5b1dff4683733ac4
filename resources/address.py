"""The address of a provider, as a resource is given it."""

from urllib.parse import urlsplit

from batch_assets.domain.errors import DeclarationError


def host_of(base_url: str, *, example: str | None) -> str:
    """The host name of an address without credentials, which is not shown where it is refused.

    Raises DeclarationError for what cannot be called; `example` is one that can.
    """
    try:
        url = urlsplit(base_url)
        usable = url.scheme in ("http", "https") and url.port != 0 and url.username is None
    except ValueError:
        usable = False
    if not usable or not url.hostname:
        raise DeclarationError(
            "base_url must be an http or https address without a user name"
            + (f", such as {example}" if example else "")
        )
    return url.hostname
