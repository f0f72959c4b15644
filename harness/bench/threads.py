"""Are runs better side by side, a thread each, or one after another with all cores?

The ratio is the time of a step with one thread over that with two. Two runs side by side win
while it is below two.
"""

import tempfile
from pathlib import Path

import torch

from harness.bench.steps import at_work, step
from harness.bench.timing import Comparison, in_turns

_TURNS, _CALLS = 21, 10


def measure(device: str) -> Comparison:
    """Time training steps with one and with two threads, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        runner = at_work(Path(folder) / "a", device)
        for _ in range(_CALLS):
            step(runner)

        def with_threads(count: int) -> None:
            torch.set_num_threads(count)
            step(runner)

        times = in_turns(lambda: with_threads(1), lambda: with_threads(2), _TURNS, _CALLS)
    torch.set_num_threads(1)
    return Comparison(
        "training steps with one thread", "steps with two threads", "a step", times, 2.0
    )
