"""The command line of `harness run`: all runs of a plan or some, here or over a cluster."""

import argparse
import platform
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.commands.job import Job
    from harness.launch.executor import Executor


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add what only this command has."""
    parser.add_argument("--restart", action="store_true", help="train finished runs again")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="RUN",
        help="train this run, of `plan --names`, and report nothing; may be repeated",
    )
    parser.add_argument(
        "--executor", choices=("local", "ray"), default="local", help="default: local"
    )
    parser.add_argument(
        "--address", help="of the Ray cluster: auto (the default), local, or HOST:PORT"
    )


def run(options: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from harness.commands.job import Job
    from harness.launch.executor import on_cluster

    refuse(options)
    job = Job.of(options, options.only)
    if options.executor == "local":
        if options.only:  # others of the plan may be under way on other machines
            job = replace(job, node=platform.node(), share=False)
        return _run(job, options)
    with on_cluster(options.address or "auto") as cluster:
        cluster.url, cluster.most = job.runs_url, options.jobs
        cluster.memory_gib = max(cost.rss_gib.high for cost in job.price.of_level.values())
        threads = cluster.threads(job.device)
        places = cluster.places(job.device, threads)
        job = replace(job, threads=threads, jobs=places, clustered=True, share=False)
        return _run(job, options, cluster)


def _run(job: "Job", options: argparse.Namespace, executor: "Executor | None" = None) -> int:
    if not options.only:
        return job.run(options.restart, executor)
    finished = job.train(False, executor)
    print("no report is written: when all runs have ended, `harness report` with this spec does")
    return 0 if finished else 1


def refuse(options: argparse.Namespace, together: bool = False) -> None:
    """Say what cannot be meant together.

    Args:
        options: of the command line.
        together: whether torchrun started this process as one of several.

    Raises:
        SpecError: with a line for each.
    """
    is_url, here = isinstance(options.runs, str), options.executor == "local"
    problems = {
        "--executor ray: torchrun's processes train here: start without torchrun": (
            together and not here
        ),
        "--only: torchrun's processes train all runs of a plan: leave it out": (
            together and options.only
        ),
        f"--runs {options.runs}: runs are kept under a URL by --executor ray alone": (
            is_url and here
        ),
        f"--address {options.address}: is the address for --executor ray": (
            options.address is not None and here
        ),
        "--restart with --only: remove the folders of the runs that are meant": (
            options.restart and options.only
        ),
        f"--restart: what is kept under {options.runs} is yours to move": (
            is_url and options.restart
        ),
    }
    if found := [text for text, wrong in problems.items() if wrong]:
        raise SpecError(found)
