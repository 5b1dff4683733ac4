"""Requests that are written already: their bodies go out as they are."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import pyarrow as pa

from batch_assets.domain.errors import DeclarationError
from batch_assets.prompt.answers import AnswerLine, Verdict
from batch_assets.prompt.endpoints.catalogue import endpoint_named
from batch_assets.prompt.endpoints.endpoint import Endpoint
from batch_assets.prompt.output import Output
from batch_assets.prompt.prompt import ANY_MEDIA, Prompt


class ReadyRequests:
    """What an endpoint is to a corpus with columns: requests built, answers read.

    The endpoint reads the answers; of its prompt and settings nothing is used.
    """

    fields = ("body",)
    #: No part of a body is the same for all rows.
    constant_bytes = 0

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.url = endpoint.url
        self.model = endpoint.model
        self.output = endpoint.output
        self.envelope = endpoint.envelope
        #: Nobody looks into the bodies.
        self.media = ANY_MEDIA
        self.arrow_type = endpoint.arrow_type
        #: What no row changes; prompt, schema and parameters are the rows' own.
        self.shape_parts: Mapping[str, str] = {"endpoint": endpoint.url, "model": endpoint.model}
        shape = f"ready-made\n{endpoint.url}\n{endpoint.model}"
        self.shape_digest = hashlib.sha256(shape.encode()).hexdigest()

    @classmethod
    def compiled(
        cls,
        *,
        url: str,
        model: str,
        output: Output,
        settings: Mapping[str, Any],
        dimensions: int | None = None,
    ) -> Self:
        """The requests of that url and model, and how their answers are read.

        `dimensions` is the length of the vectors that the bodies ask for.

        Raises DeclarationError for a setting that would be sent: the bodies are what is sent.
        """
        kind = endpoint_named(url)
        for name in settings:
            if name not in kind.own_settings:
                raise DeclarationError(
                    f"setting {name!r} cannot be given: ready-made requests are sent as they are; "
                    "write it into their bodies"
                )
        if dimensions is not None:
            settings = {**settings, "dimensions": dimensions}
        prompt = Prompt(field=cls.fields[0])
        return cls(kind(model=model, prompt=prompt, output=output, settings=settings))

    def bodies(self, rows: pa.RecordBatch, describe_row: Callable[[int], str]) -> Iterator[bytes]:
        """The body of each row, byte for byte as the corpus has it."""
        yield from rows.column("body").cast(pa.large_binary()).to_pylist()

    def line(self, custom_id: str, body: bytes) -> bytes:
        """One line of a batch file; the custom_id is ours, the corpus's own is the item's id."""
        return self._endpoint.line(custom_id, body)

    def inputs(self, body: bytes) -> int:
        """Embedding inputs that the request counts as."""
        return self._endpoint.inputs(body)

    def read_lines(self, block: bytes) -> list[AnswerLine[Any]]:
        """The answers of a block of lines."""
        return self._endpoint.read_lines(block)

    def judge(self, line: AnswerLine[Any]) -> Verdict:
        """The verdict on one answer."""
        return self._endpoint.judge(line)
