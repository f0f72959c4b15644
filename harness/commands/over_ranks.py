"""`harness run` as one of the processes that torchrun started."""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.commands.job import CACHE_DIR, Job, told
from harness.commands.run_command import refuse
from harness.errors import HarnessError
from harness.plan.expand import Run
from harness.records.types import Outcome

if TYPE_CHECKING:
    from harness.engine.peers import Peers
    from harness.launch.ranks import Watch


def asked() -> bool:
    """Return whether torchrun started this process as one of several."""
    return os.environ.get("WORLD_SIZE", "1") != "1" and "LOCAL_RANK" in os.environ


def run(options: argparse.Namespace) -> int:
    """Train, report and compare together; return the exit code, the same in every process."""
    from harness.launch.group import together

    refuse(options, together=True)
    return together(options.device, lambda peers: _run(options, peers))


def _run(options: argparse.Namespace, peers: "Peers") -> int:
    """Do what ``Job.run`` does; the main process plans, writes and reports."""
    from harness.launch import group, ranks
    from harness.launch.worker import Machine
    from harness.ranks.answers import on_main

    if options.jobs not in (None, 1):
        raise HarnessError(
            f"--jobs {options.jobs}: processes of torchrun train one run after another: leave "
            "--jobs out"
        )
    options.jobs = 1
    job = replace(Job.of(options), share=False)
    group.refuse(job.plan, peers.count)
    each = group.threads_each(job.threads, job.device)
    machine = Machine(job.device, 1, each, CACHE_DIR.expanduser(), job.keeping)
    names = on_main(lambda: _begin(job, options.restart, peers.count))
    todo = [run for run in job.plan.runs if run.name in names]
    if todo:
        ranks.warm(todo[0], machine)
    with _shown(job, todo, peers) as watch:
        here = ranks.execute(todo, job.runs_dir, machine, peers, watch)
    return on_main(lambda: _end(job, here))


def _begin(job: Job, restart: bool, count: int) -> list[str]:
    print(job.describe())
    print(f"\n  {count} processes divide every batch; the time predicted is that of one\n")
    job.check_results()
    return [run.name for run in job.begin(restart)]


@contextmanager
def _shown(job: Job, todo: Sequence[Run], peers: "Peers") -> "Iterator[Watch]":
    """Show runs in the terminal, where what they print does not go; in the main process."""
    if not peers.is_main:
        yield lambda active: None
        return
    from harness.launch.progress import Display

    names = [run.name for run in job.plan.runs]
    seconds = dict(zip(names, job.price.run_sec, strict=True))
    with (
        os.fdopen(os.dup(2), "w") as terminal,
        Display({run.name: seconds[run.name] for run in todo}, 1, terminal) as display,
    ):
        yield display


def _end(job: Job, here: Mapping[str, Outcome]) -> int:
    from harness.launch.local import outcomes

    finished = told({**dict(outcomes(job.plan.runs, job.runs_dir)), **here})
    differs = job.report()
    return differs if finished else 1
