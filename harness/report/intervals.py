"""Intervals at 95 % of what is no difference: standard deviations, their shares, and middle means.

All functions are pure. Shape letters: L levels, A arms, S seeds, K sets of latents.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.report.statistics import LEVEL, ROUNDING, satterthwaite, t_quantile

ENOUGH = 10
"""Seeds from which on a middle mean with a bootstrap interval says more than median and range."""
_RESAMPLES = 2000
_SEED = 0
_LOW, _HIGH = (1 - LEVEL) / 2, (1 + LEVEL) / 2

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its two-sided 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Components:
    """Where the spread of a metric over seeds comes from: total = training + evaluation.

    Args:
        evaluation: standard deviation over fresh latents, of the same weights.
        total: standard deviation over seeds of one measurement each; None with one seed.
        share: of evaluation in the total variance, in [0, 1]; None with one seed.
        sets: of latents each arm was measured on, K >= 2.
        runs: seeds of all levels.
    """

    evaluation: Interval
    total: Interval | None
    share: Interval | None
    sets: int
    runs: int

    @property
    def training(self) -> float | None:
        """Standard deviation over seeds without evaluation's part; None with one seed."""
        if self.total is None:
            return None
        return math.sqrt(max(0.0, self.total.value**2 - self.evaluation.value**2))


@np.errstate(all="ignore")
def middle_mean(strata: Sequence[Sequence[float]]) -> Interval:
    """Return the interquartile mean of all values, with a stratified percentile bootstrap.

    The mean of what is left without the lowest and the highest quarter. As rliable has it
    (Agarwal et al. 2021, arXiv 2108.13264, section 4): seeds are drawn anew with replacement
    within each stratum, 2000 times, by a fixed stream.

    Args:
        strata: values over seeds, for each task or level; a single one is the plain bootstrap.
    """
    arrays = [np.asarray(values, float) for values in strata]
    places = _drawn(tuple(map(len, arrays)))
    drawn = [values[at] for values, at in zip(arrays, places, strict=True)]
    low, high = np.quantile(_trimmed(np.concatenate(drawn, axis=1)), (_LOW, _HIGH))
    return Interval(float(_trimmed(np.concatenate(arrays))), float(low), float(high))


@lru_cache(1)
def _drawn(counts: tuple[int, ...]) -> list[NDArray[np.int64]]:
    """Return which values are drawn, of each stratum; the same for all of one size."""
    # The one stream that numpy keeps as it is for ever.
    random = np.random.RandomState(_SEED)
    return [random.randint(n, size=(_RESAMPLES, n), dtype=np.int64) for n in counts]


def deviation(variance: float, freedom: float) -> Interval:
    """Return a standard deviation with its chi-square interval.

    Args:
        variance: estimated without bias.
        freedom: its degrees of freedom.
    """
    from scipy.special import chdtri

    bounds = (variance * freedom / float(chdtri(freedom, p)) for p in (_LOW, _HIGH))
    return Interval(math.sqrt(variance), *map(math.sqrt, bounds))


@np.errstate(all="ignore")
def components(levels: Sequence[Array]) -> Components:
    """Divide the variance over seeds into training's and evaluation's.

    One-way analysis of variance with random effects (Searle, Casella and McCulloch 1992, chapter
    3): seeds are groups, sets of latents repetitions. Variances are means over arms, pooled over
    levels. All arms of a run share its latents and its weights' history, so more arms are taken to
    add no degrees of freedom: right where arms move together, too wide where they do not.

    Args:
        levels: ASK for each level, K the same and at least 2.
    """
    sets = levels[0].shape[2]
    within, within_freedom = _pooled([(_within(a), a.shape[1] * (sets - 1)) for a in levels])
    runs = sum(a.shape[1] for a in levels)
    repeated = [(_between(a), a.shape[1] - 1) for a in levels if a.shape[1] > 1]
    evaluation = deviation(within, within_freedom)
    if not repeated:
        return Components(evaluation, None, None, sets, runs)
    between, freedom = _pooled(repeated)
    total = _total(between, freedom, within, within_freedom, sets)
    share = _share(between, freedom, within, within_freedom, sets)
    return Components(evaluation, total, share, sets, runs)


@np.errstate(all="ignore")
def paired_noise(ours: Array, theirs: Array) -> float:
    """Return how far fresh latents move the mean difference of two arms of the same runs.

    Half of a 95 % t interval, as ``independent_noise``.

    Args:
        ours: SK, seeds by sets of latents, K >= 2; a set's latents are the same in both.
        theirs: SK.
    """
    width = independent_noise([ours - theirs])
    scale = float(np.abs([ours, theirs]).max())
    return 0.0 if width <= ROUNDING * scale else width


@np.errstate(all="ignore")
def independent_noise(groups: Sequence[Array]) -> float:
    """Return how far fresh latents move a sum or difference of means of independent runs.

    Args:
        groups: SK for each mean, seeds by sets of latents, K >= 2.
    """
    parts = [
        (float(a.var(axis=1, ddof=1).mean()) / a.shape[0], a.shape[0] * (a.shape[1] - 1))
        for a in groups
    ]
    return t_quantile(satterthwaite(parts)) * math.sqrt(sum(part for part, _ in parts))


def _trimmed(values: Array) -> Array:
    """Return the mean along the last axis without a quarter at each end."""
    cut = values.shape[-1] // 4
    kept: Array = np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut]
    return np.asarray(kept.mean(axis=-1))


def _within(values: Array) -> float:
    return float(values.var(axis=2, ddof=1).mean())


def _between(values: Array) -> float:
    """Return the mean square between seeds, of ASK values."""
    return float(values.shape[2] * values.mean(axis=2).var(axis=1, ddof=1).mean())


def _pooled(squares: Sequence[tuple[float, int]]) -> tuple[float, int]:
    freedom = sum(f for _, f in squares)
    return sum(square * f for square, f in squares) / freedom, freedom


def _total(between: float, freedom: int, within: float, within_freedom: int, sets: int) -> Interval:
    """Return the standard deviation of single measurements, between / K + (1 - 1 / K) within.

    With the interval of Graybill and Wang (J. Amer. Statist. Assoc. 75, 1980): chi-square's where
    one of the parts is nought.
    """
    from scipy.special import chdtri

    parts = ((between / sets, freedom), (within * (1 - 1 / sets), within_freedom))
    variance = sum(part for part, _ in parts)
    # How far each part's own bounds lie from it.
    below, above = (
        math.sqrt(sum((part * (f / float(chdtri(f, p)) - 1)) ** 2 for part, f in parts))
        for p in (_LOW, _HIGH)
    )
    low, high = max(0.0, variance - below), variance + above
    return Interval(math.sqrt(variance), math.sqrt(low), math.sqrt(high))


def _share(
    between: float, freedom: int, within: float, within_freedom: int, sets: int
) -> Interval | None:
    """Return within / total with the exact interval of the variances' ratio (F)."""
    from scipy.special import fdtri

    if not between + within > 0:
        return None
    ratio = math.inf if within == 0 else between / within
    low, high = (float(fdtri(freedom, within_freedom, p)) for p in (_LOW, _HIGH))
    # total / within = 1 + (ratio - 1) / sets, where training has no part below nothing.
    value, least, most = (1 / (1 + max(0.0, (ratio / by - 1) / sets)) for by in (1.0, low, high))
    return Interval(value, least, most)
