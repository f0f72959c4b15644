"""Two sides timed in turns: what disturbs one disturbs the other."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Comparison:
    """Times of two sides, taken in turns.

    Args:
        first: what the ratio's numerator is.
        second: what its denominator is.
        unit: what one time is of, such as "a step".
        pairs: seconds of (first, second).
        allowed: highest ratio that is met, if there is a goal.
    """

    first: str
    second: str
    unit: str
    pairs: tuple[tuple[float, float], ...]
    allowed: float | None = None

    @property
    def ratio(self) -> tuple[float, float, float]:
        """Median of first / second, and its quartiles."""
        low, middle, high = statistics.quantiles([a / b for a, b in self.pairs], n=4)
        return middle, low, high

    @property
    def sentence(self) -> str:
        """The finding, in one sentence."""
        middle, low, high = self.ratio
        times = [1000 * statistics.median(side) for side in zip(*self.pairs, strict=True)]
        text = (
            f"{self.first} take {middle:.3f} times (quartiles {low:.3f} to {high:.3f}) the time of "
            f"{self.second}: {times[0]:.2f} against {times[1]:.2f} ms {self.unit}, medians of "
            f"{len(self.pairs)} turns"
        )
        if self.allowed is not None:
            met = "met" if middle <= self.allowed else "missed"
            text += f"; goal at most {self.allowed:g}: {met}"
        return text + "."

    def csv(self) -> str:
        """Every pair, in milliseconds."""
        lines = [f"{1000 * a!r},{1000 * b!r}" for a, b in self.pairs]
        return "\n".join(["first_ms,second_ms", *lines, ""])


def in_turns(
    first: Callable[[], None], second: Callable[[], None], turns: int, calls: int
) -> tuple[tuple[float, float], ...]:
    """Time ``calls`` calls of each side, ``turns`` times, the order changing from turn to turn.

    Returns:
        Seconds of one call of (first, second), a pair a turn.
    """
    pairs = []
    for turn in range(turns):
        if turn % 2:
            later = _seconds(second, calls)
            pairs.append((_seconds(first, calls), later))
        else:
            sooner = _seconds(first, calls)
            pairs.append((sooner, _seconds(second, calls)))
    return tuple(pairs)


def _seconds(action: Callable[[], None], calls: int) -> float:
    wait()
    begin = time.perf_counter()
    for _ in range(calls):
        action()
    wait()
    return (time.perf_counter() - begin) / calls


def wait() -> None:
    """Let a GPU finish what it was given."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
