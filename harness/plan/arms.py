"""The arms of a run: the trained generator and the EMA shadows that ride along."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.spec.schema import Ema, Spec
from harness.spec.vocabulary import RAW, half_life_kimg


@dataclass(frozen=True, slots=True)
class Arm:
    """One set of generator weights that is evaluated.

    Args:
        name: ``raw`` or the shadow's name in the spec.
        interp_mode: how the average is taken; empty for raw.
        momentum: weight of the new value in one update, where it is constant.
        half_life_kimg: thousands of images after which a weight has halved, where constant.
        span: share of the run that the average's mean age covers, where constant.
        interval: iterations between updates; -1 never after ``start_iter``.
        start_iter: iteration of the first average; before it the shadow is a copy.
    """

    name: str
    interp_mode: str = ""
    momentum: float | None = None
    half_life_kimg: float | None = None
    span: float | None = None
    interval: int = 1
    start_iter: int = 0

    @property
    def decay(self) -> float | None:
        """Weight of the old value in one update."""
        return None if self.momentum is None else 1 - self.momentum


def arms(spec: Spec) -> tuple[Arm, ...]:
    """Return raw and every shadow of a spec, in the spec's order."""
    shadows = (_shadow(name, ema, spec) for name, ema in spec.observers.ema.items())
    return (Arm(RAW), *shadows)


def _shadow(name: str, ema: Ema, spec: Spec) -> Arm:
    # Half-lives are stated at the final scale, where most images are shown.
    batch = spec.final_batch_size
    images = batch * max(ema.interval, 1)
    cfg = ema.hook_cfg(batch)
    momentum = cfg.get("momentum", 0.001) if ema.interp_mode in {"lerp", "warmup"} else None
    half_life = cfg.get("half_life_kimg")
    if momentum is not None:
        half_life = half_life_kimg(momentum, images)
    span = None if momentum is None else images / momentum / spec.total_images
    return Arm(name, ema.interp_mode, momentum, half_life, span, ema.interval, ema.start_iter)


def table(arms: Sequence[Arm]) -> list[str]:
    """Return the arms as aligned lines, a heading first."""
    rows = [("arm", "mode", "momentum", "decay", "half-life", "spans", "interval", "start")]
    rows += [
        (
            arm.name,
            arm.interp_mode or "-",
            "-" if arm.momentum is None else f"{arm.momentum:.3g}",
            "-" if arm.decay is None else f"{arm.decay:.5g}",
            "-" if arm.half_life_kimg is None else f"{arm.half_life_kimg:.3g} kimg",
            "-" if arm.span is None else f"{arm.span:.1%} of the run",
            "never" if arm.interval == -1 else str(arm.interval),
            str(arm.start_iter),
        )
        for arm in arms
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "    " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
