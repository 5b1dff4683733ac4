"""What is assumed of a provider's clock, and of the order of a list that runs from new to old."""

from datetime import timedelta

#: How far the provider's clock and ours may disagree. A page more of a list costs nothing, and a
#: batch that is overlooked is paid for twice.
CLOCK_SKEW = timedelta(hours=1)

#: How far such a list may be out of order, as where servers write side by side.
DISORDER = timedelta(minutes=10)
