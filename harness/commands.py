"""What the commands do, each step handing a value to the next."""

import argparse
import gc
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from harness.errors import OutputError, RecordsError, SpecError
from harness.plan import remarks
from harness.plan.arms import table
from harness.plan.expand import ONLY_LEVEL, Plan, expand
from harness.plan.keeping import Keeping, checkpoint_gib
from harness.plan.price import Price, best_jobs, price, snapshots, snapshots_gib
from harness.records.files import read_json, write_atomically
from harness.records.types import Outcome, Status
from harness.spec.load import load
from harness.spec.schema import Spec

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
    """

    plan: Plan
    device: str
    jobs: int
    threads: int
    runs_dir: Path
    results_dir: Path
    keeping: Keeping

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Job":
        """Read the spec that the command line names."""
        path: Path = options.spec
        if not path.stem.isprintable() or path.stem.startswith("."):
            raise SpecError([f"{path}: its runs' folder cannot be called so: rename the spec"])
        spec = load(path, options.tier, options.overrides)
        plan = expand(path.stem, options.tier, spec)
        place = Path(path.stem) / (options.tier + _suffix(options.overrides))
        runs_dir, results_dir = options.runs / place, options.results / place
        keeping = Keeping(options.checkpoint_sec, options.checkpoints, 60 * options.stall_min)
        return cls.here(plan, options.device, options.jobs, runs_dir, results_dir, keeping)

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
        cores = os.cpu_count() or 1
        shared = max(1.0, self.jobs / cores) if self.device == "cpu" else 1.0
        return price(self.plan, self.device, self.jobs, shared, self.results_dir)

    @property
    def _checkpoints_gib(self) -> float:
        """All that is there at one time: one more in each run under way, while it is written."""
        plan = self.plan
        of_level = {level: checkpoint_gib(plan.first_run(level).spec) for level in plan.levels}
        sizes = sorted((of_level[run.level] for run in plan.runs), reverse=True)
        return (self.keeping.count + 1) * sum(sizes[: self.jobs])

    def describe(self) -> str:
        """Return the plan, to be read before it is run."""
        plan, spec = self.plan, self.plan.spec
        lines = [
            f"{plan.experiment}, tier {plan.tier}: {' '.join(spec.question.split())}",
            "",
            f"  runs       {len(plan.runs)}: {_levels(plan)}{len(spec.seeds)} seeds, "
            f"{self.jobs} at a time on {self.device}",
            f"  training   {spec.model.type} to {spec.model.out_scale} px on {spec.data.title}, "
            f"{spec.kimg:g} kimg or {spec.growth.iterations(spec.total_images)} iterations",
            f"  measured   {', '.join(spec.evaluate.metrics)} with "
            f"{spec.evaluate.extractor_spec.type}, {spec.evaluate.fake_images} images an arm, "
            f"every {spec.evaluate.every_kimg:g} kimg{remarks.fresh(plan)}",
            f"  predicted  {_duration(self.price.minutes)} (from {self.price.source}), "
            f"{_size(self.price.disk_gib)} on disk in {self.runs_dir}",
            f"  kept       a checkpoint every {self.keeping.every_sec:g} s of a run, the newest "
            f"{self.keeping.count}: {_size(self._checkpoints_gib)} while it trains",
            *_posthoc_line(spec),
            *remarks.warnings(plan),
            f"  report     {self.results_dir}",
            "",
            f"  {len(plan.arms)} arms in every run; an average's half-life is at the final scale:",
            *table(plan.arms),
        ]
        return "\n".join(lines)

    def run(self, restart: bool) -> int:
        """Train what has not finished, report it, and compare with the committed results."""
        print(self.describe(), end="\n\n", flush=True)
        _check_folder(self.results_dir)
        finished = self.train(restart)
        differs = self.report()
        return differs if finished else 1

    def train(self, restart: bool) -> bool:
        """Train what has not finished; return whether every run has then.

        Args:
            restart: put earlier runs aside, and train all.
        """
        from harness.launch import local
        from harness.launch.progress import Display
        from harness.launch.worker import Machine, ended
        from harness.records.store import dump_yaml

        _check_folder(self.runs_dir)
        machine = Machine(
            self.device, self.jobs, self.threads, CACHE_DIR.expanduser(), self.keeping
        )
        if restart:
            self._set_aside()
        todo = [run for run in self.plan.runs if not ended(self.runs_dir / run.name)]
        write_atomically(self.runs_dir / "spec.yaml", dump_yaml(self.plan.settings()))
        if len(todo) < len(self.plan.runs):
            kept = len(self.plan.runs) - len(todo)
            print(f"{kept} runs in {self.runs_dir} have ended and are kept; --restart repeats them")
        if todo:
            local.prepare(todo[0], machine)
        seconds = dict(zip((run.name for run in self.plan.runs), self.price.run_sec, strict=True))
        with Display({run.name: seconds[run.name] for run in todo}, self.jobs) as display:
            outcomes = local.execute(self.plan.runs, self.runs_dir, machine, display)
        for name, outcome in outcomes.items():
            print(f"  {name}: {_ending(outcome)}")
        return all(outcome.status is Status.FINISHED for outcome in outcomes.values())

    @without_collector()
    def report(self, video: bool = False) -> int:
        """Write the report of what was trained, and compare it with the committed one."""
        from harness.report import frames
        from harness.report.baseline import committed
        from harness.report.verify import compare
        from harness.report.write import write

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

    def _set_aside(self) -> None:
        from harness.records.store import RunFolder

        for run in self.plan.runs:
            folder = RunFolder(self.runs_dir / run.name)
            if folder.path.exists() and not folder.lock():
                raise RecordsError(
                    f"{folder.path}: another process trains this run: stop it before --restart"
                )
            folder.unlock()
        if (self.runs_dir / "spec.yaml").exists():
            names = (
                self.runs_dir.with_name(f"{self.runs_dir.name}.old-{n}") for n in range(1, 1000)
            )
            aside = next(path for path in names if not path.exists())
            try:
                self.runs_dir.rename(aside)
            except OSError as error:
                raise OutputError(
                    f"{self.runs_dir}: cannot be moved aside ({error.strerror})"
                ) from None
            print(f"earlier runs are kept in {aside}")


def _check_folder(folder: Path) -> None:
    """Find out before training whether a folder can be written, and may be."""
    machine = folder / "machine.json"
    if os.path.lexists(machine):
        read_json(machine)
    probe = folder / ".writable"
    write_atomically(probe, "")
    probe.unlink(missing_ok=True)  # another process may have looked, too


def listing(folder: Path) -> int:
    """Print the question of every spec below a folder."""
    paths = sorted(folder.rglob("*.yaml")) if folder.is_dir() else []
    if not paths:
        raise SpecError([f"{folder}: is not a folder with specs (*.yaml)"])
    problems: list[str] = []
    for path in paths:
        try:
            spec = load(path)
        except SpecError as error:
            problems += error.problems
        else:
            tiers = ", ".join(dict.fromkeys(["quick", *spec.tiers]))
            print(f"{path}\n  {spec.question}\n  tiers: {tiers}")
    if problems:
        raise SpecError(problems)
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Say what is in order and what is not; with a spec, what it needs has to be."""
    from harness.doctor import Case, examine, show

    case = Case(options.runs, options.results, CACHE_DIR.expanduser(), options.device)
    if options.spec is not None:
        job = Job.of(options)
        needed_gib = job.price.disk_gib + job._checkpoints_gib
        case = replace(
            case,
            runs_dir=job.runs_dir,
            results_dir=job.results_dir,
            spec=job.plan.spec,
            disk_gib=needed_gib,
        )
    return show(examine(case), options.as_json)


def schema(markdown: bool = False) -> str:
    """Return the JSON schema of a spec, for editors, or the same as a page for readers."""
    from harness.spec import reference

    return reference.markdown() if markdown else json.dumps(reference.json_schema(), indent=1)


def _suffix(overrides: Sequence[str]) -> str:
    """Return a folder suffix that keeps overridden runs away from a question's own results."""
    text = ",".join(sorted(re.sub(r"[^\w.=+\-]+", "_", override) for override in overrides))
    if len(text) > 80:
        from harness.spec.identity import digest

        text = digest({"overrides": sorted(overrides)})
    return f"~{text}" if text else ""


def _levels(plan: Plan) -> str:
    return "" if plan.levels == (ONLY_LEVEL,) else f"{len(plan.levels)} levels x "


def _posthoc_line(spec: Spec) -> list[str]:
    posthoc = spec.observers.posthoc
    if posthoc is None:
        return []
    widths = " and ".join(f"{width:g}" for width in posthoc.sigma_rel)
    return [
        f"  post-hoc   {len(posthoc.rebuild)} averages rebuilt from sigma_rel {widths}: "
        f"{snapshots(spec)} snapshots of each, {_size(snapshots_gib(spec))} a run"
    ]


def _ending(outcome: Outcome) -> str:
    reason = f" ({outcome.reason.splitlines()[0]})" if outcome.reason else ""
    return f"{outcome.status.value}{reason}, {outcome.sec:.0f} s"


def _duration(minutes: float) -> str:
    return f"{minutes:.1f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"


def _size(gib: float) -> str:
    return f"{gib:.1f} GiB" if gib >= 1 else f"{gib * 1024:.1f} MiB"
