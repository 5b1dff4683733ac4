"""Where foreign errors become ours: what an SDK raises, in the words of our error tree.

Each adapter says what its SDK raises (`SdkErrors`); what that means to us is decided here, once for
all of them.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    CapacityRefused,
    ProviderUnavailable,
    ProviderUnreachable,
    ReplyLost,
    RequestRefused,
)
from batch_assets.domain.outcome import CREDIT_CODES, KEY_CODES, RIGHTS_CODES

#: Codes of refusals that pass when queued batches end (community.openai.com, topic 1027303).
QUEUE_CODES = frozenset({"rate_limit_exceeded", "token_limit_exceeded"})

#: The refusal of a full queue where it comes without a code: "Enqueued token limit reached for …".
_QUEUE_WORDS = re.compile(r"enqueued[ _-]token", re.IGNORECASE)

#: Anthropic's refusal of an account without credit, which comes as any invalid request.
_MONEY_WORDS = re.compile(r"credit balance is too low", re.IGNORECASE)

#: Providers repeat parts of a key in the text that refuses it.
_KEY_SHAPE = re.compile(r"\b(?:sk-|AIza)[\w*.…-]+")

#: Shorter keys are placeholders of local servers ("EMPTY", "none") and occur in plain text.
_SHORTEST_SECRET = 8

#: Characters of foreign text in a sentence of ours.
_LONGEST_QUOTE = 400


@dataclass(frozen=True, kw_only=True)
class HttpError:
    """An answer with an error status, as an SDK has it."""

    status: int
    #: The provider's word for the error, and for its kind.
    code: str | None = None
    type: str | None = None
    message: str = ""
    request_id: str | None = None

    @property
    def codes(self) -> frozenset[str | None]:
        """All words for it."""
        return frozenset({self.code, self.type})

    def __str__(self) -> str:
        request = self.request_id and f"request {self.request_id}"
        facts = (f"HTTP {self.status}", self.code, request)
        return ": ".join(filter(None, (", ".join(filter(None, facts)), self.message)))


@dataclass(frozen=True, kw_only=True)
class SdkErrors:
    """What can come out of one SDK and the HTTP client below it."""

    #: Every type of error that is to be translated.
    foreign: tuple[type[Exception], ...]
    #: The SDK's own error that wraps one of the HTTP client's; None where none does.
    wrapper: type[Exception] | None
    #: Those of the HTTP client that mean that no connection stood: nothing of the call was sent.
    never_sent: tuple[type[Exception], ...]
    #: The answer behind an error; None where there was none.
    answer: Callable[[Exception], HttpError | None]


@dataclass(frozen=True)
class _Verdict:
    """What a foreign error means to us: its type, what happened, and the way out."""

    kind: type[BatchAssetsError]
    happened: str
    way_out: str


_KEY = _Verdict(
    AccountRefused,
    "the provider refused the key",
    "check {key_variable} or the resource's api_key",
)
_RIGHTS = _Verdict(
    AccountRefused,
    "the provider refused the account",
    "check the rights of the key, and the project or organization that the resource names",
)
_MONEY = _Verdict(
    AccountRefused,
    "the account has no credit left or has reached its spending limit",
    "add credit or raise the limit in the provider's billing settings",
)
_FULL = _Verdict(
    CapacityRefused,
    "the provider is full for now",
    "wait, or lower the resource's token_limit or max_open_batches",
)
_REFUSED = _Verdict(
    RequestRefused,
    "the provider refused the call",
    "correct what it names before you try again",
)
_DOWN = _Verdict(
    ProviderUnavailable,
    "the provider gave no usable answer",
    "try again later",
)
_LOST = _Verdict(
    ReplyLost,
    "the answer was lost or cannot be read, so the batch may exist all the same",
    "look for its key at the provider before the shard is offered again",
)
_OFFLINE = _Verdict(
    ProviderUnreachable,
    "no connection to {base_url}",
    "check the network, the proxy and the resource's base_url",
)


class Border:
    """One account's border.

    `base_url` names the provider where no connection stands; `secret` never appears, neither in the
    sentence nor in the chain of causes below it.
    """

    def __init__(self, errors: SdkErrors, *, base_url: str, secret: str, key_variable: str) -> None:
        self._errors = errors
        self._words = {"base_url": base_url, "key_variable": key_variable}
        self._secret = secret

    @contextmanager
    def translated(self, call: str, *, creating: bool = False) -> Iterator[None]:
        """Raise an error of our tree in place of any foreign one; `call` begins the sentence.

        With `creating`, an answer that is lost or unreadable raises ReplyLost, since the batch may
        exist; without, ProviderUnavailable.
        """
        try:
            yield
        except self._errors.foreign as error:
            answer = self._errors.answer(error)
            verdict = self._verdict(error, answer, creating=creating)
            happened = verdict.happened.format(**self._words)
            way_out = verdict.way_out.format(**self._words)
            quote = self._quotable(_told(self._origin(error)) if answer is None else str(answer))
            cause = None if self._leaks(error) else error
            raise verdict.kind(f"{call}: {happened} ({quote}); {way_out}") from cause

    def _verdict(self, error: Exception, answer: HttpError | None, *, creating: bool) -> _Verdict:
        if answer is not None and 400 <= answer.status < 500:
            refusal = _refusal(answer)
            if refusal is not None:
                return refusal
        if answer is None and isinstance(self._origin(error), self._errors.never_sent):
            return _OFFLINE
        return _LOST if creating else _DOWN

    def _origin(self, error: Exception) -> BaseException:
        """The HTTP client's own error where the SDK wrapped one."""
        wrapper = self._errors.wrapper
        is_wrapped = wrapper is not None and isinstance(error, wrapper)
        return (error.__cause__ or error) if is_wrapped else error

    def _quotable(self, text: str) -> str:
        """The text on one short line, without the key or characters that steer a terminal."""
        if len(self._secret) >= _SHORTEST_SECRET:
            text = text.replace(self._secret, "…")
        text = " ".join(_KEY_SHAPE.sub("sk-…", text).split())
        text = "".join(letter for letter in text if letter.isprintable())
        return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"

    def _leaks(self, error: BaseException | None) -> bool:
        """Whether a traceback that shows the error and what it came from would show the key."""
        while error is not None and len(self._secret) >= _SHORTEST_SECRET:
            if self._secret in str(error):
                return True
            error = error.__cause__ or error.__context__
        return False


def _refusal(answer: HttpError) -> _Verdict | None:
    """The meaning of a 4xx; None for 408, which says that the server gave up waiting."""
    match answer.status:
        case 401:
            return _KEY
        case 402:
            return _MONEY
        case _ if answer.codes & CREDIT_CODES or _MONEY_WORDS.search(answer.message):
            return _MONEY
        case _ if answer.codes & KEY_CODES:
            return _KEY
        case _ if answer.status == 403 or answer.codes & RIGHTS_CODES:
            return _RIGHTS
        case 429:
            return _FULL
        case 408:
            return None
        case _ if answer.codes & QUEUE_CODES or _QUEUE_WORDS.search(answer.message):
            return _FULL
    return _REFUSED


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
