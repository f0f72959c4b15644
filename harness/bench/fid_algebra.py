"""What does FID's formula cost at Inception's 2048 features, the real images' root known?

Against scipy's matrix root, as the first implementations have it, and torch-fidelity's formula.
"""

import statistics
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

from harness.bench.finding import Goal
from harness.bench.timing import Comparison, Comparisons, in_turns, seconds
from harness.metrics.fid import Statistics, covariance_root, frechet_distance, statistics_of

_FEATURES, _IMAGES = 2048, 5000
_TIMES, _TURNS = 5, 3
_BOUND_SEC = 4.5
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Algebra(Comparisons):
    """Seconds of FID's formula, and ratios to others'.

    Args:
        times_sec: of one call each.
    """

    times_sec: tuple[float, ...]

    def csv(self) -> str:
        """Every pair in milliseconds; calls of the harness alone have no second side."""
        alone = [f"alone,{1000 * sec!r}," for sec in self.times_sec]
        return super().csv() + "\n".join([*alone, ""])

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The seconds of one call, and that no other is faster."""
        low, middle, high = statistics.quantiles(self.times_sec, n=4)
        what = f"FID of {_FEATURES} features, root known"
        own = Goal(what, middle, low, high, "at most", _BOUND_SEC, "s")
        return (own, *super().goals)

    @property
    def sentence(self) -> str:
        """The finding, in one sentence, and one for each other formula."""
        own = self.goals[0]
        return (
            f"FID from statistics of {_FEATURES} features takes {own.value:.2f} s (quartiles "
            f"{own.low:.2f} to {own.high:.2f}) with the real images' root known; goal at most "
            f"{own.bound:g} s: {own.verdict}. {super().sentence}"
        )


def measure(device: str) -> Algebra:
    """Time one distance between two sets of features, in turns with each other formula.

    Raises:
        RuntimeError: if a formula comes to another value.
    """
    fake, real = (_statistics(device) for _ in range(2))
    root = covariance_root(real.cov)
    values: dict[str, float] = {}

    def ours() -> None:
        values["the harness"] = frechet_distance(fake, real, root)

    def scipys() -> None:
        values["scipy's sqrtm"] = by_matrix_root(fake, real)

    def torch_fidelitys() -> None:
        values["torch-fidelity's formula"] = by_eigenvalues(fake, real)

    ours()
    times = tuple(seconds(ours) for _ in range(_TIMES))
    cases = {
        name: in_turns(ours, other, _TURNS, 1)
        for name, other in (("sqrtm", scipys), ("torch-fidelity", torch_fidelitys))
    }
    expected, *found = values.values()
    if any(abs(value - expected) > _TOLERANCE * abs(expected) for value in found):
        raise RuntimeError(f"the formulas of FID disagree: {values}")
    others = {
        name: Comparison("FIDs by the harness", f"FIDs by {what}", "a call", cases[name], 1.0)
        for name, what in zip(cases, [*values][1:], strict=True)
    }
    return Algebra(others, times)


def by_matrix_root(fake: Statistics, real: Statistics) -> float:
    """Return the distance as the first implementations have it: the root of a product."""
    (m1, c1), (m2, c2) = (_arrays(each) for each in (fake, real))
    root = scipy.linalg.sqrtm(c1 @ c2)
    return float((m1 - m2) @ (m1 - m2) + np.trace(c1) + np.trace(c2) - 2 * np.trace(root).real)


def by_eigenvalues(fake: Statistics, real: Statistics) -> float:
    """Return the distance as torch-fidelity has it: the eigenvalues of a product."""
    first, second = (
        dict(zip(("mu", "sigma"), _arrays(each), strict=True)) for each in (fake, real)
    )
    return float(fid_statistics_to_metric(first, second, False)[KEY_METRIC_FID])


def _arrays(of: Statistics) -> tuple[np.ndarray, np.ndarray]:
    return of.mean.cpu().numpy(), of.cov.cpu().numpy()


def _statistics(device: str) -> Statistics:
    """Return those of correlated features, at least as many as there are of them."""
    mixing = torch.randn(_FEATURES, _FEATURES, device=device) / _FEATURES**0.5
    features = torch.randn(_IMAGES, _FEATURES, device=device) @ mixing
    return statistics_of(features + torch.randn(_FEATURES, device=device))
