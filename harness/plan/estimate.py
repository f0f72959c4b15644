"""A predicted amount with the interval that it is expected in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEAST_SHARE = 0.1
"""An interval from measurements reaches at least this share to both sides: a machine of minutes
ago and of now differ by that much without anything to be seen."""
_TAIL = 0.05


@dataclass(frozen=True, slots=True)
class Estimate:
    """An amount and its interval; sums and products go end by end.

    So the parts of a sum are taken to be off together, as they are where the machine is slower
    than it was. Were they independent, the interval could be narrower.

    Args:
        value: what is expected, from ``low`` to ``high``.
        low: at least 0.
        high: the other end.
    """

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Estimate:
        """Return an amount that is known."""
        return cls(value, value, value)

    @classmethod
    def within(cls, value: float, factor: float) -> Estimate:
        """Return a guess that may be so many times too large or too small."""
        return cls(value, value / factor, value * factor)

    @classmethod
    def of(cls, samples: Sequence[float]) -> Estimate:
        """Return the mean of measurements, and the 5th to the 95th percentile of them.

        Of fewer than 20 that is from the least to the largest. The interval is one for a long run's
        mean on another day, not for the mean of these: it does not shrink with their number.
        """
        ordered, beyond = sorted(samples), math.floor(_TAIL * len(samples))
        mean = math.fsum(ordered) / len(ordered)
        return cls(mean, ordered[beyond], ordered[-1 - beyond]).at_least(LEAST_SHARE)

    def at_least(self, share: float) -> Estimate:
        """Return the same with an interval that reaches so far to both sides, or further."""
        low, high = self.value * (1 - share), self.value * (1 + share)
        return Estimate(self.value, min(self.low, low), max(self.high, high))

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.value + other.value, self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> Estimate:
        """Return so many times the amount; ``factor`` is at least 0."""
        return Estimate(factor * self.value, factor * self.low, factor * self.high)

    def times(self, other: Estimate) -> Estimate:
        """Return the product of two amounts."""
        return Estimate(self.value * other.value, self.low * other.low, self.high * other.high)

    def contains(self, value: float) -> bool:
        """Tell whether an amount lies in the interval, its ends included."""
        return self.low <= value <= self.high


NOTHING = Estimate.exactly(0.0)


def total(parts: Iterable[Estimate]) -> Estimate:
    """Return the sum, correctly rounded; 0 of none."""
    ends = [(part.value, part.low, part.high) for part in parts]
    return Estimate(*map(math.fsum, zip(*ends, strict=True))) if ends else NOTHING


def largest(parts: Iterable[Estimate]) -> Estimate:
    """Return the largest of several amounts that are there at once or one after another."""
    ends = [(part.value, part.low, part.high) for part in parts]
    return Estimate(*map(max, zip(*ends, strict=True)))
