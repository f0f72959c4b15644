"""How does the cost of an iteration's EMA updates grow with the number of shadows?

All shadows in one pass over the network, and each by itself, in multiples of one flat lerp in place
over one shadow's bytes; and the memory of a shadow.
"""

import copy
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from harness.bench.ema_update import NETWORKS, flat_lerp
from harness.bench.finding import Finding
from harness.bench.timing import in_turns
from harness.ema.averaging import Average, entries
from harness.ema.together import Together, Weights
from harness.report.canvas import GREY, figure, legend, look, png
from harness.report.tabular import csv_text

COUNTS = (0, 1, 2, 4, 8, 16, 32)
_NETWORK = "PGGAN-128"
_TURNS = 7
_TOGETHER, _APART = "in one pass", "each by itself"
_FLOORS: Mapping[str, Callable[[int], float]] = {
    _TOGETHER: lambda k: (1 + 2 * k) / 3 if k else 0.0,
    _APART: float,
}
"""Bytes that k shadows move, over the flat lerp's: the weights are read once, or k times."""


@dataclass(frozen=True, slots=True)
class Timing:
    """So many shadows, updated in one way.

    Args:
        way: ``in one pass`` or ``each by itself``.
        shadows: how many.
        pairs: seconds of (all updates of an iteration, one flat lerp), in turns.
    """

    way: str
    shadows: int
    pairs: tuple[tuple[float, float], ...]

    @property
    def ratios(self) -> list[float]:
        """Times the flat lerp's: first quartile, median, third."""
        return statistics.quantiles([a / b for a, b in self.pairs], n=4)


@dataclass(frozen=True)
class Growth(Finding):
    """Cost over the number of shadows.

    Args:
        timings: both ways at each number.
        threads: that all sides computed with.
        numbers: of a shadow.
        shadow_mib: memory that a shadow took more than none, measured; None where the system does
            not tell.
    """

    timings: tuple[Timing, ...]
    threads: int
    numbers: int
    shadow_mib: float | None

    @property
    def sentence(self) -> str:
        """Cost and memory of a shadow among many, beside what bounds them."""
        slopes = {way: self._slope(way) for way in _FLOORS}
        memory = "" if self.shadow_mib is None else f" {self.shadow_mib:.1f} MiB measured,"
        return (
            f"With {self.threads} threads each further shadow of {_NETWORK} costs "
            f"{slopes[_TOGETHER]:.2f} of one flat lerp in one pass over the weights (bytes moved: "
            f"0.67), and {slopes[_APART]:.2f} in passes of their own (bytes: 1); it takes{memory} "
            f"{self.numbers * 4 / 2**20:.1f} MiB of numbers."
        )

    @property
    def details(self) -> str:
        """Both ways at each number of shadows, beside the bytes that they move."""
        lines = ["| shadows | | times one flat lerp | quartiles | bytes |"]
        lines += ["| --: | :-- | --: | :-- | --: |"]
        for t in self.timings:
            low, middle, high = t.ratios
            lines.append(
                f"| {t.shadows} | {t.way} | {middle:.2f} | {low:.2f} to {high:.2f} | "
                f"{_FLOORS[t.way](t.shadows):.2f} |"
            )
        return "\n".join(lines)

    @property
    def pictures(self) -> Mapping[str, tuple[str, bytes]]:
        """Cost over number of shadows."""
        caption = (
            f"Updates of an iteration over the number of {_NETWORK}'s shadows, {self.threads} "
            "threads; lines without markers are the bytes that have to be moved"
        )
        return {"shadows.png": (caption, self._drawing())}

    def csv(self) -> str:
        """Every pair, in milliseconds."""
        columns = ["way", "shadows", "threads", "updates_ms", "flat_ms", "shadow_mib"]
        rows = (
            (t.way, t.shadows, self.threads, 1000 * updates, 1000 * flat, self.shadow_mib)
            for t in self.timings
            for updates, flat in t.pairs
        )
        return csv_text(columns, rows)

    def _slope(self, way: str) -> float:
        """Return what a shadow costs from the first to the last."""
        own = [t for t in self.timings if t.way == way and t.shadows]
        return (own[-1].ratios[1] - own[0].ratios[1]) / (own[-1].shadows - own[0].shadows)

    def _drawing(self) -> bytes:
        picture, ((axes,),) = figure()
        for index, way in enumerate(_FLOORS):
            _draw(axes, [t for t in self.timings if t.way == way], index)
        axes.set_xlabel("shadows")
        axes.set_ylabel("times one flat lerp")
        axes.set_xticks([t.shadows for t in self.timings if t.way == _TOGETHER])
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        legend(picture, [label for way in _FLOORS for label in (way, f"bytes, {way}")])
        return png(picture)


def measure(device: str) -> Growth:
    """Check both ways and time each number of shadows in turns with the flat lerp.

    Raises:
        RuntimeError: if the ways' results differ from lerp's.
    """
    network = NETWORKS[_NETWORK]().to(device)
    before = _memory(device)
    shadows = [copy.deepcopy(network) for _ in range(max(COUNTS))]
    averages = [Average(network, shadow) for shadow in shadows]
    _update(_TOGETHER, averages)()  # which makes the pieces
    after = _memory(device)
    for way in _FLOORS:
        _check(way, network, shadows, averages)
    size = None if before is None or after is None else (after - before) / max(COUNTS) / 2**20
    numbers = sum(v.numel() for v in entries(network).values() if v.is_floating_point())
    flat = flat_lerp(numbers, device)
    return Growth(tuple(_timings(averages, flat)), torch.get_num_threads(), numbers, size)


def _timings(averages: Sequence[Average], flat: Callable[[], None]) -> Iterator[Timing]:
    for count in COUNTS:
        for way in _FLOORS:
            update = _update(way, averages[:count])
            update()
            flat()
            yield Timing(way, count, in_turns(update, flat, _TURNS, 1))


def _update(way: str, averages: Sequence[Average]) -> Callable[[], None]:
    weights = _weights(len(averages))
    if way == _TOGETHER:
        return partial(Together(averages).update, weights)

    def each() -> None:
        for average, pair in zip(averages, weights, strict=True):
            average.update(*pair)

    return each


def _weights(count: int) -> list[Weights]:
    return [(0.001 * (1 + index), 1.0) for index in range(count)]


def _check(
    way: str, network: nn.Module, shadows: Sequence[nn.Module], averages: Sequence[Average]
) -> None:
    """Update all shadows towards new random weights, and hold each to lerp of each tensor.

    Raises:
        RuntimeError: naming an entry that differs.
    """
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn_like(value))
    weights = _weights(len(shadows))
    expected = [_sampled(network, s, *w) for s, w in zip(shadows, weights, strict=True)]
    _update(way, averages)()
    for index, (shadow, truths) in enumerate(zip(shadows, expected, strict=True)):
        for name, truth in truths.items():
            if not torch.equal(entries(shadow)[name].flatten()[::_EVERY], truth):
                raise RuntimeError(f"{way}: shadow {index} of {len(shadows)} is wrong in {name}")


_EVERY = 7
"""One number of so many is compared: no piece or vector can be wrong unseen."""


def _sampled(
    network: nn.Module, shadow: nn.Module, weight: float, nontrainable: float
) -> dict[str, Tensor]:
    trained = {name for name, value in network.named_parameters() if value.requires_grad}
    return {
        name: old.detach()
        .lerp(entries(network)[name].detach(), weight if name in trained else nontrainable)
        .flatten()[::_EVERY]
        .clone()
        for name, old in entries(shadow).items()
    }


def _draw(axes: Axes, timings: Sequence[Timing], index: int) -> None:
    low, middle, high = zip(*(t.ratios for t in timings), strict=True)
    x, style, way = [t.shadows for t in timings], look(index), timings[0].way
    axes.fill_between(x, low, high, color=style.color, alpha=0.15, lw=0)
    axes.plot(x, middle, color=style.color, ls=style.dashes, marker=style.marker, label=way)
    floor = [_FLOORS[way](count) for count in x]
    axes.plot(x, floor, color=GREY, ls=style.dashes, lw=1.1, label=f"bytes, {way}")


def _memory(device: str) -> int | None:
    """Return the bytes that this process holds on the device; None where nobody tells."""
    if device == "cuda":
        return torch.cuda.memory_allocated()
    pages = Path("/proc/self/statm")
    return (
        int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if pages.exists() else None
    )
