"""What rides along a run without changing it: averages of the weights."""

from typing import Annotated, Literal

from pydantic import Field

from harness.spec.ranges import (
    Fraction,
    Interval,
    Iteration,
    Kimg,
    Positive,
    RelativeWidth,
    Share,
)
from harness.spec.sections import Section, Sparse
from harness.spec.vocabulary import momentum_from_half_life


class InterpCfg(Sparse):
    """Settings of an EMA's interpolation; which apply depends on its mode."""

    momentum: Fraction | None = None
    """Weight of the new value, 1 - decay."""
    decay: Fraction | None = None
    """Weight of the old value, in place of ``momentum``."""
    half_life_kimg: Kimg | None = None
    """After how many images an old value's weight has halved, in place of ``momentum``."""
    momentum_nontrainable: Share | None = None
    """Weight of the new value for buffers and frozen parameters."""
    inv_gamma: Positive | None = None
    """Of ``warmup``: updates after which its weight begins to fall; null: 1."""
    power: Positive | None = None
    """Of ``warmup``: how fast it falls; null: 2/3."""
    rampup: Positive | None = None
    """Half-life as a share of the images shown so far, until ``half_life_kimg`` is reached."""
    sigma_rel: RelativeWidth | None = None
    """Width of a power-function average relative to training (arXiv 2312.02696)."""


class Ema(Section):
    """One EMA shadow of the generator, in the words of ExponentialMovingAverageHook."""

    interp_mode: Literal["lerp", "warmup", "ramp", "power", "uniform"] = "lerp"
    """How the weight of a new value goes over training."""
    interp_cfg: InterpCfg = InterpCfg()
    """The mode's settings."""
    interval: Interval = 1
    """Iterations between two updates; -1: none after ``start_iter``."""
    start_iter: Iteration = 0
    """Iterations during which the shadow is a copy."""

    def hook_cfg(self, batch_size: int) -> dict[str, float]:
        """Return ``interp_cfg`` as the hook takes it, decay and half-life made a momentum.

        Args:
            batch_size: images in a batch at the final scale.
        """
        cfg: dict[str, float] = self.interp_cfg.model_dump()
        if self.interp_mode == "ramp":
            return cfg
        if "decay" in cfg:
            cfg["momentum"] = 1 - cfg.pop("decay")
        if "half_life_kimg" in cfg:
            images = batch_size * max(self.interval, 1)
            cfg["momentum"] = momentum_from_half_life(cfg.pop("half_life_kimg"), images)
        return cfg


class Posthoc(Section):
    """Averages rebuilt after training from snapshots of two (arXiv 2312.02696, section 3.2)."""

    sigma_rel: tuple[RelativeWidth, RelativeWidth] = (0.05, 0.10)
    """Relative widths of the two averages that are kept during training."""
    every_kimg: Kimg
    """Thousands of images between two snapshots of them."""
    rebuild: Annotated[tuple[RelativeWidth, ...], Field(min_length=1)]
    """Relative widths of the averages that are rebuilt and measured at the end."""

    @property
    def every_images(self) -> int:
        """Images between two snapshots."""
        return round(self.every_kimg * 1000)


class Observers(Sparse):
    """What rides along without changing training."""

    ema: dict[str, Ema] = Field(default={})
    """Shadows, by the name of their arm."""
    posthoc: Posthoc | None = None
    """Averages rebuilt after training; null: none."""
