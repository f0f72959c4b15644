"""A run that others ride along on: each gets a folder of its own where it parts from it.

What a branch goes on from is the run's exact checkpoint, with the branch's own rule in the place of
the run's. A rule first acts at an evaluation, which the branch has yet to hold: there the
checkpoint is of what the evaluation began with. See ``harness.plan.trunks`` for who rides along.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from harness.engine import checkpoints
from harness.engine.ghosts import Ghost
from harness.engine.keeping import Keeper, refuse_unsound, state_of
from harness.plan.expand import Run
from harness.plan.trunks import fork_images
from harness.records.branches import Place, branch_rows, fill, laid_down, write_riders
from harness.records.store import CHECKPOINTS, RunFolder
from harness.records.types import Outcome
from harness.spec.schema import ReduceLR

_STATE = "harness_riders"
_RULE = "harness_reduce_lr"
"""Where ReduceLRSchedulerHook keeps its state."""


@dataclass(frozen=True)
class _Moment:
    """A run as it stands between two iterations, or before an evaluation.

    Args:
        state: as a checkpoint of the run holds it.
        ghosts: the states of the rules that ride along.
        rows: bytes of the run's rows.
        images: real images shown.
        evaluation_due: whether the evaluation that belongs to it is still to come.
    """

    state: Mapping[str, Any]
    ghosts: Mapping[str, dict[str, Any]]
    rows: int
    images: int
    evaluation_due: bool


class BranchHook(Hook):
    """Lays down each run that rides along, where it parts from the one that is trained.

    Args:
        run: the one that is trained.
        riders: those that begin as it does. A resumed run carries those of its checkpoint.
        keeper: of the run.
    """

    # After all that an evaluation leaves behind.
    priority = "LOWEST"

    def __init__(self, run: Run, riders: Iterable[Run], keeper: Keeper) -> None:
        self.run = run
        self.aboard = {rider.name: rider for rider in riders}
        """Runs that have not parted yet, by name."""
        self._keeper = keeper
        self._ghosts: dict[str, Ghost] = {}
        self._kept: Mapping[str, Any] = {}
        self._forks: dict[str, int | None] = {}
        self._before: _Moment | None = None
        self._acted: set[str] = set()
        self._images: Callable[[], int] = lambda: 0

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Carry on those that the checkpoint knows: no other was there from the start."""
        kept = checkpoint.get(_STATE, {"aboard": [], "ghosts": {}})
        self.aboard = {name: run for name, run in self.aboard.items() if name in kept["aboard"]}
        self._kept = kept["ghosts"]

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep who is aboard, and their rules."""
        if self.aboard:
            checkpoint[_STATE] = {"aboard": [*self.aboard], "ghosts": self._states(runner)}

    def before_train(self, runner: Runner) -> None:
        """Find out where each parts, and give each rule its ghost."""
        spec = self.run.spec
        self._forks = {name: fork_images(spec, run.spec) for name, run in self.aboard.items()}
        for key, rule in self._needed().items():
            self._ghosts[key] = Ghost(rule, runner.optim_wrapper)
            if key in self._kept:
                self._ghosts[key].restore(runner, self._kept[key])
        self._images = lambda: int(runner.model.images_shown)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Part from those that train the next batch in another way."""
        shown = self._images() if self.aboard else None
        parting = [run for name, run in self.aboard.items() if self._forks[name] == shown]
        if parting:
            self._part(runner, parting, self._now(runner))

    def before_val(self, runner: Runner) -> None:
        """Note what the evaluation begins with, as long as a rule may act on it."""
        if self._ghosts:
            self._before = self._now(runner, evaluation_due=True)
        for ghost in self._ghosts.values():
            ghost.follow(runner.optim_wrapper)

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Show the evaluation to every rule."""
        looked = {k: ghost.look(metrics or {}, runner.iter) for k, ghost in self._ghosts.items()}
        self._acted = {key for key, acted in looked.items() if acted}

    def after_val(self, runner: Runner) -> None:
        """Part from those whose rule has acted, or from all others where the run's own has."""
        own, moment = _key(self.run), self._before
        if moment is None or not self._acted:
            return
        parting = [
            run
            for run in self.aboard.values()
            if _key(run) != own and (own in self._acted or _key(run) in self._acted)
        ]
        self._part(runner, parting, moment)
        self._acted, self._before = set(), None

    def end(self, outcome: Outcome) -> None:
        """Give those still aboard the run's own end: finished, or diverged.

        Raises:
            OutputError: if a folder cannot be written; none of it is left then.
        """
        place = self._place(outcome.iteration, self._images())
        looks = {key: ghost.looks for key, ghost in self._ghosts.items()}
        for run in self.aboard.values():
            if not os.path.lexists(path := self._path(run)):
                with laid_down(path, self.run.name) as part:
                    rows = self._rows(run, None, looks)
                    fill(part, self._keeper.folder, run.settings, place, rows, ended=True)
                    RunFolder(part).end(outcome)
                self._keeper.beat()
        write_riders(self._keeper.folder.path, ())

    def _part(self, runner: Runner, parting: Sequence[Run], moment: _Moment) -> None:
        """Lay down runs; those that are alike for longer ride along on the first of them."""
        refuse_unsound(runner)
        while parting:
            first, *rest = parting
            alike = [self._alike(first, run, moment.images) for run in rest]
            riders = [run for run, rides in zip(rest, alike, strict=True) if rides]
            if not os.path.lexists(self._path(first)):
                self._lay_down(first, riders, moment)
            parting = [run for run, rides in zip(rest, alike, strict=True) if not rides]
            for run in (first, *riders):
                del self.aboard[run.name]
            self._keeper.beat()
        needed = self._needed()
        self._ghosts = {key: ghost for key, ghost in self._ghosts.items() if key in needed}

    def _alike(self, first: Run, run: Run, images: int) -> bool:
        fork = fork_images(first.spec, run.spec)
        same_rule = _key(first) == _key(run)
        return (fork is None or fork > images) and (
            same_rule or not self._acted & {_key(first), _key(run)}
        )

    def _lay_down(self, run: Run, riders: Sequence[Run], moment: _Moment) -> None:
        iteration = moment.state["meta"]["iter"]
        place = self._place(iteration, moment.images)
        names = [rider.name for rider in riders]
        looks = {key: ghost["looks"] for key, ghost in moment.ghosts.items()}
        rows = self._rows(run, moment.rows, looks)
        with laid_down(self._path(run), self.run.name) as part:
            fill(part, self._keeper.folder, run.settings, place, rows, names)
            state = {
                **self._state(run, riders, moment),
                "identity": run.settings,
                "rows": RunFolder(part).mark(),
            }
            checkpoints.save(part / CHECKPOINTS, iteration, state, keep=1)

    def _state(self, run: Run, riders: Sequence[Run], moment: _Moment) -> dict[str, Any]:
        """Return what the branch goes on from, as if it had come so far by itself."""
        state = {name: value for name, value in moment.state.items() if name != _STATE}
        state["meta"] = {
            **state["meta"],
            "sec": self._keeper.total_sec(),
            "evaluation_due": moment.evaluation_due,
        }
        if _key(run) != _key(self.run):
            rule = moment.ghosts.get(_key(run), {"schedulers": [], "hook": {}})
            state.pop(_RULE, None)
            state |= {"param_schedulers": rule["schedulers"], **rule["hook"]}
        if riders:
            needed = {key: moment.ghosts[key] for key in _rules([run, *riders])}
            state[_STATE] = {"aboard": [rider.name for rider in riders], "ghosts": needed}
        return state

    def _rows(self, run: Run, end: int | None, looks: Mapping[str, Any]) -> str:
        text = self._keeper.folder.rows_file.read_bytes()[:end].decode()
        if _key(run) == _key(self.run):
            return text
        return branch_rows(text, dict(looks.get(_key(run), ())))

    def _now(self, runner: Runner, evaluation_due: bool = False) -> _Moment:
        state, rows = state_of(runner), self._keeper.folder.mark()["bytes"]
        return _Moment(state, self._states(runner), rows, self._images(), evaluation_due)

    def _place(self, iteration: int, images: int) -> Place:
        sec = self._keeper.total_sec()
        return {"trunk": self.run.name, "iteration": iteration, "kimg": images / 1000, "sec": sec}

    def _path(self, run: Run) -> Path:
        return self._keeper.folder.path.with_name(run.name)

    def _needed(self) -> dict[str, ReduceLR]:
        return _rules([self.run, *self.aboard.values()])

    def _states(self, runner: Runner) -> dict[str, dict[str, Any]]:
        return {key: ghost.state(runner) for key, ghost in self._ghosts.items()}


def _key(run: Run) -> str:
    """Return what tells a run's rule from others; empty where it has none."""
    return "" if run.reduce_lr is None else run.reduce_lr.model_dump_json()


def _rules(runs: Iterable[Run]) -> dict[str, ReduceLR]:
    """Return the rules that runs have; nothing where all have the same, or none."""
    rules = {_key(run): run.reduce_lr for run in runs}
    return {key: rule for key, rule in rules.items() if rule} if len(rules) > 1 else {}
