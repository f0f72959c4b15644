"""Processes that are killed around a run: its harness, the server it was forked from, itself."""

import os
import resource
import signal
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

import pytest
import torch
from commanded import trained, until
from holding import holds, numbers, same_bits, whole_rows
from small_spec import plan
from troubled import Order, Troubled, die, save, want_too_much

from harness.engine import checkpoints
from harness.launch.local import execute
from harness.launch.worker import Machine
from harness.records.files import read_json
from harness.records.types import Status


def test_runs_whose_harness_is_killed_end_and_the_next_one_goes_on(
    question, command, undisturbed, ledger
):
    first = command()
    until(lambda: len(trained(first.runs, 0.5)) == 2, first)
    first.process.kill()
    second = command()
    found = {"the next one ends well": second.wait() == 0}
    found["nothing left running"] = not first.left_over()
    for done in undisturbed:
        run = second.runs / done.name
        places = read_json(run / "machine.json")["resumed"]
        found["its runs wrote checkpoints"] = [place["iteration"] > 0 for place in places] == [True]
        found["the same bits"] = found.get("the same bits", True) and same_bits(run, done)
    holds(
        ledger,
        "harness killed",
        "SIGKILL to `harness run` alone, and the same command at once",
        "its runs write checkpoints and end; the next one waits for them and goes on",
        found,
    )


def test_runs_whose_server_is_killed_are_interrupted_and_others_are_trained(
    tmp_path, undisturbed, ledger
):
    once = plan(train__kimg=3, evaluate__every_kimg=1.5, seeds=[0]).runs[0]
    runs = [replace(once, level=level) for level in ("first", "next")]
    machine = Machine("cpu", 1, 1, tmp_path / "cache")
    killed = []

    def watch(active):
        if (
            not killed
            and active[0].folder.rows()[-1:]
            and numbers(active[0].folder.path)[-1][3] > 1
        ):
            killed.append(forkserver._forkserver._forkserver_pid)
            os.kill(killed[0], signal.SIGKILL)

    first = execute(runs, tmp_path, machine, watch)
    reason = first[runs[0].name].reason
    found = {
        "interrupted": first[runs[0].name].status is Status.INTERRUPTED,
        "one line": bool(reason) and "\n" not in reason,
        "a checkpoint": first[runs[0].name].iteration > 0,
        "whole rows": whole_rows(tmp_path / runs[0].name),
        "the next is trained": first[runs[1].name].status is Status.FINISHED,
    }
    second = execute(runs, tmp_path, machine, lambda active: None)
    found["goes on"] = second[runs[0].name].status is Status.FINISHED
    found["the same bits"] = all(same_bits(tmp_path / run.name, undisturbed[0]) for run in runs)
    holds(
        ledger,
        "fork server killed",
        "SIGKILL to the process that runs are forked from, while one trains",
        "it writes a checkpoint and is interrupted; the next run is trained; the same bits later",
        found,
    )


MEMORY = {
    "a MemoryError under a limit of the address space": (want_too_much, "out of memory: run fewer"),
    "SIGKILL, as the kernel does it": (die, "signal 9, SIGKILL: out of memory?"),
}


@pytest.fixture(scope="module")
def starved(tmp_path_factory):
    """A run for each way in which memory runs out, and one that has enough; then all again."""
    folder = tmp_path_factory.mktemp("starved")
    once = plan(seeds=[0]).runs[0]
    levels = ["enough", *(f"way{number}" for number in range(len(MEMORY)))]
    runs = [replace(once, level=level) for level in levels]
    orders = [
        order
        for run, (trouble, _) in zip(runs[1:], MEMORY.values(), strict=True)
        for order in (
            Order(run.name, "before_train_iter", 5, save),
            Order(run.name, "before_train_iter", 9, trouble),
        )
    ]
    first = execute(
        runs, folder, Troubled("cpu", 2, 1, folder / "cache", orders=tuple(orders)), ignore
    )
    rows = {run.name: whole_rows(folder / run.name) for run in runs}
    second = execute(runs, folder, Machine("cpu", 2, 1, folder / "cache"), ignore)
    return folder, runs, first, rows, second


def ignore(active):
    pass


@pytest.mark.parametrize("way", MEMORY)
def test_a_run_that_memory_ends_says_so_and_goes_on_later(way, starved, ledger):
    folder, runs, first, rows, second = starved
    run = runs[1 + list(MEMORY).index(way)]
    outcome = first[run.name]
    holds(
        ledger,
        "out of memory",
        f"{way}, in one of several runs",
        "failed for a reason that names memory; others finish; the next one goes on, the same bits",
        {
            "failed": outcome.status is Status.FAILED,
            f"a reason that names memory ({outcome.reason})": MEMORY[way][1] in outcome.reason,
            "whole rows": rows[run.name],
            "others finish": first[runs[0].name].status is Status.FINISHED,
            "goes on": second[run.name].status is Status.FINISHED
            and read_json(folder / run.name / "machine.json")["resumed"][0]["iteration"] == 5,
            "the same bits": same_bits(folder / run.name, folder / runs[0].name),
        },
    )


def test_a_checkpoint_for_which_there_is_no_memory_is_not_taken_for_a_torn_one(tmp_path, ledger):
    checkpoints.save(tmp_path, 1, {"weights": torch.zeros(2**25)}, keep=1)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**25, before[1]))
    try:
        with pytest.raises((MemoryError, RuntimeError), match="Cannot allocate memory"):
            next(checkpoints.sound(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    holds(
        ledger,
        "out of memory",
        "as a sound checkpoint is read",
        "it stands, to be read when there is memory",
        {
            "it stands": [path.name for path, _ in checkpoints.sound(tmp_path)]
            == os.listdir(tmp_path)
        },
    )
