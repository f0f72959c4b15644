"""What a visualization looks at: a model at one point of its training."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from mmengine.runner import Runner
from torch import Generator

from harness.seeding import derive_seed, generator
from harness.structures import unwrapped
from harness.visuals.entries import Entry


@runtime_checkable
class Seeded(Protocol):
    """A model whose draws are a function of its seed."""

    seed: int


@dataclass(frozen=True)
class Subject:
    """A model at one point of its training.

    Args:
        model: without a wrapper for distribution.
        seed: the run's.
        iterations: of training so far.
    """

    model: Any
    seed: int
    iterations: int

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        first = next(iter(self.model.parameters()), None)
        return torch.device("cpu") if first is None else first.device

    def stream(self, entry: Entry, purpose: str = "") -> Generator:
        """Return a fresh generator on the CPU, so that every device shows the same."""
        return generator(self.seed, entry.purpose + purpose, self._step(entry))

    def stream_seed(self, entry: Entry) -> int:
        """Return what global streams begin at while an entry is drawn."""
        return derive_seed(self.seed, f"{entry.purpose} drawing", self._step(entry))

    def _step(self, entry: Entry) -> int:
        return 0 if entry.fixed_input else self.iterations


def subject_of(runner: Runner) -> Subject:
    """Return a runner's model after the iteration that it is in.

    The seed is the model's own where it has one; the runner's is kept in its checkpoints.
    """
    model = unwrapped(runner.model)
    seed = model.seed if isinstance(model, Seeded) else runner.seed or 0
    return Subject(model, int(seed), runner.iter + 1)
