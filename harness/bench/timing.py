"""Two sides timed in turns: what disturbs one disturbs the other."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from harness.bench.finding import Direction, Finding, Goal
from harness.report.tabular import csv_text


@dataclass(frozen=True)
class Comparison(Finding):
    """Times of two sides, taken in turns.

    Args:
        first: what the ratio's numerator is.
        second: what its denominator is.
        unit: what one time is of, such as "a step".
        pairs: seconds of (first, second).
        bound: ratio that has to be kept to, if there is a goal.
        direction: whether it is the highest or the lowest ratio that is met.
    """

    first: str
    second: str
    unit: str
    pairs: tuple[tuple[float, float], ...]
    bound: float | None = None
    direction: Direction = "at most"

    @property
    def ratio(self) -> tuple[float, float, float]:
        """Median of first / second, and its quartiles."""
        low, middle, high = statistics.quantiles([a / b for a, b in self.pairs], n=4)
        return middle, low, high

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The ratio's, if it has one."""
        if self.bound is None:
            return ()
        what = f"{self.first} / {self.second}"
        return (Goal(what, *self.ratio, self.direction, self.bound),)

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
        for goal in self.goals:
            text += f"; goal {goal.direction} {goal.bound:g}: {goal.verdict}"
        return text + "."

    def csv(self) -> str:
        """Every pair, in milliseconds."""
        return csv_text(("first_ms", "second_ms"), self.milliseconds)

    @property
    def milliseconds(self) -> list[tuple[float, float]]:
        """Every pair."""
        return [(1000 * a, 1000 * b) for a, b in self.pairs]


@dataclass(frozen=True)
class Comparisons(Finding):
    """Several comparisons of one question.

    Args:
        cases: each by its name; the name is a column of the CSV.
    """

    cases: Mapping[str, Comparison]

    @property
    def goals(self) -> tuple[Goal, ...]:
        """Those of all cases."""
        return tuple(goal for case in self.cases.values() for goal in case.goals)

    @property
    def sentence(self) -> str:
        """The findings, a sentence each."""
        return " ".join(case.sentence for case in self.cases.values())

    def csv(self) -> str:
        """Every pair, in milliseconds."""
        pairs = [(name, *pair) for name, case in self.cases.items() for pair in case.milliseconds]
        return csv_text(("case", "first_ms", "second_ms"), pairs)


def in_turns(
    first: Callable[[], object], second: Callable[[], object], turns: int, calls: int
) -> tuple[tuple[float, float], ...]:
    """Time ``calls`` calls of each side, ``turns`` times, the order changing from turn to turn.

    Returns:
        Seconds of one call of (first, second), a pair a turn.
    """
    pairs = []
    for turn in range(turns):
        if turn % 2:
            later = seconds(second, calls)
            pairs.append((seconds(first, calls), later))
        else:
            sooner = seconds(first, calls)
            pairs.append((sooner, seconds(second, calls)))
    return tuple(pairs)


def seconds(action: Callable[[], object], calls: int = 1) -> float:
    """Return the seconds of one call, the mean of so many."""
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
