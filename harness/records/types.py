"""The values that a run leaves behind; none of them ever changes."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

FORMAT = 1
"""Version of a run's folder and of a results folder. 1: first."""


class Status(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number.

    Args:
        quantity: a name of ``quantities.QUANTITIES``, with its protocol in brackets.
        arm: what was measured: ``raw``, an EMA shadow's name, ``posthoc-WIDTH`` (an average
            rebuilt after training), ``real`` (the real images themselves, the metric's best
            possible value), or ``run``.
        kimg: thousands of real images shown in training so far.
        iteration: training iterations so far.
        sec: seconds since the run began.
    """

    quantity: str
    arm: str
    value: float
    kimg: float
    iteration: int
    sec: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields in order, as they are written."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run's end, good or bad, with the reason."""

    status: Status
    reason: str = ""
    iteration: int = 0
    sec: float = 0.0
