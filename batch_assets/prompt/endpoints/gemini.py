"""Gemini's generateContent, whose model stands in the URL (Gemini API reference,
"models.generateContent"; at Vertex AI a body is the same).
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec
import pyarrow as pa

from batch_assets.domain.errors import DeclarationError, about
from batch_assets.domain.outcome import Outcome
from batch_assets.prompt.answers import Counts, Shape
from batch_assets.prompt.endpoints.endpoint import Answer, Endpoint, judged_text, refuse_output
from batch_assets.prompt.endpoints.gemini_answers import SHAPE, Candidate, GenerateContentBody
from batch_assets.prompt.endpoints.gemini_settings import (
    GENERATION,
    RESERVED_SETTINGS,
    SETTINGS,
    as_declared,
    as_sent,
    camel_case,
    snake_case,
)
from batch_assets.prompt.endpoints.settings import EXTRA_BODY, Known, check_settings
from batch_assets.prompt.envelope import Envelope
from batch_assets.prompt.json_schema import ROOT
from batch_assets.prompt.output import Output
from batch_assets.prompt.prompt import Prompt

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode

_CONFIG = "generationConfig"

#: Why the model or a filter of Google's would not answer (google-genai 3.4, `types.py`:
#: FinishReason).
_REFUSED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
        "MODEL_ARMOR",
    }
)

#: What is said of an answer that is whole, or of nothing; and of one that is cut off.
_WHOLE = frozenset({None, "STOP", "FINISH_REASON_UNSPECIFIED"})
_CUT = frozenset({"MAX_TOKENS", "CONTINUATION"})


class GenerateContentEndpoint(Endpoint):
    """One answer in text per request; the output type is its `responseJsonSchema`."""

    envelope: ClassVar[Envelope] = Envelope(id="key", body="request")
    prompt_field = "contents"
    prompt_fields: ClassVar[Known] = {"systemInstruction": dict[str, Any]}
    dialect = "gemini"
    known_settings = SETTINGS
    reserved_settings = RESERVED_SETTINGS
    is_packable = True
    body_type = GenerateContentBody
    answer_name = "candidates"

    def __init__(
        self, *, model: str, prompt: Prompt, output: Output, settings: Mapping[str, Any]
    ) -> None:
        with about("model"):
            self.url = url_of(model)
        with about("settings"):
            _check_config(settings.get(EXTRA_BODY, {}))
        super().__init__(model=model, prompt=prompt, output=output, settings=settings)
        with about("settings"):
            self._check_extra(settings)
        self._head = f'{{"{self.prompt_field}":'.encode()

    def arrow_type_of(self, output: Output, settings: Mapping[str, Any]) -> pa.DataType:
        return output.arrow_type

    def format_of(self, output: Output, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fields of `generationConfig` (google-genai 3.4, `batches.py`; python-genai#1608)."""
        match output.kind:
            case "text":
                return {}
            case "json_object":
                return {"responseMimeType": "application/json"}
            case "json_schema":
                assert output.schema is not None
                if _contains_itself(output.schema):
                    # "Cyclic references … may only be used within non-required properties"
                    # (`types.py`: response_json_schema), and here all are required.
                    refuse_output(
                        self.url,
                        output,
                        "it contains itself, which Gemini takes in fields only that may be left "
                        "out; ask for a list with the parent's place in each entry",
                    )
                return {
                    "responseMimeType": "application/json",
                    "responseJsonSchema": output.schema,
                }

    def last_text(self, body: Mapping[str, Any]) -> str:
        text: str = body[self.prompt_field][-1]["parts"][0]["text"]
        return text

    def line_shape(self) -> Shape:
        return SHAPE

    def has_answer(self, body: GenerateContentBody) -> bool:
        feedback = body.prompt_feedback
        return bool(body.candidates) or bool(feedback and feedback.block_reason)

    def answer_in(self, body: GenerateContentBody) -> Answer:
        if not body.candidates:
            assert body.prompt_feedback is not None
            blocked = body.prompt_feedback
            why = f"the prompt was blocked ({blocked.block_reason})"
            refusal = ": ".join(filter(None, (why, blocked.block_reason_message)))
            answer = judged_text(None, self.output, None, refusal)
            return answer._replace(finish_reason=blocked.block_reason)
        candidate = body.candidates[0]
        reason, text = candidate.finish_reason, _text_of(candidate)
        why = ": ".join(filter(None, (f"the model stopped ({reason})", candidate.finish_message)))
        refused = why if reason in _REFUSED else None
        finish = "length" if reason in _CUT else None
        answer = judged_text(text, self.output, finish, refused, candidate.logprobs_result)
        if refused is None and reason not in _WHOLE | _CUT:
            answer = answer._replace(outcome=Outcome.INVALID, message=why, output=None)
        return answer._replace(finish_reason=reason)

    def counts_in(self, body: GenerateContentBody, *, answered: bool) -> Counts:
        counted = body.usage_metadata
        if counted is None:
            return None, None, None, None, None, None, int(bool(body.candidates))
        thoughts = counted.thoughts_token_count
        known = [each for each in (counted.candidates_token_count, thoughts) if each is not None]
        output = sum(known) if known else None
        executed = int(bool(body.candidates or output))
        cached = counted.cached_content_token_count
        return counted.prompt_token_count, cached, output, thoughts, None, None, executed

    def _tail_with(self, settings: Mapping[str, Any]) -> bytes:
        """What stands behind the prompt: settings by our names, other fields by the API's."""
        config = {name: value for name, value in settings.items() if name in GENERATION}
        others = {name: value for name, value in settings.items() if name not in GENERATION}
        given = others.pop(_CONFIG, None)
        if isinstance(given, msgspec.Raw):
            given = msgspec.json.decode(given)
        # The order of a schema's fields is the order of the answer's; that of settings is nobody's.
        members = [_encode(self._format)[1:-1]] if self._format else []
        if free := {**as_sent(config), **(given or {})}:
            members.append(_encode_sorted(free)[1:-1])
        fields = []
        if members:
            fields.append(f'"{_CONFIG}":{{'.encode() + b",".join(members) + b"}")
        if sent := {
            camel_case(name): as_sent(value) if name in SETTINGS else value
            for name, value in others.items()
            if not (name in SETTINGS and value is None)
        }:
            fields.append(_encode_sorted(sent)[1:-1])
        return b"".join(b"," + field for field in fields) + b"}"

    def _check_extra(self, settings: Mapping[str, Any]) -> None:
        """Raise DeclarationError for a field of `extra_body` that a body has already."""
        extra = settings.get(EXTRA_BODY, {})
        for name in (*extra, *extra.get(_CONFIG, {})):
            if snake_case(name) in settings or name in self._format:
                raise DeclarationError(
                    f"setting {EXTRA_BODY!r} cannot have {name!r}, which stands in each body "
                    "already"
                )

    def _check_row_settings(self, given: Mapping[str, msgspec.Raw]) -> None:
        """The settings of a row's own body, which has them as the API does."""
        body = {name: msgspec.json.decode(raw) for name, raw in given.items()}
        config = body.pop(_CONFIG, None) or {}
        for name in self.prompt_fields:
            body.pop(name, None)
        for name in self._format:
            if name in config:
                raise DeclarationError(f"{name!r} comes from the output type")
        flat = as_declared({**body, **config})
        check_settings(flat, self.url, self.known_settings, self.reserved_settings)


def _check_config(extra: Any) -> None:
    if isinstance(extra, Mapping) and not isinstance(extra.get(_CONFIG, {}), Mapping):
        raise DeclarationError(f"setting {EXTRA_BODY!r}: {_CONFIG} must be a mapping")


def url_of(model: str) -> str:
    """The endpoint of a model. Raises DeclarationError for what can be no model's name."""
    # What the SDK refuses (`_transformers.py`: t_model), and what would end the name in a URL.
    if not model or ".." in model or any(letter in "?&#: %" for letter in model):
        raise DeclarationError(f"{model!r} is no name of a model: write it as gemini-2.5-flash")
    path = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return f"/v1beta/{path}:generateContent"


def _text_of(candidate: Candidate) -> str | None:
    """The answer's text without the model's thoughts; None where there is none."""
    parts = (candidate.content and candidate.content.parts) or ()
    texts = [part.text for part in parts if part.text is not None and not part.thought]
    return "".join(texts) if texts else None


def _contains_itself(schema: Mapping[str, Any]) -> bool:
    """Whether a reference leads back to what it stands in."""
    definitions = schema.get("$defs", {})
    leads_to = {f"#/$defs/{name}": set(_references(part)) for name, part in definitions.items()}
    leads_to[ROOT] = set(_references({k: v for k, v in schema.items() if k != "$defs"}))
    for start in leads_to:
        reached: set[str] = set()
        ahead = set(leads_to[start])
        while ahead - reached:
            reached |= ahead
            ahead = set().union(*(leads_to.get(each, set()) for each in ahead))
        if start in reached:
            return True
    return False


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)
