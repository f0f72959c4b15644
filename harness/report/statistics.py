"""What a few seeds can say: spreads, 95 % t intervals and a correction for many comparisons.

All functions are pure. Differences are ours minus theirs; intervals are two-sided at 95 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.report.wording import decimals, number, p_text, plus_minus

LEVEL = 0.95
POWER = 0.8
ROUNDING = 1e-12
"""Spreads below this share of the values are rounding, not variation."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, extremes and mean over ``n`` seeds."""

    n: int
    median: float
    low: float
    high: float
    mean: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference over seeds.

    Args:
        value: ours minus theirs.
        half_width: half of its 95 % interval, the smallest difference that these seeds could
            show; None where one seed gives none.
        detectable: the true difference that as many seeds, as far apart, would show in four of
            five repetitions; None where there is no interval.
        noise: half of the 95 % interval by evaluation alone: how far fresh latents on the same
            weights move the value; None where that was not measured.
        p: two-sided p-value of no difference; None where there is no interval.
        seeds: how many on each side.
        paired: whether each seed was compared with itself.
    """

    value: float
    half_width: float | None
    p: float | None
    seeds: tuple[int, int]
    paired: bool
    detectable: float | None = None
    noise: float | None = None

    @property
    def below_noise(self) -> bool:
        """Whether fresh latents alone move the value by as much as it is."""
        return self.noise is not None and abs(self.value) < self.noise

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.half_width is not None and abs(self.value) > self.half_width


@dataclass(frozen=True, slots=True)
class Judged:
    """A difference with its p-value, Holm-adjusted over a family of ``family`` comparisons."""

    difference: Difference
    p_holm: float | None
    family: int

    def sentence(self, reference: str) -> str:
        """Say what the comparison with ``reference`` shows."""
        return sentence(self.difference, reference, self.p_holm, self.family)


def judged(differences: Sequence[Difference | None]) -> list[Judged | None]:
    """Judge comparisons that are made together; None where there is nothing to compare."""
    adjusted = holm([None if d is None else d.p for d in differences])
    family = sum(p is not None for p in adjusted)
    return [
        None if d is None else Judged(d, p, family)
        for d, p in zip(differences, adjusted, strict=True)
    ]


# A run may measure infinities; what follows from them is infinite or NaN, and says so.
@np.errstate(all="ignore")
def spread(values: Sequence[float]) -> Spread:
    """Return the spread of at least one seed's values."""
    array = np.asarray(values, float)
    low, high = float(array.min()), float(array.max())
    # Rounding may carry the mean of equal values past them.
    mean = min(max(float(array.mean()), low), high)
    return Spread(len(array), float(np.median(array)), low, high, mean)


@np.errstate(all="ignore")
def paired(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Compare two arms of the same runs, seed by seed (Student's paired t)."""
    differences = np.asarray(ours, float) - np.asarray(theirs, float)
    n = len(differences)
    scale = float(np.abs([*ours, *theirs]).max())
    variance = float(differences.var(ddof=1)) if n > 1 else math.nan
    error = math.sqrt(_without_rounding(variance, scale) / n)
    value = _shift(float(differences.mean()), scale)
    return _difference(value, error, n - 1, (n, n), paired=True)


@np.errstate(all="ignore")
def welch(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Compare two levels' independent runs (Welch's t, Biometrika 34, 1947)."""
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    seeds = (len(a), len(b))
    scale = float(np.abs([*ours, *theirs]).max())
    value = _shift(float(a.mean() - b.mean()), scale)
    if min(seeds) < 2:
        return _difference(value, math.nan, 1, seeds, paired=False)
    u, v = (_without_rounding(float(x.var(ddof=1)), scale) / len(x) for x in (a, b))
    freedom = satterthwaite([(u, len(a) - 1), (v, len(b) - 1)])
    return _difference(value, math.sqrt(u + v), freedom, seeds, paired=False)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted over their family (Holm, Scand. J. Statist. 6, 1979).

    Entries of None are no comparisons: they stay, and do not count.
    """
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, index) in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p))
        adjusted[index] = running
    return adjusted


def satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """Return the degrees of freedom of a sum of independent variances; 1 where all are 0.

    Args:
        parts: each variance with its own degrees of freedom.
    """
    total = sum(part for part, _ in parts)
    if not total:
        return 1.0
    # By shares of the sum, whose squares stay in range.
    return 1 / sum((part / total) ** 2 / freedom for part, freedom in parts)


def detectable(freedom: float, error: float, power: float = POWER) -> float:
    """Return the true difference that a two-sided test at 5 % shows with a chance of ``power``.

    Args:
        freedom: degrees of freedom of the difference's standard error.
        error: that error.
        power: in (0.025, 1).
    """
    from scipy.special import nctdtrinc

    # The noncentral t whose 1 - power quantile is the test's limit; the other tail is negligible.
    return float(nctdtrinc(freedom, 1 - power, t_quantile(freedom))) * error


def t_quantile(freedom: float, level: float = LEVEL) -> float:
    """Return the factor of a two-sided t interval at ``level``."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def sentence(
    difference: Difference, reference: str, p_holm: float | None = None, family: int = 1
) -> str:
    """Say what a comparison shows, as the predicate of a sentence about ours.

    Args:
        difference: ours minus ``reference``.
        reference: what ours was compared with.
        p_holm: the p-value adjusted over a family of ``family`` comparisons.
        family: how many comparisons were made together.
    """
    over = f"over {_seeds(difference)}, {'paired' if difference.paired else 'Welch'}"
    if not math.isfinite(difference.value):
        return f"cannot be compared with {reference}: a value is not finite"
    direction = "lower" if difference.value < 0 else "higher"
    size = plus_minus(abs(difference.value), difference.half_width, signed=False)
    noise = _noise(difference)
    if difference.half_width is None:
        shown = f"{direction} by {size} than" if difference.value else "equal to"
        return f"{shown} {reference} {over}: not shown, as one seed gives no interval{noise}"
    if not difference.told_apart:
        return (
            f"cannot be told apart from {reference} {over} (95 % t interval of the difference: "
            f"{plus_minus(difference.value, difference.half_width)}; {_showable(difference)})"
            f"{noise}"
        )
    claim = f"{direction} by {size} than {reference} {over} (95 % t interval)"
    if p_holm is None or family == 1:
        return f"{claim}: holds{noise}"
    corrected = f"after Holm's correction over {family} comparisons (p {p_text(p_holm, '= ')})"
    if p_holm < 1 - LEVEL:
        return f"{claim}: holds, also {corrected}{noise}"
    return f"{claim}: holds by itself, but not {corrected}{noise}"


def _showable(difference: Difference) -> str:
    """Say what difference these seeds could have shown, and which they would show most times."""
    assert difference.half_width is not None
    places = decimals([difference.half_width], 2)
    text = f"these seeds could show {number(difference.half_width, places)} or more"
    if difference.detectable is None:
        return text
    most = number(difference.detectable, places)
    return f"{text}, and would show a true {most} four times in five"


def _noise(difference: Difference) -> str:
    if not difference.below_noise:
        return ""
    size = number(difference.noise, decimals([difference.noise], 2))
    return f"; it is less than fresh latents alone move it by (± {size})"


def _seeds(difference: Difference) -> str:
    ours, theirs = difference.seeds
    if difference.paired:
        return f"{ours} seed{'s' if ours > 1 else ''}"
    return f"{ours} and {theirs} seeds"


def _shift(value: float, scale: float) -> float:
    return 0.0 if abs(value) <= ROUNDING * scale < math.inf else value


def _without_rounding(variance: float, scale: float) -> float:
    return 0.0 if variance <= (ROUNDING * scale) * (ROUNDING * scale) else variance


def _difference(
    value: float, error: float, freedom: float, seeds: tuple[int, int], *, paired: bool
) -> Difference:
    from scipy.special import stdtr

    if not (math.isfinite(value) and math.isfinite(error)):
        return Difference(value, None, None, seeds, paired)
    half_width, least = t_quantile(freedom) * error, detectable(freedom, error)
    if error == 0:  # every seed shows the same difference
        return Difference(value, half_width, 1.0 if value == 0 else 0.0, seeds, paired, least)
    p = float(2 * stdtr(freedom, -abs(value) / error))
    return Difference(value, half_width, p, seeds, paired, least)
