"""One question at one tier on this machine: planned, trained, reported."""

import argparse
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.describing import describe
from harness.commands.places import check_folder, copy_of, fetch, set_aside, suffix
from harness.commands.pricing import prediction
from harness.errors import RecordsError, SpecError
from harness.plan.expand import Plan, Run, expand
from harness.plan.keeping import Keeping, checkpoint_gib
from harness.plan.price import Place, Price, best_jobs, longest_first, price
from harness.records import predicted
from harness.records.files import write_atomically
from harness.records.types import Outcome, Status
from harness.spec.load import load

if TYPE_CHECKING:
    from harness.launch.executor import Executor

CACHE_DIR = Path(os.environ.get("HARNESS_CACHE", "~/.cache/gan-harness"))


@contextmanager
def without_collector() -> Iterator[None]:
    """Let garbage lie: rows form no cycles, and all would be looked through again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass(frozen=True)
class Job:
    """One question at one tier, on this machine.

    Args:
        plan: the runs.
        device: ``cpu`` or ``cuda``.
        jobs: runs side by side.
        threads: threads of each.
        runs_dir: the runs' folder.
        results_dir: the report's folder.
        keeping: when a run writes checkpoints.
        share: whether runs that begin alike are trained once up to where they part.
        runs_url: where the runs are kept, of which ``runs_dir`` is a copy; empty if they are there.
        node: this machine's name, where other machines train runs of ``runs_dir``; else empty.
        clustered: whether the runs are trained on other machines, which have room for ``jobs``.
    """

    plan: Plan
    device: str
    jobs: int
    threads: int
    runs_dir: Path
    results_dir: Path
    keeping: Keeping
    share: bool = True
    runs_url: str = ""
    node: str = ""
    clustered: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace, only: Sequence[str] = ()) -> "Job":
        """Read the spec that the command line names.

        Args:
            options: of the command line.
            only: names of the runs that are meant; none for all of the plan.

        Raises:
            SpecError: if the spec is not one, or has no such runs.
        """
        path: Path = options.spec
        if not path.stem.isprintable() or path.stem.startswith("."):
            raise SpecError([f"{path}: its runs' folder cannot be called so: rename the spec"])
        spec = load(path, options.tier, options.overrides)
        plan = _narrowed(expand(path.stem, options.tier, spec, options.overrides), only)
        place = Path(path.stem) / (options.tier + suffix(options.overrides))
        url = "" if isinstance(options.runs, Path) else f"{options.runs.rstrip('/')}/{place}"
        runs_dir = copy_of(url, CACHE_DIR.expanduser()) if url else options.runs / place
        keeping = Keeping(options.checkpoint_sec, options.checkpoints, 60 * options.stall_min)
        results_dir = options.results / place
        job = cls.here(plan, options.device, options.jobs, runs_dir, results_dir, keeping)
        return replace(job, share=not options.no_share, runs_url=url)

    @classmethod
    def here(
        cls,
        plan: Plan,
        device: str,
        jobs: int | None,
        runs_dir: Path,
        results_dir: Path,
        keeping: Keeping,
    ) -> "Job":
        """Choose runs side by side, where none are asked for, and threads for this machine."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        jobs = jobs or (best_jobs(len(plan.runs), cores) if device == "cpu" else 1)
        threads = max(1, cores // jobs) if device == "cuda" else 1
        return cls(plan, device, jobs, threads, runs_dir, results_dir, keeping)

    @cached_property
    def price(self) -> Price:
        """What the plan is predicted to cost."""
        return price(self.plan, self.place())

    def place(self, devices: int = 1) -> Place:
        """Return where the runs train; ``devices`` GPUs have ``jobs`` side by side each."""
        cores = os.cpu_count() or 1
        shared = float(self.jobs) if self.device == "cuda" else max(1.0, self.jobs / cores)
        return Place(
            self.device,
            self.jobs,
            devices,
            self.threads,
            1.0 if self.clustered else shared,
            CACHE_DIR.expanduser(),
            self.results_dir,
            self.keeping,
        )

    @property
    def checkpoints_gib(self) -> float:
        """All that is there at one time: one more in each run under way, while it is written."""
        plan = self.plan
        of_level = {level: checkpoint_gib(plan.first_run(level).spec) for level in plan.levels}
        sizes = sorted((of_level[run.level] for run in plan.runs), reverse=True)
        return (self.keeping.count + 1) * sum(sizes[: self.jobs])

    def describe(self, devices: int = 1) -> str:
        """Return the plan, to be read before it is run; priced for so many GPUs."""
        return describe(self, devices)

    def run(self, restart: bool, executor: "Executor | None" = None) -> int:
        """Train what has not finished, report it, and compare with the committed results."""
        print(self.describe(), end="\n\n", flush=True)
        self.check_results()
        finished = self.train(restart, executor)
        differs = self.report()
        return differs if finished else 1

    def check_results(self) -> None:
        """Find out before training whether a report can be written.

        Raises:
            HarnessError: if not.
        """
        check_folder(self.results_dir)

    def train(self, restart: bool, executor: "Executor | None" = None) -> bool:
        """Train what has not finished; return whether every run has then.

        Args:
            restart: put earlier runs aside, and train all.
            executor: trains them; the local one where None.
        """
        from harness.launch import local
        from harness.launch.progress import Display
        from harness.launch.worker import Machine

        machine = Machine(
            self.device, self.jobs, self.threads, CACHE_DIR.expanduser(), self.keeping, self.node
        )
        todo = self.begin(restart)
        self._note_prediction()
        if todo:
            (executor or local).prepare(todo[0], machine)
        execute = executor.execute if executor else partial(local.execute, share=self.share)
        seconds = dict(zip((run.name for run in self.plan.runs), self.price.run_sec, strict=True))
        order = longest_first(self.plan, self.price)
        with Display({run.name: seconds[run.name] for run in todo}, self.jobs) as display:
            outcomes = execute(order, self.runs_dir, machine, display)
        planned = (run.name for run in self.plan.runs)
        return told({name: outcomes[name] for name in planned if name in outcomes})

    def begin(self, restart: bool) -> list[Run]:
        """Write down what is asked, and return the runs that are to be trained."""
        from harness.launch.worker import ended
        from harness.records.store import dump_yaml

        check_folder(self.runs_dir)
        if restart:
            set_aside(self.plan, self.runs_dir)
        fetch(self.runs_url, self.plan, self.runs_dir, announced=True)
        todo = [run for run in self.plan.runs if not ended(self.runs_dir / run.name)]
        write_atomically(self.runs_dir / "spec.yaml", dump_yaml(self.plan.settings()))
        if len(todo) < len(self.plan.runs):
            kept = len(self.plan.runs) - len(todo)
            print(f"{kept} runs in {self.runs_dir} have ended and are kept; --restart repeats them")
        return todo

    @without_collector()
    def report(self, video: bool = False) -> int:
        """Write the report of what was trained, and compare it with the committed one."""
        from harness.report import frames
        from harness.report.baseline import committed
        from harness.report.verify import compare
        from harness.report.write import write

        fetch(self.runs_url, self.plan, self.runs_dir)
        results = frames.collect(self.plan, self.runs_dir)
        if Status.FINISHED not in results.outcomes["status"]:
            raise RecordsError(
                f"{self.runs_dir}: no run has finished, so there is nothing to report; see the "
                "log.txt of each run"
            )
        before = committed(self.results_dir)
        write(results, self.runs_dir, self.results_dir, video=video)
        print(f"report: {self.results_dir / 'report.md'}")
        if before is None:
            print("nothing to compare with: no results of this question and tier are committed")
            return 0
        comparison = compare(results, before)
        print(comparison.sentence)
        return 0 if comparison.holds else 1

    def _note_prediction(self) -> None:
        """Keep what is predicted now for the runs that have not begun, for the report."""
        runs = [run.name for run in self.plan.runs]
        begun = {name for name in runs if (self.runs_dir / name).exists()}
        predicted.note(self.runs_dir, prediction(self), runs, begun)


def _narrowed(plan: Plan, names: Sequence[str]) -> Plan:
    known = {run.name: run for run in plan.runs}
    if unknown := [name for name in names if name not in known]:
        raise SpecError(
            [
                f"--only {name}: is no run of this plan; `harness plan SPEC --names` lists them: "
                f"{', '.join(known)}"
                for name in unknown
            ]
        )
    chosen = tuple(known[name] for name in dict.fromkeys(names))
    return replace(plan, runs=chosen) if names else plan


def told(outcomes: Mapping[str, Outcome]) -> bool:
    """Say how runs ended; return whether all have finished."""
    for name, outcome in outcomes.items():
        print(f"  {name}: {_ending(outcome)}")
    return all(outcome.status is Status.FINISHED for outcome in outcomes.values())


def _ending(outcome: Outcome) -> str:
    reason = f" ({outcome.reason.splitlines()[0]})" if outcome.reason else ""
    return f"{outcome.status.value}{reason}, {outcome.sec:.0f} s"
