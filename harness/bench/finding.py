"""What a benchmark answers: a sentence, every measured number, and goals that are met or missed."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Direction = Literal["at most", "at least"]


@dataclass(frozen=True)
class Goal:
    """One measured value beside what it has to be.

    Args:
        what: is measured, such as "an EMA update of PGGAN-128 / one flat lerp".
        value: median.
        low: first quartile; the value itself where it was measured once.
        high: third quartile.
        direction: whether the bound is the highest or the lowest value that is met.
        bound: in ``unit``.
        unit: such as "s"; empty for a ratio.
    """

    what: str
    value: float
    low: float
    high: float
    direction: Direction
    bound: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the median keeps to the bound."""
        return self.value <= self.bound if self.direction == "at most" else self.value >= self.bound

    @property
    def verdict(self) -> str:
        """``met``, or ``missed``."""
        return "met" if self.met else "missed"


class Finding(ABC):
    """What a benchmark answers."""

    @property
    @abstractmethod
    def sentence(self) -> str:
        """The finding, in one sentence."""

    @abstractmethod
    def csv(self) -> str:
        """Every measured number."""

    @property
    def goals(self) -> tuple[Goal, ...]:
        """What had to be reached; empty where a benchmark only tells."""
        return ()

    @property
    def details(self) -> str:
        """Markdown that stands below the sentence."""
        return ""

    @property
    def pictures(self) -> Mapping[str, tuple[str, bytes]]:
        """PNG files by name (``cost.png``), each with its caption."""
        return {}
