"""The trajectories that every average is held to, in one table.

Each case trains a small real network and states one average of it in the words of
:class:`harness.ema.closed_form.Setting`. No torch: the table can be read and listed anywhere.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.ema.closed_form import Setting

BATCH_NORM, SCRATCH, FROZEN, PHASES, TIED = "batch-norm", "scratch", "frozen", "phases", "tied"


@dataclass(frozen=True, slots=True)
class Case:
    """One training and the average that is asked of it.

    Args:
        name: of the case, unique.
        setting: what the average shall be.
        iterations: optimizer steps T.
        parts: what the network has beside linear layers: ``batch-norm`` (buffers, one of them an
            integer), ``scratch`` (a non-persistent buffer), ``frozen`` (a parameter that a schedule
            sets and no optimizer trains), ``tied`` (one weight under two names), ``phases``
            (requires_grad is off at the update of every other five iterations).
        dtype: of the network, a name of torch's.
        shadow_dtype: of the average.
        optimizer: ``sgd`` or ``adam``.
        batches: (first iteration, images a batch) of each stretch.
        resume: iterations after which everything is kept, thrown away and loaded again.
    """

    name: str
    setting: Setting
    iterations: int = 120
    parts: frozenset[str] = field(default_factory=frozenset)
    dtype: str = "float32"
    shadow_dtype: str = "float32"
    optimizer: str = "sgd"
    batches: tuple[tuple[int, int], ...] = ((0, 16),)
    resume: int | None = None

    @property
    def batch_sizes(self) -> NDArray[np.int64]:
        """Images in the batch of each iteration, of shape (T,)."""
        sizes = np.empty(self.iterations, np.int64)
        for first, size in self.batches:
            sizes[first:] = size
        return sizes

    @property
    def images(self) -> NDArray[np.int64]:
        """Images shown after each iteration, of shape (T,)."""
        return np.cumsum(self.batch_sizes)

    @property
    def phase_off(self) -> NDArray[np.bool_]:
        """Whether requires_grad is off at the update of each iteration, of shape (T,)."""
        phase = np.arange(self.iterations) // 5 % 2 == 1
        return phase & (PHASES in self.parts)

    @property
    def momentum(self) -> float:
        """Weight of the new value that ``lerp`` keeps and ``warmup`` falls to."""
        return self.setting.interp_cfg.get("momentum", 0.001)

    @property
    def nontrainable(self) -> float:
        """Weight of the new value for floating-point buffers and frozen parameters."""
        return self.setting.interp_cfg.get("momentum_nontrainable", 1.0)

    @property
    def tolerance(self) -> float:
        """Largest relative error that still agrees: the rounding of the shadow's dtype."""
        return 1e-12 if self.shadow_dtype == "float64" else 1e-5


def _lerp(interval: int = 1, start_iter: int = 0, **cfg: float) -> Setting:
    return Setting("lerp", cfg, interval, start_iter)


def _warmup(interval: int = 1, start_iter: int = 0, **cfg: float) -> Setting:
    return Setting("warmup", cfg, interval, start_iter)


_NORM = frozenset({BATCH_NORM})
_GROWING = ((0, 16), (50, 8), (90, 4))

CASES = (
    Case("plain", _lerp(momentum=0.1)),
    Case("slow", _lerp(momentum=0.001), 200, optimizer="adam"),
    Case("float64", _lerp(momentum=0.05), dtype="float64", shadow_dtype="float64"),
    Case("bfloat16-weights", _lerp(momentum=0.01), 150, dtype="bfloat16"),
    Case("batch-norm", _lerp(momentum=0.05), parts=_NORM),
    Case(
        "buffers-averaged",
        _lerp(momentum=0.05, momentum_nontrainable=0.05),
        parts=_NORM | {SCRATCH},
    ),
    Case("buffers-apart", _lerp(momentum=0.05, momentum_nontrainable=0.5), parts=_NORM),
    Case("scratch-buffer", _lerp(momentum=0.1), parts=frozenset({SCRATCH})),
    Case("frozen-parameter", _lerp(momentum=0.1), parts=frozenset({FROZEN})),
    Case("frozen-phases", _lerp(momentum=0.1), parts=frozenset({PHASES}), optimizer="adam"),
    Case("tied", _lerp(momentum=0.1), parts=frozenset({TIED})),
    Case(
        "tied-buffers-averaged",
        _lerp(momentum=0.1, momentum_nontrainable=0.1),
        parts=_NORM | {TIED},
    ),
    Case("every-5", _lerp(5, momentum=0.1), 123, parts=_NORM),
    Case("late", _lerp(start_iter=10, momentum=0.1), parts=_NORM),
    Case("late-every-5", _lerp(5, 10, momentum=0.1), 118, parts=_NORM),
    Case("warmup", _warmup(momentum=0.02), parts=_NORM, optimizer="adam"),
    Case("warmup-linear", _warmup(momentum=0.05, inv_gamma=5.0, power=1.0), 150, parts=_NORM),
    Case("warmup-late", _warmup(start_iter=10, momentum=0.01)),
    Case("warmup-every-5", _warmup(5, momentum=0.01), 123),
    Case("ramp", Setting("ramp", {"half_life_kimg": 0.08, "rampup": 0.1}), batches=_GROWING),
    Case("power", Setting("power", {"sigma_rel": 0.1}), parts=_NORM, batches=_GROWING),
    Case("power-late-every-5", Setting("power", {"sigma_rel": 0.2}, 5, 10), 118, batches=_GROWING),
    Case("uniform", Setting("uniform"), parts=_NORM),
    Case("uniform-late", Setting("uniform", {}, 1, 10), optimizer="adam"),
    Case("resume", _lerp(momentum=0.05), parts=_NORM, resume=61),
    Case("resume-warmup", _warmup(momentum=0.01), optimizer="adam", resume=61),
    Case("resume-every-5", _lerp(5, 10, momentum=0.1), 118, parts=_NORM, resume=63),
    Case(
        "resume-ramp",
        Setting("ramp", {"half_life_kimg": 0.08, "rampup": 0.1}, 5),
        batches=_GROWING,
        resume=63,
    ),
)
"""``late`` begins at iteration 10; iteration counts do not divide by the intervals."""
