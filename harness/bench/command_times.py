"""How long does a user wait for an answer that needs no training? Whole processes, in turns.

Beside each command stands Python's own start, `python -c pass`, which no command can do without.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.bench.commands import seconds_of_python
from harness.bench.finding import Finding, Goal

_ROOT = Path(__file__).parents[2]
_TURNS = 15
_START = "python -c pass"
_COMMANDS = {
    "harness plan": ("-m", "harness", "plan", "experiments/pggan-ema.yaml"),
    "harness --help": ("-m", "harness", "--help"),
    _START: ("-c", "pass"),
}
_MOST_SEC = {"harness plan": 0.3}


@dataclass(frozen=True)
class Waits(Finding):
    """Seconds of commands, taken in turns.

    Args:
        seconds: of each turn, by command.
    """

    seconds: Mapping[str, tuple[float, ...]]

    @property
    def goals(self) -> tuple[Goal, ...]:
        """Of whole commands, with Python's own start."""
        return tuple(
            Goal(f"{name}, the whole command", middle, low, high, "at most", _MOST_SEC[name], "s")
            for name, times in self.seconds.items()
            if name in _MOST_SEC
            for low, middle, high in [statistics.quantiles(times, n=4)]
        )

    @property
    def sentence(self) -> str:
        """The finding, in one sentence."""
        parts = []
        for name, times in self.seconds.items():
            pairs = zip(times, self.seconds[_START], strict=True)
            ratio = statistics.median(ours / start for ours, start in pairs)
            parts.append(f"`{name}` takes {statistics.median(times):.3f} s ({ratio:.1f} times)")
        return f"In times of Python's own start: {', '.join(parts)}."

    def csv(self) -> str:
        """A line a turn."""
        turns = zip(*self.seconds.values(), strict=True)
        lines = [",".join(map(repr, turn)) for turn in turns]
        return "\n".join([",".join(f"{name} (s)" for name in self.seconds), *lines, ""])


def measure(device: str) -> Waits:
    """Start each command many times; the first time, which compiles, does not count.

    Raises:
        RuntimeError: if a command fails.
    """
    times: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for turn in range(_TURNS + 1):
        for name, arguments in _COMMANDS.items():
            sec = seconds_of_python(_ROOT, *arguments)
            if turn:
                times[name].append(sec)
    return Waits({name: tuple(found) for name, found in times.items()})
