"""Runs that are stopped by a signal at a chosen step and go on, and all that is left of them."""

import json
import signal
from contextlib import contextmanager

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope

from harness.engine import checkpoints
from harness.engine.branching import BranchHook
from harness.engine.build import train
from harness.engine.keeping import Keeper, state_of
from harness.errors import HarnessError
from harness.files.pickles import in_parts
from harness.interrupts import Interrupts
from harness.plan.keeping import Keeping
from harness.records.branches import write_riders
from harness.records.machine_file import read_machine, resumed
from harness.records.silent import SilentFolder
from harness.records.store import CHECKPOINTS, RunFolder
from harness.records.types import Outcome, Status
from harness.visuals.visualizer import Visualizer

CPU = torch.device("cpu")
CLOCKS = ("harness_iter_timer", "harness_record", "message_hub")
"""What holds seconds in a run's state."""

SHORT = {
    "model__nkimgs_per_scale": {4: 0.04, 8: 0.08},
    "model__transition_kimgs": 0.02,
    "train__kimg": 0.12,
    "train__log_every_kimg": 0.02,
    "evaluate__every_kimg": 0.12,
    "evaluate__fake_images": 10,
    "seeds": [0],
}
"""Fields of a spec of six iterations, two of them at the first scale, and one evaluation."""


@contextmanager
def handlers_kept():
    """Put this process's own signal handlers back."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class OpenKeeper(Keeper):
    """Shows the runner, and gives it hooks that a spec cannot name."""

    hooks: tuple[Hook, ...] = ()

    def restore(self, runner):
        self.runner = runner
        for hook in self.hooks:
            runner.register_hook(hook)
        super().restore(runner)


def attempt(run, path, cache, stop=None, every_sec=1e9, hooks=(), riders=()):
    """Train a run, or go on with it; at its ``stop``-th step a SIGTERM comes.

    Steps are those of training and the batches of an evaluation, as they come. Of a group's
    processes each makes its attempt, and the main one writes. ``riders`` ride along, and are left
    where they part or end.

    Returns:
        The keeper, ``steps``: how many there were, and whether the run has finished.
    """
    steps = 0
    _forget()

    def beat():
        nonlocal steps
        steps += 1
        if steps == stop:
            signal.raise_signal(signal.SIGTERM)

    folder = (RunFolder if is_main_process() else SilentFolder)(path)
    interrupts = Interrupts()
    keeper = OpenKeeper(folder, run.settings, Keeping(every_sec, 2), interrupts, beat)
    keeper.hooks = tuple(hooks)
    branching = BranchHook(run, riders, keeper) if riders else None
    folder.begin(run.settings, machine_of(folder, keeper), keeper.mark)
    if is_main_process():
        write_riders(path, [rider.name for rider in riders])
    with handlers_kept():
        interrupts.install()
        try:
            with keeper.peers.heard():
                iterations = train(run, keeper, CPU, cache, branching)
            outcome = Outcome(Status.FINISHED, iteration=iterations)
            if branching is not None:
                branching.end(outcome)
            folder.end(outcome)
            return keeper, steps, True
        except KeyboardInterrupt:
            folder.end(Outcome(Status.INTERRUPTED))
            return keeper, steps, False
        except HarnessError:
            folder.end(Outcome(Status.FAILED))
            raise


def machine_of(folder, keeper):
    """Return no more of the machine than where the run went on."""
    if keeper.mark is None or not is_main_process():
        return {}
    return resumed({}, read_machine(folder.path / "machine.json"), keeper.iteration)


def _forget():
    """Have mmengine, which keeps objects by a run's name, hand on nothing within this process."""
    for logger in MMLogger._instance_dict.values():
        for handler in logger.handlers:
            handler.close()
    for kind in (DefaultScope, MessageHub, MMLogger, Visualizer):
        kind._instance_dict.clear()


def left(keeper):
    """Return all that a finished run left, without seconds and memory: values that compare."""
    path = keeper.folder.path
    state = {k: v for k, v in state_of(keeper.runner).items() if k not in CLOCKS}
    tensors, text = in_parts(state)
    rows = [
        (row.quantity, row.arm, repr(row.value), row.kimg, row.iteration)
        for row in keeper.folder.rows()
        if not row.quantity.startswith(("time/", "memory/"))
    ]
    written = [
        file
        for name in ("samples", "trajectory", "posthoc")
        for file in sorted((path / name).rglob("*"))
        if file.is_file()
    ]
    return {
        "state": text,
        **{f"state.{name}": _bits(value) for name, value in tensors.items()},
        "rows": rows,
        "weights": _content(path / "weights.safetensors"),
        **{str(file.relative_to(path)): _content(file) for file in written},
    }


def _content(path):
    content = path.read_bytes()
    if path.suffix != ".safetensors":
        return content
    # The library writes the words of a header in any order.
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def _bits(tensor):
    return (
        tensor.dtype,
        tuple(tensor.shape),
        tensor.reshape(-1).view(torch.uint8).numpy().tobytes(),
    )


def differences(one, other):
    """Return the names of what differs."""
    names = sorted(one.keys() | other.keys())
    return [name for name in names if one.get(name) != other.get(name)]


def stopped_and_resumed(run, path, cache, stops, hooks=lambda: ()):
    """Train a run that is stopped at each of the given steps of its attempts, to its end.

    Returns:
        The last attempt's keeper, and the iterations at which attempts ended.
    """
    ended = []
    for stop in [*stops, None]:
        keeper, steps, finished = attempt(run, path, cache, stop, hooks=hooks())
        assert finished == (stop is None), f"{steps} steps, stop at {stop}"
        ended.append(keeper.iteration)
    return keeper, ended[:-1]


class AtIteration(Hook):
    """Does something to the runner after an iteration, counted from 1."""

    priority = "VERY_HIGH"

    def __init__(self, iteration, action):
        self.iteration = iteration
        self.action = action

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            self.action(runner, outputs)


def found(path):
    """Return the iterations of a run's checkpoints, newest first."""
    return [checkpoints._iteration(file) for file in checkpoints.find(path / CHECKPOINTS)]
