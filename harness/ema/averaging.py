"""Averages of a network's weights: schedules of w_t in p <- p + w_t (theta - p), and their update.

A schedule is a pure function of how far training is, so an average can be derived again from the
trajectory of theta alone. Updates are fused over all tensors of one device and dtype.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an average stands when it is updated.

    Args:
        updates: averaging updates before this one.
        images: training images shown, this update's included.
        step_images: of these, images since the update before (or since the average began).
    """

    updates: int
    images: int
    step_images: int


Schedule = Callable[[Progress], float]


def lerp(momentum: float = 0.001) -> Schedule:
    """Constant weight: w_t = momentum, the weight of the new value."""
    return lambda progress: momentum


def warmup(momentum: float = 0.001, inv_gamma: float = 1.0, power: float = 2 / 3) -> Schedule:
    """Weight that falls from 1 to ``momentum``: w_t = max((1 + t / inv_gamma)^-power, momentum)."""
    return lambda p: max((1 + p.updates / inv_gamma) ** -power, momentum)


def ramp(half_life_kimg: float, rampup: float = 0.05) -> Schedule:
    """Half-life in images that grows with training up to its final value.

    w_t = 1 - 0.5^(b / h), b the images of this update and
    h = min(half-life, rampup * images shown before it). The rule of StyleGAN2-ADA
    (arXiv 2006.06676, appendix; beta is 0 in the first update).
    """

    def weight(progress: Progress) -> float:
        half_life = min(half_life_kimg * 1000, rampup * (progress.images - progress.step_images))
        return (
            1.0 if half_life <= 0 else -math.expm1(-math.log(2) * progress.step_images / half_life)
        )

    return weight


def power(sigma_rel: float) -> Schedule:
    """Power-function average of relative width ``sigma_rel`` (arXiv 2312.02696, eq. 2 and 3).

    w_t = 1 - (1 - b / t)^(gamma + 1), t the images shown and b the images of this update.
    """
    gamma = gamma_from_sigma_rel(sigma_rel)
    return lambda p: 1 - (1 - p.step_images / p.images) ** (gamma + 1)


def uniform() -> Schedule:
    """Plain mean of all values since the start (SWA, arXiv 1803.05407): w_t = 1 / (t + 1)."""
    return lambda progress: 1 / (progress.updates + 1)


SCHEDULES: Mapping[str, Callable[..., Schedule]] = {
    "lerp": lerp,
    "warmup": warmup,
    "ramp": ramp,
    "power": power,
    "uniform": uniform,
}


def gamma_from_sigma_rel(sigma_rel: float) -> float:
    """Return the exponent gamma whose profile has relative width ``sigma_rel``.

    sigma_rel = (gamma + 1)^(1/2) (gamma + 2)^-1 (gamma + 3)^(-1/2) (arXiv 2312.02696, eq. 3),
    which is (g + 2)^2 (g + 3) = (g + 1) / sigma_rel^2: its largest real root.

    Args:
        sigma_rel: in (0, 12^-0.5].
    """
    import numpy as np

    t = sigma_rel**-2
    roots = np.roots([1, 7, 16 - t, 12 - t])
    return float(max(root.real for root in roots if abs(root.imag) < 1e-9))


@dataclass(frozen=True, slots=True)
class Group:
    """A network's floating-point entries of one device and dtype, beside a shadow's.

    Args:
        trained: whether they take the weight of trained parameters.
        new: the network's.
        old: the shadow's, in the same order; of one device and dtype, too.
    """

    trained: bool
    new: list[Tensor] = field(default_factory=list)
    old: list[Tensor] = field(default_factory=list)

    def update(self, weight: float) -> None:
        """Apply p <- p + w (theta - p)."""
        dtype = self.old[0].dtype
        same = self.new if self.new[0].dtype == dtype else [t.to(dtype) for t in self.new]
        torch._foreach_lerp_(self.old, same, weight)


class Average:
    """One shadow of one network, updated in place.

    Args:
        source: the trained network.
        shadow: a network of the same entries that becomes the average; may be of wider dtype.

    Which parameters are averaged is decided here, once: a phase of training that switches
    ``requires_grad`` off does not turn its weights into copies. Floating-point buffers and frozen
    parameters take the weight ``nontrainable``; integer buffers are always copied. The tensors are
    taken here, too: what is changed in place is followed; where an entry is given other memory
    (``param.data = ...``, ``load_state_dict(assign=True)``), make a new average.
    """

    def __init__(self, source: nn.Module, shadow: nn.Module) -> None:
        trained = {name for name, value in source.named_parameters() if value.requires_grad}
        new, old = entries(source), entries(shadow)
        if new.keys() != old.keys():
            odd = sorted(new.keys() ^ old.keys())
            raise ValueError(f"network and shadow differ in {', '.join(odd[:5])}")
        floating = [name for name in new if old[name].is_floating_point()]
        self.groups = _grouped(floating, trained, new, old)
        self._integers = [(new[n], old[n]) for n in new if not old[n].is_floating_point()]
        self._all = {n: (new[n], old[n], n in trained) for n in new}

    @torch.no_grad()
    def copy(self, prefixes: tuple[str, ...] = ("",)) -> None:
        """Make the shadow's entries of these prefixes, by default all, equal to the network's."""
        for name, (new, old, _) in self._all.items():
            if name.startswith(prefixes):
                old.copy_(new)

    @torch.no_grad()
    def update(self, weight: float, nontrainable: float = 1.0) -> None:
        """Apply p <- p + w (theta - p) to every entry.

        Args:
            weight: w of trained parameters, in [0, 1].
            nontrainable: w of other floating-point entries, in [0, 1].
        """
        for group in self.groups:
            group.update(weight if group.trained else nontrainable)
        self.copy_integers()

    @torch.no_grad()
    def copy_integers(self) -> None:
        """Make what cannot be averaged equal to the network's."""
        for source, shadow in self._integers:
            shadow.copy_(source)

    @torch.no_grad()
    def apply(self, function: Callable[[Tensor, Tensor, bool], Tensor]) -> None:
        """Set each entry to ``function(network's, shadow's, trainable)``; integers are copied."""
        for new, old, trainable in self._all.values():
            old.copy_(function(new, old, trainable) if old.is_floating_point() else new)


def entries(network: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name; non-persistent ones too, which it computes with."""
    return dict(network.named_parameters()) | dict(network.named_buffers())


def _grouped(
    names: list[str], trained: set[str], new: Mapping[str, Tensor], old: Mapping[str, Tensor]
) -> list[Group]:
    """Return the entries of these names in groups, trained ones first."""
    groups: dict[object, Group] = {}
    for name in sorted(names, key=lambda name: name not in trained):
        first = name in trained
        key = first, new[name].device, new[name].dtype, old[name].dtype
        group = groups.setdefault(key, Group(first))
        group.new.append(new[name].detach())
        group.old.append(old[name].detach())
    return list(groups.values())
