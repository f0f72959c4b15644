"""What the commands do that check results: verify, compare, export."""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.commands.job import Job, without_collector
from harness.errors import ResultsDiffer, SpecError
from harness.plan.expand import Plan, expand
from harness.plan.keeping import Keeping
from harness.records.files import write_atomically
from harness.records.machine import source_digest
from harness.report.frames import Results, collect, evidence, read
from harness.report.lock import LOCK


@dataclass(frozen=True, slots=True)
class Again:
    """How results are trained again.

    Args:
        seeds: which of theirs; none: all.
        device: ``cpu`` or ``cuda``; None: as they were made.
        jobs: runs side by side; None: one a core.
        runs_dir: below which the new runs are kept.
    """

    seeds: tuple[int, ...]
    device: str | None
    jobs: int | None
    runs_dir: Path


def verify(
    folders: Sequence[Path], readmes: Sequence[Path], update: bool, again: Again | None
) -> int:
    """Hold results folders to their rows and locks, then to new runs; return 0, or 1 if one fails.

    Args:
        folders: of the results.
        readmes: files that quote tables in blocks ``<!-- results:NAME/TIER -->``.
        update: write tables, locks and those blocks first.
        again: how to train them again; None: they are not.

    Raises:
        ResultsDiffer: with every line that is not as it has to be; nothing is trained then.
    """
    from harness.report.quoted import check_readme, update_readme

    differences = [difference for folder in folders for difference in _checked(folder, update)]
    for readme in readmes:
        if update:
            update_readme(readme, folders[0].parents[1])
        differences += check_readme(readme, folders[0].parents[1])
    if differences:
        raise ResultsDiffer(*differences)
    if again is None:
        return 0
    passed = [_repeated(folder, again) for folder in folders]
    return 0 if all(passed) else 1


@without_collector()
def _checked(folder: Path, update: bool) -> list[str]:
    """Return what differs in a folder, and say whether something does."""
    from harness.report.update import update as write_tables
    from harness.report.verify import check_tables

    found = (write_tables(folder) if update else []) or check_tables(folder)
    said = "DIFFERS" if found else "PASS, tables follow from their rows"
    lacking = "" if (folder / LOCK).exists() else f"; no {LOCK} is there: --update writes one"
    print(f"{folder}: {said}{lacking}", flush=True)
    return found


def _repeated(folder: Path, again: Again) -> bool:
    """Train a folder's runs again and say how they compare; those that pass are not kept."""
    from harness.launch.worker import ended
    from harness.report.verify import compare

    results = read(folder)
    plan = _plan(results.plan, again.seeds, folder)
    device = again.device or str(results.machine.get("device", "cpu")).partition(":")[0]
    # Runs of another source are not this verification's to go on with.
    place = Path("verify") / plan.experiment / plan.tier / source_digest()
    job = Job.here(plan, device, again.jobs, again.runs_dir / place, folder, Keeping())
    print(
        f"{folder}: {len(plan.runs)} runs are trained again in {job.runs_dir}, {job.jobs} at a "
        f"time on {device}: about {max(job.price.minutes, 0.1):.1f} minutes",
        flush=True,
    )
    job.train(restart=all(ended(job.runs_dir / run.name) for run in plan.runs))
    new = collect(plan, job.runs_dir)
    comparison = compare(new, results)
    ends = _other_ends(new, results)
    if comparison.holds and not ends:
        _remove(job)
        print(f"{comparison.verdict} ({folder})")
        return True
    print(f"the new runs are kept in {job.runs_dir}")
    print(f"FAIL: {'; '.join(ends)} ({folder})" if ends else f"{comparison.verdict} ({folder})")
    return False


def _remove(job: Job) -> None:
    """Remove a job's runs, and their folder unless others are kept in it."""
    for run in job.plan.runs:
        shutil.rmtree(job.runs_dir / run.name, ignore_errors=True)
    if not any(path.is_dir() for path in job.runs_dir.iterdir()):
        shutil.rmtree(job.runs_dir, ignore_errors=True)


def _plan(plan: Plan, seeds: Collection[int], folder: Path) -> Plan:
    known = plan.spec.seeds
    if unknown := [seed for seed in seeds if seed not in known]:
        listed = ", ".join(map(str, known))
        raise SpecError([f"--seeds {unknown[0]}: {folder} has no such seed, but {listed}"])
    chosen = tuple(seed for seed in known if not seeds or seed in seeds)
    return expand(plan.experiment, plan.tier, plan.spec.model_copy(update={"seeds": chosen}))


def _other_ends(new: Results, old: Results) -> list[str]:
    """Say which runs did not end as the committed ones of their level and seed."""

    def ends(results: Results) -> dict[tuple[str, int], tuple[str, str]]:
        names = ("level", "seed", "status", "reason")
        table = zip(*(results.outcomes[name] for name in names), strict=True)
        return {(level, seed): (status, reason) for level, seed, status, reason in table}

    before = ends(old)
    return [
        f"{level} seed {seed}: {status} ({reason}), committed {before[level, seed][0]}"
        for (level, seed), (status, reason) in ends(new).items()
        if status != before[level, seed][0]
    ]


def compare(ours: Path, theirs: Path, csv: Path | None) -> int:
    """Print two results folders side by side, as Markdown; return 0.

    Args:
        ours: A, a results folder or one of runs.
        theirs: B.
        csv: where the comparison is written, a line each level, arm and metric.
    """
    from harness.report.beside import beside
    from harness.report.beside_text import comparison_csv, markdown
    from harness.report.export import refuse_results

    a, b = evidence(ours), evidence(theirs)
    found = beside(a, b)
    if csv is not None:
        refuse_results(csv.parent)
        write_atomically(csv, comparison_csv(found))
    print(markdown(found, (str(ours), a), (str(theirs), b)), end="")
    return 0


def export(folders: Sequence[Path], to: Path, formats: Collection[str]) -> int:
    """Write results as files for other programs, and name the files; return 0."""
    from harness.report.export import export as write_all

    for path in write_all(folders, to, formats):
        print(path)
    return 0
