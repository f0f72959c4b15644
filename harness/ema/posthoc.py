"""Post-hoc EMA: averages of any width, rebuilt after training from snapshots of two.

Karras et al., Analyzing and Improving the Training Dynamics of Diffusion Models
(arXiv 2312.02696), section 3.2 and appendix C. A power-function average after t images weighs the
weights of time s by the density p(s) = (gamma + 1) s^gamma / t^(gamma + 1) on [0, t]. A sum of
snapshots has the same sum of densities as its own, so a target's coefficients follow from the
densities alone, whatever was trained.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.ema.averaging import gamma_from_sigma_rel
from harness.ema.snapshots import Profile, tensors
from harness.errors import RecordsError

Vector = NDArray[np.float64]


def inner(a: Iterable[Profile], b: Iterable[Profile]) -> Vector:
    """Return the inner products of densities, shape (len(a), len(b)), per image.

    With t <= u the spans of two profiles and gamma, delta their exponents, the integral of their
    product over [0, t] is (gamma + 1) (delta + 1) / (gamma + delta + 1) * (t / u)^delta / u
    (arXiv 2312.02696, appendix C.3; as a ratio of spans, which no large exponent overflows).
    """
    gamma_a, t_a = (part[:, None] for part in _columns(a))
    gamma_b, t_b = (part[None, :] for part in _columns(b))
    longer = np.where(t_a > t_b, gamma_a, gamma_b)
    ratio = np.minimum(t_a, t_b) / np.maximum(t_a, t_b)
    factor = (gamma_a + 1) * (gamma_b + 1) / (gamma_a + gamma_b + 1)
    product: Vector = factor * ratio**longer / np.maximum(t_a, t_b)
    return product


def solve(snapshots: Sequence[Profile], target: Profile) -> Vector:
    """Return the coefficients of the snapshots whose sum is nearest to the target's density.

    Least squares (arXiv 2312.02696, appendix C.3) among coefficients whose sum is 1, so that
    weights that stand still are rebuilt as they are.

    Args:
        snapshots: K profiles, no two alike.
        target: what is to be rebuilt.

    Raises:
        ValueError: if there are no snapshots, two alike, or one is later than the target.
    """
    if not snapshots or len(set(snapshots)) < len(snapshots):
        raise ValueError(f"snapshots: {len(snapshots)} given; give one or more, no two alike")
    if max(one.images for one in snapshots) > target.images:
        raise ValueError(f"snapshots: one is later than the target's {target.images} images")
    gram, right = inner(snapshots, snapshots), inner(snapshots, [target])[:, 0]
    # Densities of length 1: the system keeps its precision whatever the spans are.
    length = np.sqrt(gram.diagonal())
    K = len(snapshots)
    system, known = np.zeros((K + 1, K + 1)), np.ones(K + 1)
    system[:K, :K] = gram / np.outer(length, length)
    system[:K, K] = system[K, :K] = length.min() / length
    known[:K] = right / length / length.min()
    coefficients: Vector = np.linalg.solve(system, known)[:K] * length.min() / length
    return coefficients


def misfit(snapshots: Sequence[Profile], target: Profile, coefficients: Vector) -> float:
    """Return how far the sum's density is from the target's, as a share of the target's length."""
    gram, right = inner(snapshots, snapshots), inner(snapshots, [target])[:, 0]
    own = inner([target], [target])[0, 0]
    squared = coefficients @ gram @ coefficients - 2 * coefficients @ right + own
    return float(np.sqrt(max(squared, 0.0) / own))


def rebuild(
    files: Mapping[Profile, Path], target: Profile, averaged: Collection[str]
) -> tuple[dict[str, Tensor], float]:
    """Return the target average's entries by name, and the misfit of its density.

    Snapshots are read one tensor at a time and added up in float64: in memory is one network,
    whatever their number.

    Args:
        files: the snapshots; those later than the target are not used.
        target: what is to be rebuilt.
        averaged: entries that the average is taken of; all others are those of the last snapshot.

    Raises:
        RecordsError: if a snapshot cannot be read, or there is none up to the target.
    """
    profiles = sorted((p for p in files if p.images <= target.images), key=lambda p: p.images)
    if not profiles:
        raise RecordsError(f"no snapshot of the first {target.images} images: nothing to rebuild")
    coefficients = solve(profiles, target)
    total: dict[str, Tensor] = {}
    for profile, coefficient in zip(profiles, coefficients.tolist(), strict=True):
        for name, value in tensors(files[profile]):
            if name not in averaged:
                total[name] = value
            elif name in total:
                total[name].add_(value, alpha=coefficient)
            else:
                total[name] = value.double() * coefficient
    return total, misfit(profiles, target, coefficients)


def _columns(profiles: Iterable[Profile]) -> tuple[Vector, Vector]:
    """Return the exponents and the spans."""
    pairs = [(gamma_from_sigma_rel(sigma_rel), images) for sigma_rel, images in profiles]
    gamma, images = np.array(pairs, np.float64).reshape(-1, 2).T
    return gamma, images
