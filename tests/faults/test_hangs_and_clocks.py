"""Runs that stand still, and runs whose clock is set while they train."""

import time
from dataclasses import replace
from functools import partial

import pytest
from holding import holds, same_bits, whole_rows
from small_spec import plan
from troubled import Order, Troubled, evaluate_slowly, hang, hang_in_c, save, set_clock

from harness.launch.local import execute
from harness.launch.worker import Machine
from harness.plan.keeping import Keeping
from harness.records.files import read_json
from harness.records.store import RunFolder
from harness.records.types import Status

STALL_SEC = 10.0
YEAR_SEC = 365 * 86400.0
STANDING = {"Python": hang, "C, the interpreter's lock held": hang_in_c}


def ignore(active):
    pass


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """Two runs that stand still, one that is only slow, one whose clock jumps; then all again."""
    folder = tmp_path_factory.mktemp("troubled")
    once = plan(seeds=[0], evaluate__batch_size=50).runs[0]
    levels = ("plain", "still0", "still1", "slow", "clock")
    _, *still, slow, clock = runs = [replace(once, level=level) for level in levels]
    orders = [
        Order(slow.name, "before_val", 15, partial(evaluate_slowly, sec=0.7)),
        Order(clock.name, "before_train_iter", 7, partial(set_clock, by_sec=-YEAR_SEC)),
        Order(clock.name, "before_val", 15, partial(set_clock, by_sec=10 * YEAR_SEC)),
        Order(clock.name, "before_train_iter", 18, save),
    ]
    for run, way in zip(still, STANDING.values(), strict=True):
        orders.append(Order(run.name, "before_train_iter", 5, save))
        orders.append(Order(run.name, "before_train_iter", 9, way))
    right = time.time

    def watch(active):
        """Set the watching process's clock, too, a year back and ten ahead, again and again."""
        jump = 10 * YEAR_SEC if int(time.monotonic()) % 2 else -YEAR_SEC
        time.time = lambda: right() + jump

    keeping = Keeping(1e9, 2, STALL_SEC)
    try:
        machine = Troubled("cpu", len(runs), 1, folder / "cache", keeping, orders=tuple(orders))
        first = execute(runs, folder, machine, watch)
    finally:
        time.time = right
    rows = {run.name: whole_rows(folder / run.name) for run in runs}
    second = execute(still, folder, Machine("cpu", 2, 1, folder / "cache"), ignore)
    return folder, dict(zip(levels, runs, strict=True)), first, rows, second


@pytest.mark.parametrize("where", STANDING)
def test_a_run_that_stands_still_is_ended_and_goes_on_later(where, troubled, ledger):
    folder, runs, first, rows, second = troubled
    run = runs[f"still{list(STANDING).index(where)}"]
    outcome, log = first[run.name], (folder / run.name / "log.txt").read_text()
    holds(
        ledger,
        "no progress",
        f"a run stands still in {where}",
        "failed: no progress; the log shows where; others finish; the next one goes on",
        {
            "failed: no progress": outcome.status is Status.FAILED
            and outcome.reason.startswith("no progress in 10 s"),
            "the log shows where": f"in {STANDING[where].__name__}" in log,
            "whole rows": rows[run.name],
            "others finish": first[runs["plain"].name].status is Status.FINISHED,
            "goes on": second[run.name].status is Status.FINISHED
            and read_json(folder / run.name / "machine.json")["resumed"][0]["iteration"] == 5,
            "the same bits": same_bits(folder / run.name, folder / runs["plain"].name),
        },
    )


def test_a_slow_evaluation_is_progress(troubled, ledger):
    folder, runs, first, _, _ = troubled
    run = runs["slow"]
    took = max(
        row.value for row in RunFolder(folder / run.name).rows() if "eval_sec" in row.quantity
    )
    holds(
        ledger,
        "no progress",
        "an evaluation of two arms takes longer than the limit, a batch of images does not",
        "the run is left alone",
        {
            "longer than the limit": took / 2 > STALL_SEC,
            "finished": first[run.name].status is Status.FINISHED,
            "the same bits": same_bits(folder / run.name, folder / runs["plain"].name),
        },
    )


def test_a_clock_that_is_set_changes_nothing(troubled, ledger):
    folder, runs, first, _, _ = troubled
    run = runs["clock"]
    rows = RunFolder(folder / run.name).rows()
    seconds = [row.sec for row in rows]
    clocks = [row.value for row in rows if row.quantity.startswith("time/")]
    holds(
        ledger,
        "clock set",
        "a year back, then ten ahead, in a run and in what watches it",
        "clocks, checkpoints and the limit of progress go on as before; the same bits",
        {
            "finished": first[run.name].status is Status.FINISHED,
            "seconds only rise": seconds == sorted(seconds) and seconds[-1] < 600,
            "clocks are of this run": bool(clocks) and all(0 <= sec < 600 for sec in clocks),
            "its own time is kept": 0 < first[run.name].sec < 600,
            "the same bits": same_bits(folder / run.name, folder / runs["plain"].name),
        },
    )
