"""What is told of PGGAN's speed beside MMagic's, and beside what the machine can do."""

import statistics
from dataclasses import dataclass

from harness.bench.finding import Finding, Goal

_SIDES = ("MMagic on its Runner", "the harness by default", "the harness at its fastest")
_GOAL = 3.0


@dataclass(frozen=True)
class Speeds(Finding):
    """Seconds of steps, taken in turns.

    Args:
        turns: seconds of one step of (MMagic, the harness by default, at its fastest).
        batch: images in a step.
        options: of the fastest, as a spec has them.
        flops: of products and convolutions that an image takes in a step.
        rate: the best measured of products and convolutions, in operations a second.
        share: of the fastest's step that products and convolutions take, as they run in it.
    """

    turns: tuple[tuple[float, ...], ...]
    batch: int
    options: str
    flops: float
    rate: float
    share: float

    @property
    def speeds(self) -> list[float]:
        """Images a second of each side, medians."""
        return [self.batch / statistics.median(side) for side in zip(*self.turns, strict=True)]

    def ratio(self, side: int) -> tuple[float, float, float]:
        """Return how many times MMagic's images a second a side trains: median and quartiles."""
        low, middle, high = statistics.quantiles([t[0] / t[side] for t in self.turns], n=4)
        return middle, low, high

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The fastest's."""
        what = "images a second of PGGAN at 32 px: the harness at its fastest / MMagic"
        return (Goal(what, *self.ratio(2), "at least", _GOAL),)

    @property
    def floor(self) -> float:
        """Images a second, if the best measured rate were kept up and all else took no time."""
        return self.rate / self.flops

    @property
    def sentence(self) -> str:
        """The finding, in one sentence."""
        theirs, own, fastest = self.speeds
        middle, low, high = self.ratio(2)
        return (
            f"PGGAN at 32 px trains at {fastest:.1f} images a second, {middle:.2f} times "
            f"(quartiles {low:.2f} to {high:.2f}) MMagic's {theirs:.1f}, and at {own:.1f} "
            f"({self.ratio(1)[0]:.2f} times) without options; goal at least {_GOAL:g}: "
            f"{self.goals[0].verdict}; products and convolutions alone allow {self.floor:.0f}."
        )

    def csv(self) -> str:
        """Every turn, in milliseconds."""
        lines = [",".join(f"{1000 * time:.3f}" for time in turn) for turn in self.turns]
        return "\n".join(["mmagic_ms,default_ms,fastest_ms", *lines, ""])

    @property
    def details(self) -> str:
        """A table of the sides, and how far each is from the machine's own limit."""
        lines = [
            "| | images/s | times MMagic's | share of the limit |",
            "| :-- | --: | --: | --: |",
        ]
        for side, (name, speed) in enumerate(zip(_SIDES, self.speeds, strict=True)):
            ratio = self.ratio(side)[0] if side else 1.0
            lines.append(f"| {name} | {speed:.1f} | {ratio:.2f} | {speed / self.floor:.0%} |")
        lines.append(f"| the limit | {self.floor:.1f} | {self.floor / self.speeds[0]:.2f} | 100% |")
        return "\n".join(
            [
                *lines,
                "",
                f"Fastest: `train.fast: {self.options}`. The limit: the {self.flops / 1e9:.2f} "
                "GFLOP of products and convolutions that an image takes in a step, counted, over "
                f"the best rate measured here, {self.rate / 1e9:.0f} GFLOP/s. In a step at its "
                f"fastest they take {self.share:.0%} of the time: with all else for nothing it "
                f"would be {self.ratio(2)[0] / self.share:.2f} times MMagic's.",
            ]
        )
