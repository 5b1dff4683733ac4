"""Embeddings (OpenAI API reference, "Create embeddings")."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.outcome import Outcome
from batch_assets.prompt.answers import Body
from batch_assets.prompt.endpoints.endpoint import (
    Answer,
    Endpoint,
    refuse_output,
)
from batch_assets.prompt.endpoints.settings import Known, Reserved, User
from batch_assets.prompt.output import Output

_Length = Annotated[int, Meta(ge=1)]

SETTINGS: Known = {
    "dimensions": _Length,
    "encoding_format": Literal["float", "base64"],
    "user": User,
}

RESERVED_SETTINGS: Reserved = {
    "model": "it is declared as the inference's model",
    "input": "it comes from the prompt",
}

#: `several_inputs`: an item has a list of texts and gets a list of vectors. `vector_length`: how
#: long the vectors of a model are that is not known here and takes no `dimensions`.
OWN_SETTINGS: Known = {"several_inputs": bool, "vector_length": _Length}

#: Lengths of the vectors unless `dimensions` says otherwise (OpenAI's guide "Vector embeddings",
#: "Embedding models").
VECTOR_LENGTHS: Mapping[str, int] = {
    "text-embedding-3-large": 3072,
    "text-embedding-3-small": 1536,
    "text-embedding-ada-002": 1536,
}

#: Takes no `dimensions`: "only supported in text-embedding-3 and later" (API reference).
_FIXED = "text-embedding-ada-002"

#: "any array must be 2048 dimensions or less" (API reference, `input`).
MOST_INPUTS = 2048


class _Vector(msgspec.Struct):
    embedding: list[float] | str | None = None
    index: int | None = None


class _EmbeddingBody(Body):
    data: list[_Vector] | None = None


class _Request(msgspec.Struct):
    #: A text, an array of texts, of tokens, or of arrays of tokens.
    input: str | list[msgspec.Raw]


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode

#: Of a text, or of an array of tokens, which is an input too.
_BEGINS_TEXT = (b'"', b"[")


class _NoVector(ValueError):
    """An answer has no vector of the declared length; the text says why."""


class EmbeddingsEndpoint(Endpoint):
    """A vector of 32-bit floats for each text."""

    url = "/v1/embeddings"
    prompt_field = "input"
    dialect = "text"
    known_settings = SETTINGS
    reserved_settings = RESERVED_SETTINGS
    own_settings = OWN_SETTINGS
    body_type = _EmbeddingBody
    answer_name = "data"

    def arrow_type_of(self, output: Output, settings: Mapping[str, Any]) -> pa.DataType:
        if output.kind != "text":
            refuse_output(self.url, output, "its answers are vectors; leave the output away")
        self._length = vector_length(self.model, settings)
        self._several = settings.get("several_inputs", False)
        vector = pa.list_(pa.float32(), self._length)
        return pa.list_(vector) if self._several else vector

    def inputs(self, body: bytes) -> int:
        try:
            inputs = _decode_request(body).input
        except msgspec.ValidationError:
            return 0  # A ready-made body that the endpoint will refuse.
        return 1 if isinstance(inputs, str) or _is_one(inputs) else len(inputs)

    def complaint(self, prompt: bytes) -> str | None:
        return complaint_of_texts(prompt, several=self._several)

    def has_answer(self, body: _EmbeddingBody) -> bool:
        return bool(body.data)

    def answer_in(self, body: _EmbeddingBody) -> Answer:
        assert body.data
        try:
            vectors = self._vectors(body.data)
        except _NoVector as error:
            return Answer(Outcome.INVALID, str(error))
        return Answer(Outcome.OK, output=vectors if self._several else vectors[0])

    def _vectors(self, data: list[_Vector]) -> list[np.ndarray[Any, Any]]:
        """The vectors in the order of their inputs. Raises _NoVector."""
        places = [at if each.index is None else each.index for at, each in enumerate(data)]
        if sorted(places) != list(range(len(data))):
            raise _NoVector(f"the vectors' indices are {places[:10]}, not each of 0 to {len(data)}")
        if not self._several and len(data) != 1:
            raise _NoVector(f"there are {len(data)} vectors for one text")
        ordered = [each for _, each in sorted(zip(places, data, strict=True), key=_place)]
        return [self._vector(each.embedding) for each in ordered]

    def _vector(self, embedding: list[float] | str | None) -> np.ndarray[Any, Any]:
        if embedding is None:
            raise _NoVector("the answer has no vector")
        if isinstance(embedding, str):
            try:
                vector = np.frombuffer(b64decode(embedding, validate=True), dtype="<f4")
            except ValueError as error:
                raise _NoVector(f"the vector is no base64 of 32-bit floats: {error}") from error
        else:
            with np.errstate(over="ignore"):
                vector = np.array(embedding, dtype="<f4")
        if len(vector) != self._length:
            raise _NoVector(f"the vector has {len(vector)} numbers and not {self._length}")
        if not np.isfinite(vector).all():
            raise _NoVector("the vector has numbers that are not finite")
        return vector


def _place(placed: tuple[int, _Vector]) -> int:
    return placed[0]


def _is_one(inputs: Sequence[msgspec.Raw]) -> bool:
    """Whether an array is one input: of tokens, or of the parts of an input of several kinds."""
    return bool(inputs) and bytes(inputs[0])[:1] not in _BEGINS_TEXT


def complaint_of_texts(prompt: bytes, *, several: bool) -> str | None:
    """Why a prompt cannot stand for the texts of an item."""
    inputs = _decode_elements(prompt) if prompt[:1] == b"[" else [msgspec.Raw(prompt)]
    if _is_one(inputs):
        return None
    if any(bytes(text) == b'""' for text in inputs):
        return "a text is empty, which the endpoint refuses: leave it out"
    if len(inputs) > MOST_INPUTS:
        return f"there are {len(inputs):,} texts, and a request takes {MOST_INPUTS:,}: split them"
    if len(inputs) > 1 and not several:
        return (
            f"there is a list of {len(inputs)} texts: declare the setting several_inputs to get a "
            "list of answers for each item"
        )
    return None


def vector_length(model: str, settings: Mapping[str, Any]) -> int:
    """How many numbers a vector has. Raises DeclarationError where that cannot be known."""
    dimensions, declared = settings.get("dimensions"), settings.get("vector_length")
    known = VECTOR_LENGTHS.get(model)
    if dimensions is not None and model == _FIXED:
        raise DeclarationError(f"setting 'dimensions' cannot be given: {model} has a fixed length")
    if dimensions is not None and known is not None and dimensions > known:
        raise DeclarationError(
            f"setting 'dimensions' cannot be {dimensions}: {model} has {known} at most"
        )
    lengths = [each for each in (dimensions, known, declared) if each is not None]
    if not lengths:
        raise DeclarationError(
            f"the length of {model}'s vectors is not known: give it as setting 'dimensions', or as "
            "'vector_length' where the model takes no dimensions"
        )
    if declared is not None and declared != lengths[0]:
        raise DeclarationError(
            f"setting 'vector_length' is {declared}, and {model}'s vectors have {lengths[0]} "
            "numbers: leave it away"
        )
    return int(lengths[0])
