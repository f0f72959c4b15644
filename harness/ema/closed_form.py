"""What an average has to be: its weights derived from the stated setting alone, in float64.

Written apart from the averages that it judges (``averaging.py``), without torch. An update is
p <- p + w_t (theta_t - p), so after T iterations the average is a weighted sum of the trajectory:
p_T = sum_t c_t theta_t + r p_0, with c_t = w_t prod_{s>t} (1 - w_s) and r = prod_t (1 - w_t).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Setting:
    """One shadow's setting, in the words of ExponentialMovingAverageHook.

    Args:
        interp_mode: lerp, warmup, ramp, power or uniform.
        interp_cfg: the mode's arguments.
        interval: iterations between updates; -1 never updates after ``start_iter``.
        start_iter: the first iteration that averages; before it the shadow is a copy.
    """

    interp_mode: str = "lerp"
    interp_cfg: Mapping[str, float] = field(default_factory=dict)
    interval: int = 1
    start_iter: int = 0

    def changes(self, iterations: int) -> NDArray[np.int64]:
        """Return the averaging iterations (0-based) among the first ``iterations``."""
        if self.interval < 1:
            return np.empty(0, np.int64)
        return np.arange(self.start_iter + self.interval - 1, iterations, self.interval)

    def weights(self, images: NDArray[np.int64]) -> Floats:
        """Return w_t of trained entries for iterations 0 to T - 1.

        Args:
            images: images shown after each iteration, of shape (T,), rising.
        """
        return self._at_changes(images, self._schedule(images))

    def nontrainable_weights(self, images: NDArray[np.int64]) -> Floats:
        """Return w_t of floating-point buffers and of parameters that are not trained."""
        momentum = self.interp_cfg.get("momentum_nontrainable", 1.0)
        return self._at_changes(images, np.full(len(self.changes(len(images))), momentum))

    def copy_weights(self, images: NDArray[np.int64]) -> Floats:
        """Return w_t of entries that are copied whenever the shadow changes: integers."""
        return self._at_changes(images, np.ones(len(self.changes(len(images)))))

    def _at_changes(self, images: NDArray[np.int64], scheduled: Floats) -> Floats:
        weights = np.zeros(len(images))
        weights[: self.start_iter] = 1.0
        weights[self.changes(len(images))] = scheduled
        return weights

    def _schedule(self, images: NDArray[np.int64]) -> Floats:
        cfg = self.interp_cfg
        changes = self.changes(len(images))
        update = np.arange(len(changes), dtype=np.float64)
        shown = images[changes].astype(np.float64)
        began = images[self.start_iter - 1] if 0 < self.start_iter <= len(images) else 0
        new = np.diff(shown, prepend=float(began))
        match self.interp_mode:
            case "lerp":
                return np.full_like(update, cfg.get("momentum", 0.001))
            case "warmup":
                rising = (1 + update / cfg.get("inv_gamma", 1.0)) ** -cfg.get("power", 2 / 3)
                return np.maximum(rising, cfg.get("momentum", 0.001))
            case "ramp":
                half_life = np.minimum(
                    cfg["half_life_kimg"] * 1000, cfg.get("rampup", 0.05) * (shown - new)
                )
                with np.errstate(divide="ignore"):
                    return 1 - 0.5 ** (new / half_life)
            case "power":
                return 1 - (1 - new / shown) ** (_gamma(cfg["sigma_rel"]) + 1)
            case "uniform":
                return 1 / (update + 1)
        raise ValueError(
            f"interp_mode {self.interp_mode!r} has no closed form; those of lerp, warmup, ramp, "
            "power and uniform are known"
        )


def advance(average: Floats, trajectory: Floats, weights: Floats) -> Floats:
    """Return averages after T iterations more.

    Args:
        average: E entries of the average so far, (..., E).
        trajectory: the network's E entries after each of these iterations, (T, E).
        weights: w_t of these iterations, (..., T).
    """
    kept = remaining(weights)
    result: Floats = kept[..., :1] * average + (weights * kept[..., 1:]) @ trajectory
    return result


def remaining(weights: Floats) -> Floats:
    """Return what is left of a value after the iterations from t on, t = 0 to T: (..., T + 1)."""
    products = np.cumprod(1 - weights[..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([products, np.ones_like(weights[..., :1])], axis=-1)


def _gamma(sigma_rel: float) -> float:
    """Return the exponent of relative width ``sigma_rel`` (arXiv 2312.02696, eq. 3)."""
    from scipy.optimize import brentq

    def excess(gamma: float) -> float:
        return ((gamma + 1) / (gamma + 3)) ** 0.5 / (gamma + 2) - sigma_rel

    return float(brentq(excess, 0.0, 1 / sigma_rel**2, xtol=1e-14, rtol=1e-14))
