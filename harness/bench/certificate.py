"""What does a shadow's certificate cost? Noting a step's weights against the step itself."""

import tempfile
from pathlib import Path

import torch

from harness.bench.steps import at_work, step
from harness.bench.timing import Comparison, in_turns
from harness.ema.certificate import LIMIT, certify
from harness.ema.trajectory import Trajectory
from harness.hooks import EMACertificateHook

_TURNS, _CALLS, _WARM_UP = 11, 64, 5


def measure(device: str) -> Comparison:
    """Time what the certificate hook does in an iteration, shadows and disk and all, in turns.

    Raises:
        RuntimeError: if what it keeps does not certify the shadows.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        runner = at_work(Path(folder) / "a", device)
        for _ in range(_WARM_UP):
            step(runner)
        hook = next(hook for hook in runner.hooks if isinstance(hook, EMACertificateHook))
        settings = hook.settings or {}
        kept = Path(folder) / "a" / "trajectory" / "generator"
        hook.after_train(runner)
        if not all(found.error < LIMIT for found in certify(kept, settings).values()):
            raise RuntimeError("the trajectory does not certify the run's shadows")
        trajectory = Trajectory(
            runner.model.generator,
            {shadow: getattr(runner.model, shadow) for shadow in settings},
            Path(folder) / "b",
        )
        trajectory.begin(0)
        times = in_turns(lambda: trajectory.observe(32), lambda: step(runner), _TURNS, _CALLS)
    return Comparison(
        f"notes of an iteration, for {len(settings)} shadows,",
        "a training step",
        "an iteration",
        times,
        0.01,
    )
