"""What stands around a body in a line of a batch file: the id that comes back with its answer."""

from typing import Any, NamedTuple

import msgspec


class RequestLine(NamedTuple):
    """A line of a batch file, read."""

    custom_id: str
    #: As it stands there, JSON.
    body: bytes


class Envelope:
    """The names by which a provider's batch file has the id and the body of a request."""

    def __init__(
        self, *, id: str = "custom_id", body: str = "body", addressed: bool = False
    ) -> None:
        self._head = f'{{"{id}":"'.encode()
        self.id_field = id
        self.body_field = body
        #: Whether lines say the method and the url of their request, too.
        self.is_addressed = addressed
        rename = {"custom_id": id, "body": body}
        whole = [("custom_id", str), ("body", msgspec.Raw)]
        self._decode: Any = _decoder(whole, rename)
        self._decode_id: Any = _decoder([("custom_id", str, "")], rename)

    def line(self, custom_id: str, url: str, body: bytes) -> bytes:
        """One line of a batch file."""
        address = f',"method":"POST","url":"{url}"' if self.is_addressed else ""
        middle = f'"{address},"{self.body_field}":'.encode()
        return b"".join((self._head, custom_id.encode(), middle, body, b"}\n"))

    def read(self, line: bytes) -> RequestLine:
        """A line that was written. Raises msgspec.DecodeError or ValueError where it is none."""
        found = self._decode(line)
        return RequestLine(found.custom_id, bytes(found.body))

    def custom_id_of(self, line: bytes) -> str:
        """The id in a line of either direction; empty where there is none. Raises as `read`."""
        custom_id: str = self._decode_id(line).custom_id
        return custom_id


def _decoder(fields: list[Any], rename: dict[str, str]) -> Any:
    return msgspec.json.Decoder(msgspec.defstruct("Line", fields, rename=rename)).decode


#: OpenAI's, and of servers that speak its Batch API.
OPENAI = Envelope(addressed=True)
