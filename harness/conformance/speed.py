"""Milliseconds an update by number of tensors, each library in turns with one flat lerp.

The flat side moves the same bytes as one tensor, in place: no average can do with less.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.axes import Axes
from torch import nn

from harness.bench.timing import in_turns
from harness.conformance.candidates import Averaging, Candidate, averaged
from harness.conformance.cases import Case
from harness.conformance.runners import HookRun
from harness.ema.closed_form import Setting
from harness.records.files import write_atomically, write_json
from harness.records.machine import describe
from harness.report.canvas import figure, legend, look, plain_log, png
from harness.report.tabular import csv_text
from harness.seeding import generator

COUNTS = (10, 60, 200, 600)
TOTAL, EACH = 1_200_000, 2_000
"""Numbers in all tensors together, and in one tensor."""
_ROUNDS, _CALLS, _WARM_UP = 8, 5, 3
_MOMENTUM = 0.1
# Batches are as many as an iteration may need; constant weight, from the first iteration.
_CASE = Case("speed", Setting("lerp", {"momentum": _MOMENTUM}), 10_000)


@dataclass(frozen=True, slots=True)
class Timing:
    """One library at one size.

    Args:
        candidate: its name.
        sizing: ``same total`` or ``same size``.
        tensors: how many.
        numbers: in one tensor.
        pairs: seconds of (an update, the flat lerp), a pair a turn.
    """

    candidate: str
    sizing: str
    tensors: int
    numbers: int
    pairs: tuple[tuple[float, float], ...]

    @property
    def quartiles(self) -> list[float]:
        """Milliseconds of an update: first quartile, median, third."""
        return statistics.quantiles([1000 * a for a, _ in self.pairs], n=4)

    @property
    def ratios(self) -> list[float]:
        """Times the flat lerp's: first quartile, median, third."""
        return statistics.quantiles([a / b for a, b in self.pairs], n=4)


class _Tensors(nn.Module):
    """So many parameters of so many numbers."""

    def __init__(self, count: int, numbers: int) -> None:
        super().__init__()
        draw = generator(0, "conformance speed")
        values = (torch.randn(numbers, generator=draw) for _ in range(count))
        self.all = nn.ParameterList([nn.Parameter(value) for value in values])


def measure(candidates: Sequence[Candidate], folder: Path, rounds: int = _ROUNDS) -> list[Timing]:
    """Time every installed candidate, and write ``speed.csv``, ``speed.png``, ``machine.json``."""
    installed = [candidate for candidate in candidates if candidate.version is not None]
    timings = [
        timing
        for sizing, count, numbers in _sizes()
        for timing in _at(installed, sizing, count, numbers, rounds)
    ]
    write_atomically(folder / "speed.csv", csv(timings))
    write_atomically(folder / "speed.png", drawing(timings))
    write_json(folder / "machine.json", describe("cpu", "", torch.get_num_threads()))
    return timings


def csv(timings: Sequence[Timing]) -> str:
    """Return ``speed.csv``: medians with quartiles, in milliseconds and times the flat lerp."""
    columns = ["candidate", "sizing", "tensors", "numbers_a_tensor", "turns"]
    columns += [f"update_ms_{name}" for name in ("q1", "median", "q3")]
    columns += [f"times_flat_{name}" for name in ("q1", "median", "q3")]
    rows = (
        [t.candidate, t.sizing, t.tensors, t.numbers, len(t.pairs), *t.quartiles, *t.ratios]
        for t in timings
    )
    return csv_text(columns, rows, digits=4)


def drawing(timings: Sequence[Timing]) -> bytes:
    """Draw milliseconds an update over the number of tensors, a panel for each sizing."""
    picture, (panels,) = figure((1.0, 1.0))
    names = list(dict.fromkeys(t.candidate for t in timings))
    for axes, (sizing, title) in zip(panels, _TITLES.items(), strict=True):
        for index, name in enumerate(names):
            own = [t for t in timings if (t.candidate, t.sizing) == (name, sizing)]
            low, middle, high = zip(*(t.quartiles for t in own), strict=True)
            style, x = look(index), [t.tensors for t in own]
            axes.fill_between(x, low, high, color=style.color, alpha=0.15, lw=0)
            axes.plot(
                x, middle, color=style.color, ls=style.dashes, marker=style.marker, label=name
            )
        _flat(axes, [t for t in timings if (t.candidate, t.sizing) == (names[0], sizing)])
        axes.set_xscale("log")
        axes.set_yscale("log")
        plain_log(axes, "y")
        axes.set_xticks(COUNTS, [str(count) for count in COUNTS])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("tensors")
        axes.set_title(title, fontsize=9.5)
    panels[0].set_ylabel("milliseconds an update")
    legend(picture, [*names, _FLAT])
    return png(picture)


_FLAT = "one flat lerp"
_TITLES = {
    "same total": f"{TOTAL / 1e6:g} million numbers in all",
    "same size": f"{EACH} numbers a tensor",
}


def _flat(axes: Axes, timings: Sequence[Timing]) -> None:
    y = [statistics.median(1000 * b for _, b in t.pairs) for t in timings]
    axes.plot([t.tensors for t in timings], y, color="black", ls=":", lw=1.4, label=_FLAT)


def _sizes() -> Iterator[tuple[str, int, int]]:
    for count in COUNTS:
        yield "same total", count, TOTAL // count
        yield "same size", count, EACH


def _at(
    candidates: Sequence[Candidate], sizing: str, count: int, numbers: int, rounds: int
) -> list[Timing]:
    network = _Tensors(count, numbers)
    flat = _flat_lerp(count * numbers)
    sides = {c.name: _update(_checked(c, network)) for c in candidates}
    for update in (*sides.values(), flat):
        for _ in range(_WARM_UP):
            update()
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, update in sides.items():
            update()  # the side before has filled the caches
            flat()
            pairs[name] += in_turns(update, flat, 2, _CALLS)
    return [Timing(name, sizing, count, numbers, tuple(own)) for name, own in pairs.items()]


def _checked(candidate: Candidate, network: nn.Module) -> Averaging:
    """Make an average and see it average: two updates, the second towards other weights.

    Raises:
        RuntimeError: if it does not.
    """
    average = candidate.make(network, _CASE)
    assert average is not None
    average.update()
    before = {name: value.detach().clone() for name, value in averaged(average).items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    average.update()
    for name, parameter in network.named_parameters():
        truth = before[name] + _MOMENTUM * (parameter.detach() - before[name])
        if not torch.allclose(averaged(average)[name], truth, atol=1e-5):
            raise RuntimeError(f"{candidate.name} does not average {name}: nothing was timed")
    return average


def _update(average: Averaging) -> Callable[[], None]:
    # A Runner's loop is not part of what an average costs; its hook is.
    return average.hooks_alone if isinstance(average, HookRun) else average.update


def _flat_lerp(numbers: int) -> Callable[[], None]:
    new, old = torch.ones(numbers), torch.zeros(numbers)

    def update() -> None:
        old.lerp_(new, _MOMENTUM)

    return update
