"""What do EMA shadows cost? The same training step with the spec's shadows and with none."""

import tempfile
from pathlib import Path

import torch

from harness.bench.steps import at_work, step
from harness.bench.timing import Comparison, in_turns

_TURNS, _CALLS, _WARM_UP = 21, 10, 5


def measure(device: str) -> Comparison:
    """Time training steps at the final scale in turns.

    Raises:
        RuntimeError: if the shadows changed the training.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        shadowed = at_work(Path(folder) / "a", device)
        plain = at_work(Path(folder) / "b", device, "observers.ema={}")
        for _ in range(_WARM_UP):
            step(shadowed)
            step(plain)
        weights = zip(
            shadowed.model.generator.parameters(), plain.model.generator.parameters(), strict=True
        )
        if not all(torch.equal(a, b) for a, b in weights):
            raise RuntimeError("EMA shadows changed the weights that are trained")
        times = in_turns(lambda: step(shadowed), lambda: step(plain), _TURNS, _CALLS)
        count = len(shadowed.model.networks()) - 1
    return Comparison(
        f"training steps with {count} EMA shadows", "steps with none", "a step", times, 1.1
    )
