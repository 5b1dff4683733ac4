"""A long answer, sent only as fast as it is written to a file behind the adapter."""

import threading

from batch_assets.contract.gateway import Exchange

#: Bytes that are sent at once.
_BLOCK = 64 * 1024


class Watched:
    """A file that a test watches being written: what arrives is counted, and thrown away."""

    def __init__(self) -> None:
        self.size = 0
        self._grown = threading.Condition()

    def write(self, content: bytes) -> int:
        with self._grown:
            self.size += len(content)
            self._grown.notify_all()
        return len(content)

    def reaches(self, size: int, seconds: float) -> bool:
        """Whether so many bytes arrive in that time."""
        with self._grown:
            return self._grown.wait_for(lambda: self.size >= size, seconds)


class InStep:
    """Sends a long answer only as fast as it is written to a file behind the adapter.

    The answer is the server's, again and again, up to `size` bytes. An adapter that keeps more than
    `most_held` of them to itself is hung up on.
    """

    def __init__(self, sink: Watched, *, size: int, most_held: int, patience: float) -> None:
        self.sent = 0
        self.held_back = False
        self._sink, self._size = sink, size
        self._most_held, self._patience = most_held, patience

    def __call__(self, exchange: Exchange) -> None:
        reply = exchange.forwarded()
        whole = reply.body * (self._size // max(1, len(reply.body)))
        exchange.begin(reply, announced=len(whole))
        for start in range(0, len(whole), _BLOCK):
            if not self._sink.reaches(self.sent - self._most_held, self._patience):
                self.held_back = True
                return
            block = whole[start : start + _BLOCK]
            # Counted first: once it is written, the other side may be done before this thread.
            self.sent += len(block)
            exchange.write(block)
