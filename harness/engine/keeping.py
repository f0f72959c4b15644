"""What a resume needs of a run, when it is written, and how a run goes on from it.

Data order, latents and every other draw are functions of the seed and the images shown: no
iteration is replayed, and a resume after a million iterations costs what one after ten does.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.runner import Runner
from torch import Tensor, nn

from harness.engine import checkpoints
from harness.engine.peers import Peers, Word
from harness.errors import Diverged
from harness.interrupts import Interrupts
from harness.plan.keeping import Keeping
from harness.ranks.answers import on_main
from harness.records.store import CHECKPOINTS, RowsMark, RunFolder


class Keeper:
    """Writes a run's checkpoints between two iterations, and ends it where that was asked for.

    Args:
        folder: the run's.
        identity: what the checkpoint has to be of: the run's name and settings.
        keeping: when, and how many.
        interrupts: what asks for the end.
        beat: called at each step of training and evaluation.
        peers: the processes that train the run; this one alone where None.
    """

    def __init__(
        self,
        folder: RunFolder,
        identity: Mapping[str, Any],
        keeping: Keeping,
        interrupts: Interrupts,
        beat: Callable[[], None],
        peers: Peers | None = None,
    ) -> None:
        self.folder = folder
        self.interrupts = interrupts
        self.beat = beat
        self.peers = peers or Peers()
        self.evaluation_due = False
        """Whether the run goes on with an evaluation that was not ended."""
        self._identity = dict(identity)
        self._keeping = keeping
        self._begin = self._last = time.monotonic()
        self._state = state = on_main(self._newest)
        self.mark: RowsMark | None = None if state is None else state["rows"]
        """How far the rows of the checkpoint go that the run goes on from; None for none."""
        self.iteration: int = 0 if state is None else state["meta"]["iter"]
        """Iterations done by the newest checkpoint."""
        self._sec_before: float = 0.0 if state is None else state["meta"]["sec"]

    def total_sec(self) -> float:
        """Return the seconds that the run has taken, those before its checkpoint included."""
        return self._sec_before + time.monotonic() - self._begin

    def between(self, runner: Runner) -> None:
        """Do what is due after an iteration and all that belongs to it.

        Raises:
            KeyboardInterrupt: if the end was asked for; a checkpoint has been written.
            Diverged: if weights are not finite where a checkpoint is due.
            HarnessError: if it cannot be written, or another process has failed.
        """
        self.beat()
        due = time.monotonic() - self._last >= self._keeping.every_sec
        own = Word.SAVE if due else Word.GO
        word = self.peers.agreed(Word.STOP if self.interrupts.requested else own)
        if word is not Word.GO:
            self.save(runner)
        if word is Word.STOP:
            raise KeyboardInterrupt

    def wait_for_all(self) -> None:
        """Wait until every process has come here, and what the main one wrote is there.

        Raises:
            HarnessError: if another process has failed.
        """
        self.peers.agreed(Word.GO)

    def save(self, runner: Runner, evaluation_due: bool = False) -> None:
        """Write a checkpoint.

        Args:
            runner: between two iterations.
            evaluation_due: the evaluation that follows the last iteration is still to come.

        Raises:
            Diverged: if losses or weights are not finite; the checkpoints before stand.
            HarnessError: if it cannot be written, or is not the same in all processes; the
                checkpoints before stand.
        """
        state = state_of(runner)  # RecordHook tells of a loss first, which was there earlier
        refuse_unsound(runner)
        trained = {name: state[name] for name in ("state_dict", "optimizer")}
        self.peers.require_same(trained, runner.iter)
        state["meta"] |= {"sec": self.total_sec(), "evaluation_due": evaluation_due}
        on_main(lambda: self._write(runner.iter, state))
        self.iteration, self._last = runner.iter, time.monotonic()

    def _write(self, iteration: int, state: dict[str, Any]) -> None:
        state |= {"identity": self._identity, "rows": self.folder.mark()}
        checkpoints.save(self._folder, iteration, state, self._keeping.count)

    def restore(self, runner: Runner) -> None:
        """Put the state into a built runner, where there is one."""
        if self._state is not None:
            restore(runner, self._state)
            self.evaluation_due = self._state["meta"]["evaluation_due"]
            self._state = None  # as large as all that is trained

    @property
    def _folder(self) -> Path:
        return self.folder.path / CHECKPOINTS

    def _newest(self) -> dict[str, Any] | None:
        """Return the newest sound checkpoint whose rows are there, too."""
        for path, state in checkpoints.sound(self._folder):
            if state["identity"] == self._identity and self.folder.holds(state["rows"]):
                return state
            checkpoints.put_aside(path)
        return None


def state_of(runner: Runner) -> dict[str, Any]:
    """Return all that training goes on from, in the order and by the names of mmengine."""
    state: dict[str, Any] = {
        "meta": {"iter": runner.iter},
        "state_dict": runner.model.state_dict(),
        "optimizer": runner.optim_wrapper.state_dict(),
        "param_schedulers": [scheduler.state_dict() for scheduler in _schedulers(runner)],
        "random": _random_state(),
        "message_hub": _plain(runner.message_hub.runtime_info),
    }
    runner.call_hook("before_save_checkpoint", checkpoint=state)
    return state


def restore(runner: Runner, state: Mapping[str, Any]) -> None:
    """Put what ``state_of`` gave into a runner that was built alike, before its loop begins."""
    runner.call_hook("after_load_checkpoint", checkpoint=state)
    runner.model.load_state_dict(state["state_dict"])
    runner.optim_wrapper.load_state_dict(state["optimizer"])
    for scheduler, of_scheduler in zip(_schedulers(runner), state["param_schedulers"], strict=True):
        scheduler.load_state_dict(of_scheduler)
        # mmengine warns of a schedule that goes on before the optimizer does, as at a run's end.
        scheduler.optimizer._global_step = state["meta"]["iter"]
    _set_random_state(state["random"])
    runner.message_hub.update_info_dict(state["message_hub"])
    runner.train_loop._iter = state["meta"]["iter"]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what hooks count and note for one another, without images and the like."""
    return {k: v for k, v in values.items() if isinstance(v, bool | int | float | str)}


def _schedulers(runner: Runner) -> Iterator[Any]:
    schedulers = runner.param_schedulers or []
    lists = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    for of_optimizer in lists:
        yield from of_optimizer


def _random_state() -> dict[str, Any]:
    """Return the global streams, which our own models do not use and others may."""
    version, words, gauss = random.getstate()
    kind, keys, *place = np.random.get_state()
    assert isinstance(keys, np.ndarray)
    state = {
        "torch": torch.get_rng_state(),
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), *place),
        "python": (version, torch.tensor(words), gauss),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        # Processes of a run have a GPU each, and would take room on all by asking.
        state["cuda"] = (
            [torch.cuda.get_rng_state()] if get_world_size() > 1 else torch.cuda.get_rng_state_all()
        )
    return state


def _set_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    kind, keys, *place = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *place))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    if "cuda" not in state or not torch.cuda.is_available():
        return
    if len(state["cuda"]) == 1:
        torch.cuda.set_rng_state(state["cuda"][0])
    elif torch.cuda.device_count() == len(state["cuda"]) and get_world_size() == 1:
        torch.cuda.set_rng_state_all(state["cuda"])


def refuse_unsound(runner: Runner) -> None:
    """Raise Diverged if a weight is not finite, or a moment of its optimizer."""
    finite = [*_finite(runner.model, runner.optim_wrapper)]
    if finite and not bool(torch.stack(finite).all()):  # the one wait for the device
        raise Diverged(runner.iter, "a weight or a moment of its optimizer")


def _finite(model: nn.Module, optimizers: Any) -> Iterator[Tensor]:
    for parameter in model.parameters():
        yield parameter.isfinite().all()
    for _, wrapper in optimizers.items():
        for moments in wrapper.optimizer.state.values():
            for value in moments.values():
                if isinstance(value, Tensor) and value.is_floating_point():
                    yield value.isfinite().all().to(next(model.parameters()).device)
