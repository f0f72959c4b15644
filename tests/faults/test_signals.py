"""Ctrl-C and SIGTERM of a real `harness run`: one line, exit code 130, and the same bits later."""

import pickle
import signal
import time
from functools import partial

import pytest
from commanded import trained, until
from holding import holds, same_bits, temporary, whole_rows
from troubled import Order, evaluate_slowly, hang

from harness.records.files import read_json
from harness.records.store import RunFolder
from harness.records.types import Status

LINE = "harness: interrupted; what was measured is kept: the same command goes on"
CASES = {
    "Ctrl-C in a terminal": lambda command: command.to_group(signal.SIGINT),
    "SIGTERM": lambda command: command.process.send_signal(signal.SIGTERM),
    "SIGTERM to all": lambda command: command.to_group(signal.SIGTERM),
}


def stopped(command):
    """Return what must hold of a command that was asked to end."""
    code, lines = command.wait(), command.own_lines()
    return {
        "exit code 130": code == 130,
        f"one line{'' if lines == [LINE] else lines}": lines == [LINE],
        "nothing left running": not command.left_over(),
    }


def kept(folder):
    """Return what must hold of a run that was interrupted."""
    outcome = RunFolder(folder).outcome()
    found = [int(path.stem.split("-")[1]) for path in folder.glob("checkpoints/*.safetensors")]
    return {
        "interrupted": outcome is not None and outcome.status is Status.INTERRUPTED,
        "a checkpoint of its iteration": outcome is not None and found[-1:] == [outcome.iteration],
        "whole rows": whole_rows(folder),
        "no temporary file": not temporary(folder),
    }


def of_all(folders, check):
    found = {}
    for folder in folders:
        for words, held in check(folder).items():
            found[words] = found.get(words, True) and held
    return found


@pytest.mark.parametrize("signalled", CASES)
def test_a_signal_ends_all_runs_with_checkpoints_and_the_same_command_goes_on(
    signalled, question, command, undisturbed, ledger, whole
):
    if not whole and signalled != "Ctrl-C in a terminal":
        pytest.skip("one of the signals stands for all in a sample")
    first = command()
    until(lambda: len(trained(first.runs, 0.5)) == 2, first)
    CASES[signalled](first)
    found = stopped(first)
    found |= of_all(trained(first.runs), kept)
    second = command()
    found["goes on to the end"] = second.wait() == 0
    for done in undisturbed:
        run = second.runs / done.name
        found["from its checkpoint"] = (
            read_json(run / "machine.json")["resumed"][0]["iteration"] > 0
        )
        found["the same bits"] = found.get("the same bits", True) and same_bits(run, done)
    holds(
        ledger,
        "signal",
        f"{signalled} while two runs train, then the same command",
        "exit code 130, one line, checkpoints, interrupted; the same bits later",
        found,
    )


@pytest.mark.parametrize("after_sec", [0.2, 0.5, 1, 2, 3, 4, 5])
def test_ctrl_c_before_any_run_begins(after_sec, question, command, ledger, whole):
    if not whole and after_sec != 1:
        pytest.skip("one moment stands for all in a sample")
    first = command()
    until(lambda: "report  " in first.out, first)
    time.sleep(after_sec)
    first.to_group(signal.SIGINT)
    found = stopped(first)
    found["no temporary file"] = not temporary(question)
    holds(
        ledger,
        "signal",
        f"Ctrl-C {after_sec:g} s after the plan was shown: as data are prepared",
        "exit code 130 and one line, nothing left half written",
        found,
    )


def test_a_second_ctrl_c_does_not_wait_for_a_run_that_does_not_end(question, command, ledger):
    orders = question / "orders"
    orders.write_bytes(pickle.dumps((Order("seed0", "before_train_iter", 20, hang),)))
    first = command(troubles=orders)
    until(lambda: len(trained(first.runs, 0.39)) == 2, first)
    first.to_group(signal.SIGINT)
    time.sleep(1)
    waited = first.process.poll() is None
    first.to_group(signal.SIGINT)
    begin = time.monotonic()
    found = {"the first waits for the run": waited} | stopped(first)
    found["at once"] = time.monotonic() - begin < 15
    found |= of_all(trained(first.runs), lambda run: {"whole rows": whole_rows(run)})
    found["interrupted"] = all(
        RunFolder(run).outcome().status is Status.INTERRUPTED for run in trained(first.runs)
    )
    holds(
        ledger,
        "signal",
        "a second Ctrl-C while a run that stands still has its time to end",
        "all is killed at once, interrupted, and no row torn",
        found,
    )


def test_a_signal_in_an_evaluation_does_not_wait_for_its_end(
    question, command, undisturbed, ledger, whole
):
    if not whole:
        pytest.skip("in the whole suite")
    orders = question / "orders"
    trouble = partial(evaluate_slowly, sec=2.0, told=question / "measuring")
    orders.write_bytes(
        pickle.dumps(tuple(Order(n, "before_val", 75, trouble) for n in ("seed0", "seed1")))
    )
    first = command(troubles=orders)
    until(lambda: len(list(question.glob("measuring-*"))) == 2, first)
    first.process.send_signal(signal.SIGTERM)
    found = stopped(first) | of_all(trained(first.runs), kept)
    iterations = {RunFolder(run).outcome().iteration for run in trained(first.runs)}
    found["at the evaluation"] = iterations == {75}
    found["goes on to the end"] = command().wait() == 0
    found["the same bits"] = all(same_bits(first.runs / done.name, done) for done in undisturbed)
    holds(
        ledger,
        "signal",
        "SIGTERM in the middle of an evaluation, then the same command",
        "a checkpoint before the evaluation's end, which is then made up for; the same bits",
        found,
    )
