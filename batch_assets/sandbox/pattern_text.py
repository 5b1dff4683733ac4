"""A text that matches a regular expression, for the `pattern` keyword: best effort.

Understands literals, escapes, classes, groups, alternation, anchors and quantifiers, takes the
first alternative and the fewest repetitions, and gives up (None) where the result does not match.
"""

import re

CLASS_SAMPLES = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
CONTROL_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "b": "", "B": ""}
NEGATED_CANDIDATES = "a0-_ .A!#%"


def text_for_pattern(pattern: str) -> str | None:
    try:
        sample = _Sampler(pattern).sample()
        return sample if re.search(pattern, sample) else None
    except (re.error, IndexError, ValueError):
        return None


class _Sampler:
    """A recursive descent over the pattern that writes the sample as it reads."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def sample(self) -> str:
        return self._alternatives()

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._pattern[self._at - 1]

    def _alternatives(self) -> str:
        first = self._sequence()
        while self._peek() == "|":
            self._next()
            self._sequence()
        return first

    def _sequence(self) -> str:
        pieces = []
        while self._peek() not in ("", "|", ")"):
            piece = self._atom()
            pieces.append(piece * self._fewest())
        return "".join(pieces)

    def _atom(self) -> str:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._character_class()
        if character == "\\":
            return self._escape()
        if character in "^$":
            return ""
        return "a" if character == "." else character

    def _group(self) -> str:
        silent = False
        if self._peek() == "?":
            self._next()
            kind = self._next()
            if kind == "<" and self._peek() in ("=", "!"):
                kind = self._next()
            elif kind in "<P":
                self._at = self._pattern.index(">", self._at) + 1
            silent = kind in "=!"
        inside = self._alternatives()
        if self._next() != ")":
            raise ValueError("unbalanced group")
        return "" if silent else inside

    def _escape(self) -> str:
        escaped = self._next()
        if escaped in ("x", "u"):
            digits = 2 if escaped == "x" else 4
            self._at += digits
            return chr(int(self._pattern[self._at - digits : self._at], 16))
        return CLASS_SAMPLES.get(escaped, CONTROL_ESCAPES.get(escaped, escaped))

    def _character_class(self) -> str:
        start = self._at - 1
        negated = self._peek() == "^"
        if negated:
            self._next()
        first = self._escape() if self._next() == "\\" else self._pattern[self._at - 1]
        while self._next() != "]":
            if self._pattern[self._at - 1] == "\\":
                self._next()
        if not negated:
            return first
        written = re.compile(self._pattern[start : self._at])
        return next((c for c in NEGATED_CANDIDATES if written.fullmatch(c)), "a")

    def _fewest(self) -> int:
        quantifier = self._peek()
        if quantifier == "" or quantifier not in "?*+{":
            return 1
        self._next()
        fewest = {"?": 0, "*": 0, "+": 1}.get(quantifier)
        if fewest is None:
            end = self._pattern.index("}", self._at)
            fewest = int(self._pattern[self._at : end].partition(",")[0])
            self._at = end + 1
        if self._peek() == "?":
            self._next()
        return fewest
