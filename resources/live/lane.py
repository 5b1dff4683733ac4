"""The same requests sent one by one, to an endpoint that has no batch API or is to answer now."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property
from importlib.util import find_spec

from batch_assets.domain.batch import Account
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import (
    CapacityRefused,
    ProviderUnavailable,
    ProviderUnreachable,
    RequestRefused,
)
from batch_assets.domain.lane import Ask, Carrying, Lane
from batch_assets.domain.outcome import Failure, Outcome, failure_of
from batch_assets.domain.price import PriceList
from batch_assets.domain.shard import Limits
from batch_assets.resources.live.caller import Caller, Reply
from batch_assets.resources.live.pace import Pace, backoff

#: What another try of one request can cure.
_PASSING = frozenset({Failure.RATE_LIMITED, Failure.SERVER_ERROR, Failure.TIMEOUT})

#: How servers answer a call that they do not have, or a model.
_NOT_THERE = frozenset({404, 405})

#: Seconds for which one request is offered again to a server that is full; after that, or where the
#: server asks for a longer wait, others come first.
LONGEST_WAIT = 600.0

#: Paths of endpoints whose requests only their own wire takes: Anthropic's, and Gemini's end.
_MESSAGES = "/v1/messages"
_GENERATE_CONTENT = ":generateContent"

_Silence = ProviderUnavailable | ProviderUnreachable

#: Bytes of a prompt that are taken for a token before the server has counted them.
_BYTES_PER_TOKEN = 4


class LiveLane(Lane):
    """One account at an endpoint that answers each request at once.

    Every request is tried as often as `max_retries` says and then has a line that says how it
    failed. Refusals for the rate are waited for by all, and use up no try.
    """

    def __init__(
        self,
        *,
        account: str,
        limits: Limits,
        budget: Budget,
        caller: Callable[[], Caller],
        pace: Callable[[], Pace],
        concurrency: int,
        max_retries: int,
        price_list: PriceList | None,
        has_key: bool,
        key_variable: str,
        sdk: str,
    ) -> None:
        """`caller` and `pace` are made at the first request, and `sdk` is imported then."""
        self._account = account
        self._limits = limits
        self._budget = budget
        self._new_caller = caller
        self._new_pace = pace
        self._concurrency = concurrency
        self._tries = 1 + max_retries
        self._price_list = price_list
        self._has_key = has_key
        self._key_variable = key_variable
        self._sdk = sdk

    @property
    def account(self) -> Account:
        return Account(self._account)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def budget(self) -> Budget:
        return self._budget

    @property
    def price_list(self) -> PriceList | None:
        return self._price_list

    @property
    def lacks(self) -> str | None:
        """The SDK or the key, where it is missing. The SDK is not imported to find out."""
        again = "where the code location runs, and start that again"
        if not self._has_key:
            return (
                f"no key: set the environment variable {self._key_variable} {again}; a server "
                "without keys takes any word"
            )
        if find_spec(self._sdk) is None:
            return f"the SDK is not installed: pip install 'batch-assets[{self._sdk}]' {again}"
        return None

    def takes(self, endpoint: str) -> bool:
        """Whether the endpoint is of the wire's own provider, or of somebody who speaks as it."""
        if self._sdk == "anthropic":
            return endpoint == _MESSAGES
        return endpoint != _MESSAGES and not endpoint.endswith(_GENERATE_CONTENT)

    def close(self) -> None:
        caller = self.__dict__.pop("_caller", None)
        if caller is not None:
            caller.close()

    def carry_out(self, carrying: Carrying, *, endpoint: str) -> None:
        if self.lacks is not None:
            raise ProviderUnreachable(self.lacks)
        _Pass(self._caller, self._pace, carrying, endpoint, self._tries).run(self._concurrency)

    @cached_property
    def _caller(self) -> Caller:
        return self._new_caller()

    @cached_property
    def _pace(self) -> Pace:
        return self._new_pace()


class _Pass:
    """The requests of one batch, taken one after the other by so many threads."""

    def __init__(
        self, caller: Caller, pace: Pace, carrying: Carrying, endpoint: str, tries: int
    ) -> None:
        self._caller = caller
        self._pace = pace
        self._carrying = carrying
        self._endpoint = endpoint
        self._tries = tries
        self._asks = carrying.asks()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        #: Whether the endpoint has answered any request as it should.
        self._works = False

    def run(self, concurrency: int) -> None:
        """Ask until nothing is left or allowed. Raises the first error that stopped it."""
        with ThreadPoolExecutor(concurrency, "live") as pool:
            workers = [pool.submit(self._work) for _ in range(concurrency)]
            try:
                for worker in as_completed(workers):
                    worker.result()
            finally:
                # Also where this run is being stopped: what is on its way is waited for.
                self._stopped.set()

    def _work(self) -> None:
        while (ask := self._next()) is not None:
            self._ask(ask)

    def _next(self) -> Ask | None:
        with self._lock:
            return next(self._asks, None) if self._goes_on() else None

    def _goes_on(self) -> bool:
        return not self._stopped.is_set() and self._carrying.goes_on()

    def _ask(self, ask: Ask) -> None:
        """Send the request until it has an answer, or has failed too often."""
        began, failures, refusals = self._pace.now(), 0, 0
        while True:
            reply, error = self._try(ask)
            if reply is None and error is None:
                return  # none may be sent any more
            failure = _failure(reply)
            if reply is not None and failure is None:
                self._answered(ask, reply)
                return
            if failure is Failure.RATE_LIMITED and reply is not None:
                refusals += 1
                wait = reply.retry_after or backoff(refusals)
                if wait > LONGEST_WAIT:
                    raise CapacityRefused(
                        f"the provider is full and asks to wait {wait:,.0f} seconds: the rest is "
                        "asked by a later run"
                    )
                if self._pace.now() + wait <= began + LONGEST_WAIT:
                    self._pace.rest(wait)
                    continue
            failures += 1
            if failures >= self._tries or failure is Failure.RATE_LIMITED:
                self._failed(ask, reply, error)
                return
            wait = reply.retry_after if reply is not None and reply.retry_after else 0.0
            if not self._pace.wait(max(wait, backoff(failures)), self._goes_on):
                return

    def _try(self, ask: Ask) -> tuple[Reply | None, _Silence | None]:
        """One call: what came, or why nothing did; neither where none may be sent."""
        guess = len(ask.body) // _BYTES_PER_TOKEN
        if not self._pace.begin(guess, self._goes_on):
            return None, None
        reply = None
        try:
            reply = self._caller.call(ask.body, endpoint=self._endpoint)
            return reply, None
        except (ProviderUnavailable, ProviderUnreachable) as error:
            return None, error
        finally:
            used = guess if reply is None or reply.tokens is None else reply.tokens
            is_answer = reply is not None and _failure(reply) is None
            self._pace.end(further_tokens=used - guess, answered=is_answer)

    def _answered(self, ask: Ask, reply: Reply) -> None:
        if reply.status in _NOT_THERE and not self._works:
            said = reply.body[:300].decode(errors="replace")
            raise RequestRefused(
                f"the server has no {self._endpoint}, or not the model that is asked (HTTP "
                f"{reply.status}: {said}); correct the resource's base_url or the model: nothing "
                "was answered yet"
            )
        is_ok = reply.status == 200
        self._works = self._works or is_ok
        line = self._caller.line(ask.custom_id, reply)
        self._carrying.answered(line, failed=not is_ok)

    def _failed(
        self,
        ask: Ask,
        reply: Reply | None,
        error: _Silence | None,
    ) -> None:
        """Every try was of no use. Raises where no connection stands: the others would fail too."""
        if isinstance(error, ProviderUnreachable):
            raise error
        if reply is not None:
            line = self._caller.line(ask.custom_id, reply)
        else:
            line = self._caller.line_of_silence(ask.custom_id, str(error))
        self._carrying.answered(line, failed=True)


def _failure(reply: Reply | None) -> Failure | None:
    """What another try may cure; None for a reply that is final."""
    if reply is None:
        return Failure.TIMEOUT
    if reply.status == 200:
        return None if reply.is_readable else Failure.SERVER_ERROR
    failure = failure_of(Outcome.ERRORED, reply.status)
    return failure if failure in _PASSING else None
