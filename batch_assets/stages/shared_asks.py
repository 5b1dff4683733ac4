"""The asks that several items of a partition share, and the ordinals under which they are asked.

Half of a partition may ask what the other half does. Arrays hold such asks in 24 bytes each, where
a dictionary of their fingerprints takes 270.
"""

from array import array
from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from batch_assets.stages.survey import short_form

#: In place of an ordinal: nobody asked it yet, and no batch can hold it.
_NEW, _OVERSIZE = -2, -1


class SharedAsks:
    """The ordinal of the first item of each shared ask, by its fingerprint."""

    def __init__(self, short_forms: npt.NDArray[np.int64]) -> None:
        """`short_forms` are those that more than one item has, sorted, each once."""
        # Searched one by one, where Python's own numbers are faster.
        self._short_forms = array("q", short_forms.tobytes())
        self._ordinals = array("q", [_NEW]) * len(short_forms)
        #: The other half of the fingerprint that a short form was first seen with.
        self._halves = array("q", [0]) * len(short_forms)
        #: Fingerprints that have their short form in common with another one.
        self._others: dict[bytes, int] = {}

    def __contains__(self, fingerprint: bytes) -> bool:
        """Whether an earlier item asked the same."""
        return self._found(fingerprint) != _NEW

    def ordinal(self, fingerprint: bytes) -> int | None:
        """That of the earlier item; None where no batch can hold what it asks."""
        found = self._found(fingerprint)
        return None if found == _OVERSIZE else found

    def note(self, fingerprint: bytes, ordinal: int | None) -> None:
        """Keep the ordinal of a new ask for the items that share it, if there are any."""
        place = self._place(fingerprint)
        if place is None:
            return
        kept = _OVERSIZE if ordinal is None else ordinal
        if self._ordinals[place] == _NEW:
            self._ordinals[place], self._halves[place] = kept, _half(fingerprint)
        else:
            self._others[fingerprint] = kept

    def _found(self, fingerprint: bytes) -> int:
        place = self._place(fingerprint)
        if place is None or self._ordinals[place] == _NEW:
            return _NEW
        if self._halves[place] == _half(fingerprint):
            return self._ordinals[place]
        return self._others.get(fingerprint, _NEW)

    def _place(self, fingerprint: bytes) -> int | None:
        short = short_form(fingerprint)
        place = bisect_left(self._short_forms, short)
        is_there = place < len(self._short_forms) and self._short_forms[place] == short
        return place if is_there else None


def _half(fingerprint: bytes) -> int:
    return short_form(fingerprint[8:])
