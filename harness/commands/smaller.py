"""What the smaller commands do: list, doctor, calibrate, schema."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from harness.commands import job as jobs
from harness.errors import SpecError
from harness.spec.load import load


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

    if isinstance(options.runs, str):
        raise SpecError([f"--runs {options.runs}: the doctor looks at folders, not at URLs"])
    case = Case(options.runs, options.results, jobs.CACHE_DIR.expanduser(), options.device)
    if options.spec is not None:
        job = jobs.Job.of(options)
        needed_gib = job.price.disk_gib + job.checkpoints_gib
        case = replace(
            case,
            runs_dir=job.runs_dir,
            results_dir=job.results_dir,
            spec=job.plan.spec,
            disk_gib=needed_gib,
        )
    return show(examine(case), options.as_json)


def calibrate(options: argparse.Namespace) -> int:
    """Measure a spec's runs, or those of results that are predicted anew; return 0, or 1."""
    from harness.commands.calibrating import calibrate, check

    if options.check:
        return check(options.check, options.out, options.sec, options.times, options.again)
    if options.spec is None:
        raise SpecError(["calibrate: name a spec, or results with --check RESULTS"])
    return calibrate(jobs.Job.of(options), options.sec, options.times)


def schema(markdown: bool = False) -> str:
    """Return the JSON schema of a spec, for editors, or the same as a page for readers."""
    from harness.spec import reference

    return reference.markdown() if markdown else json.dumps(reference.json_schema(), indent=1)
