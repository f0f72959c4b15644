"""What does an EMA update cost beside its limit, one flat lerp in place over the same bytes?

Ours is what its hooks do in an iteration, on a real Runner: of one shadow, and of eight of
different momenta. Beside it stand what other libraries do for one shadow, and a round trip through
state dicts: both are built, a new one is computed, and it is loaded.
"""

import copy
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.bench.finding import Finding, Goal
from harness.bench.timing import Comparison, in_turns
from harness.conformance.candidates import CANDIDATES, Averaging, averaged
from harness.conformance.cases import Case
from harness.conformance.runners import HookRun
from harness.ema.averaging import entries
from harness.ema.closed_form import Setting
from harness.ema.together import PIECE
from harness.hooks.ema import ExponentialMovingAverageHook
from harness.networks.pggan import PGGANGenerator
from harness.networks.stylegan1 import StyleGAN1Generator
from harness.report.tabular import csv_text

_TURNS, _CALLS, _WARM_UP = 21, 2, 2
_SMALL, _SMALL_CALLS = 1_000_000, 40
"""A network of fewer numbers is updated this often in a turn."""
MOMENTUM = 0.001
MOMENTA = tuple(MOMENTUM * 2**k for k in range(8))
NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "PGGAN-128": lambda: PGGANGenerator(512, 128),
    "StyleGAN1-256": lambda: StyleGAN1Generator(256, 512),
    "PGGAN-32": lambda: PGGANGenerator(64, 32, base_channels=1024, max_channels=64),
}
_ONE, _EIGHT, _ROUND_TRIP = "one shadow", "eight shadows", "state-dict round trip"
_CACHED = "eight lerps, weights always in the cache"
_BOUNDS = {_ONE: 1.15, _EIGHT: 6.5}
_WITH_GOALS = ("PGGAN-128", "StyleGAN1-256")
_OTHERS = ("torch", "timm", "ema-pytorch")
# Batches are as many as an iteration may need.
_CASE = Case("bench", Setting("lerp", {"momentum": MOMENTUM}), 10_000)


@dataclass(frozen=True, slots=True)
class Side:
    """Somebody's average of a network, or several.

    Args:
        update: makes all of them follow the network once.
        states: momentum and entries, by the network's names, of each.
    """

    update: Callable[[], None]
    states: Callable[[], Sequence[tuple[float, Mapping[str, Tensor]]]]


@dataclass(frozen=True, slots=True)
class Timing:
    """One side beside the flat lerp.

    Args:
        network: its name.
        numbers: that an update averages or copies.
        side: its name.
        comparison: its time and the flat lerp's, in turns.
    """

    network: str
    numbers: int
    side: str
    comparison: Comparison


@dataclass(frozen=True)
class Updates(Finding):
    """Updates of every network and side.

    Args:
        timings: in the order of the tables.
        threads: that both sides computed with.
        missing: libraries that are not installed.
    """

    timings: tuple[Timing, ...]
    threads: int
    missing: tuple[str, ...]

    @property
    def goals(self) -> tuple[Goal, ...]:
        """Of the large networks, of one shadow and of eight."""
        return tuple(goal for timing in self.timings for goal in timing.comparison.goals)

    @property
    def sentence(self) -> str:
        """What one shadow and eight take, of each network."""
        found = {(t.network, t.side): t.comparison.ratio[0] for t in self.timings}
        parts = [
            f"{found[name, _ONE]:.2f} (one shadow) and {found[name, _EIGHT]:.2f} (eight) of {name}"
            for name in dict.fromkeys(t.network for t in self.timings)
        ]
        return (
            f"With {self.threads} threads an EMA update takes, times one flat lerp over the same "
            f"bytes: {'; '.join(parts)}."
        )

    @property
    def details(self) -> str:
        """Every side, beside what bounds it."""
        lines = [
            "| network | numbers | | times one flat lerp | quartiles | ms | flat lerp, ms |",
            "| :-- | --: | :-- | --: | :-- | --: | --: |",
            *map(_line, self.timings),
            "",
            "Eight shadows move 17/3 = 5.67 times the flat lerp's bytes where the weights are read "
            "once, and 8 times in passes of their own. Where their row says no more than that of "
            "weights always in the cache, it is lerp itself that takes the time.",
        ]
        if self.missing:
            lines[-1] += f" Not installed: {', '.join(self.missing)}."
        return "\n".join(lines)

    def csv(self) -> str:
        """Every pair, in milliseconds."""
        columns = ["network", "numbers", "side", "threads", "update_ms", "flat_ms"]
        rows = (
            (t.network, t.numbers, t.side, self.threads, 1000 * update, 1000 * flat)
            for t in self.timings
            for update, flat in t.comparison.pairs
        )
        return csv_text(columns, rows)


def measure(device: str) -> Updates:
    """Check every side and time it in turns with the flat lerp.

    Raises:
        RuntimeError: if a side does not average.
    """
    timings = [
        timing
        for name, make in NETWORKS.items()
        for timing in _of_network(name, make().to(device), device)
    ]
    missing = tuple(c.name for c in CANDIDATES if c.name in _OTHERS and c.version is None)
    return Updates(tuple(timings), torch.get_num_threads(), missing)


def flat_lerp(numbers: int, device: str) -> Callable[[], None]:
    """Return the limit: so many numbers in one tensor, averaged in place."""
    new, old = torch.randn(numbers, device=device), torch.randn(numbers, device=device)

    def update() -> None:
        old.lerp_(new, MOMENTUM)

    return update


def cached_lerps(numbers: int) -> Callable[[], None]:
    """Return what bounds eight shadows on a CPU: lerps of as many numbers towards one piece.

    Memory moves the shadows alone, so that this is what lerp itself can do with them.
    """
    size = PIECE * torch.get_num_threads()
    new, old = torch.randn(size), [torch.randn(numbers) for _ in MOMENTA]
    parts = [part for whole in old for part in whole.split(size)]
    news = [new[: len(part)] for part in parts]
    return lambda: torch._foreach_lerp_(parts, news, MOMENTUM)


def check(name: str, side: Side, network: nn.Module) -> None:
    """See a side average: new random weights, an update, and lerp of each entry beside it.

    Raises:
        RuntimeError: naming an entry that is off by more than rounding.
    """
    side.update()  # some begin as copies
    states = [(m, {n: v.clone() for n, v in state.items()}) for m, state in side.states()]
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn_like(value))
    side.update()
    trained = {n for n, p in network.named_parameters() if p.requires_grad}
    for (momentum, before), (_, after) in zip(states, side.states(), strict=True):
        for entry, new in entries(network).items():
            truth = before[entry].lerp(new.detach(), momentum) if entry in trained else new
            if not torch.allclose(after[entry], truth, rtol=1e-5, atol=1e-6):
                raise RuntimeError(f"{name} does not average {entry}: nothing was timed")


class ShadowHooks(HookRun):
    """One ExponentialMovingAverageHook for each momentum, side by side on a Runner."""

    def __init__(self, network: nn.Module, momenta: Sequence[float]) -> None:
        self.momenta = {f"shadow{i}_ema": momentum for i, momentum in enumerate(momenta)}
        super().__init__(network, _CASE)

    def make_hooks(self, model: nn.Module, case: Case) -> list[ExponentialMovingAverageHook]:
        """Return the hooks, as a spec's shadows have them."""
        return [
            ExponentialMovingAverageHook(
                key, interp_cfg={"momentum": momentum}, interval=1, source="net"
            )
            for key, momentum in self.momenta.items()
        ]

    def state(self) -> Mapping[str, Tensor]:
        """Return the entries of all shadows, by their names in the model."""
        return {
            f"{key}.{name}": value
            for key in self.momenta
            for name, value in entries(self.model.get_submodule(key)).items()
        }

    def states(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """Return each shadow's momentum and entries."""
        return [(m, entries(self.model.get_submodule(key))) for key, m in self.momenta.items()]


def round_trip(network: nn.Module, shadow: nn.Module) -> None:
    """Average by state dicts: both are built, a new one is computed, and the shadow loads it."""
    trained = {name for name, value in network.named_parameters() if value.requires_grad}
    new, old = network.state_dict(), shadow.state_dict()
    mixed = {
        name: old[name] + (value - old[name]) * MOMENTUM if name in trained else value
        for name, value in new.items()
    }
    shadow.load_state_dict(mixed, strict=True)


def _sides(network: nn.Module) -> Iterator[tuple[str, Side]]:
    """Yield the sides, each made when it is asked for: memory holds one at a time."""
    for name, momenta in ((_ONE, MOMENTA[:1]), (_EIGHT, MOMENTA)):
        run = ShadowHooks(network, momenta)
        yield name, Side(run.hooks_alone, run.states)
    for candidate in CANDIDATES:
        if candidate.name in _OTHERS and candidate.version is not None:
            average = candidate.make(network, _CASE)
            assert average is not None
            yield f"{candidate.name} {candidate.version}", _of(average)
    shadow = copy.deepcopy(network)
    yield (
        _ROUND_TRIP,
        Side(lambda: round_trip(network, shadow), lambda: [(MOMENTUM, entries(shadow))]),
    )


def _of(average: Averaging) -> Side:
    return Side(average.update, lambda: [(MOMENTUM, averaged(average))])


def _of_network(name: str, network: nn.Module, device: str) -> Iterator[Timing]:
    numbers = sum(v.numel() for v in entries(network).values() if v.is_floating_point())
    flat = flat_lerp(numbers, device)
    calls = _SMALL_CALLS if numbers < _SMALL else _CALLS
    for title, side in _sides(network):
        check(f"{title} of {name}", side, network)
        for _ in range(_WARM_UP):
            side.update()
            flat()
        pairs = in_turns(side.update, flat, _TURNS, calls)
        what = f"an EMA update of {name}" if title == _ONE else f"{title} of {name}"
        bound = _BOUNDS.get(title) if name in _WITH_GOALS else None
        comparison = Comparison(what, "one flat lerp", "an update", pairs, bound)
        yield Timing(name, numbers, title, comparison)
    if device == "cpu":
        pairs = in_turns(cached_lerps(numbers), flat, _TURNS, calls)
        yield Timing(name, numbers, _CACHED, Comparison(_CACHED, "one flat lerp", "a call", pairs))


def _line(timing: Timing) -> str:
    middle, low, high = timing.comparison.ratio
    update, flat = (
        1000 * statistics.median(times) for times in zip(*timing.comparison.pairs, strict=True)
    )
    return (
        f"| {timing.network} | {timing.numbers:,} | {timing.side} | {middle:.2f} | "
        f"{low:.2f} to {high:.2f} | {update:.3g} | {flat:.3g} |"
    )
