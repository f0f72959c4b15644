"""Axes of a drawing: where a value stands, and which values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_MOST_TICKS = 7
_STEPS = (1.0, 2.0, 5.0, 10.0)


class Tick(NamedTuple):
    """A place in the drawing's units, its text, and a second line of text."""

    at: float
    text: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from ``low`` to ``high`` over places from ``start`` to ``end``."""

    title: str
    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return where a value stands; finite values only, above 0 on a logarithmic axis."""
        low, high, x = self.low, self.high, value
        if self.log:
            low, high, x = math.log(low), math.log(high), math.log(value)
        return self.start + (x - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[Tick]:
        """Return round values inside the axis, few enough to be read."""
        values = _decades(self.low, self.high) if self.log else []
        if len(values) < 2:
            values = _even(self.low, self.high)
        return [Tick(self.at(value), f"{value:g}") for value in values]


def axis(
    title: str,
    values: Iterable[float],
    places: tuple[float, float],
    *,
    log: bool | None = None,
    pad: float = 0.04,
) -> Axis:
    """Return an axis that holds every finite value, with some air at both ends.

    Args:
        title: what is measured.
        values: what has to be seen.
        places: of the axis's ends.
        log: None where a span of more than a factor of ten decides.
        pad: air at each end, as a share of the axis.
    """
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    log = low > 0 and (high > 10 * low if log is None else log)
    if log:
        air = max((high / low) ** pad, 1.02 if high > low else 1.5)
        return Axis(title, low / air, high * air, *places, log=True)
    span = high - low if high > low else max(abs(high) / 5, 1e-3)
    return Axis(title, low - pad * span, high + pad * span, *places)


def _even(low: float, high: float) -> list[float]:
    rough = (high - low) / (_MOST_TICKS - 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * step for step in _STEPS if size * step >= rough * 0.999)
    places = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, places) + 0.0 for number in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        values = [float(f"{step}e{power}") for power in powers for step in steps]
        inside = [value for value in values if low <= value <= high]
        if len(inside) <= _MOST_TICKS:
            return inside
    return _thinned(inside)


def _thinned(values: Sequence[float]) -> list[float]:
    return [*values[:: -(-len(values) // _MOST_TICKS)]]
