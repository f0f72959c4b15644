"""Several `harness run` on the same runs and folders at the same time."""

import pickle
import signal
from functools import partial

from commanded import trained, until
from holding import holds, numbers, same_bits, temporary
from troubled import Order, wait_for

from harness.records.files import read_json

WAITS = "another process trains it: waiting"


def test_every_run_is_trained_once_whoever_comes(question, command, undisturbed, ledger):
    orders = question / "orders"
    gate = Order("seed", "before_train_iter", 50, partial(wait_for, folder=question))
    orders.write_bytes(pickle.dumps((gate,)))
    one, other = (command(troubles=orders) for _ in range(2))  # with one empty cache
    until(lambda: len(trained(one.runs, 0.9)) == 2, one, other)
    late, again = command(), command("--restart")
    refused = again.wait() == 2
    line = again.own_lines()
    until(lambda: WAITS in late.err, late)
    late.to_group(signal.SIGINT)
    left = late.wait() == 130
    (question / "go").touch()
    still = [path for path in trained(one.runs) if not (path / "outcome.json").exists()]
    ended = [one.wait(), other.wait()]
    runs = [one.runs / done.name for done in undisturbed]
    cached = list((question / "cache").rglob("*.reference"))
    found = {
        "both end well": ended == [0, 0],
        "one says that it waits": WAITS in one.err + other.err,
        "trained once": all("resumed" not in read_json(run / "machine.json") for run in runs),
        "no row twice": not list(question.rglob("rows.attempt-*"))
        and [len(numbers(run)) for run in runs] == [len(numbers(run)) for run in undisturbed],
        "the same bits": all(map(same_bits, runs, undisturbed)),
        "one cache": len(cached) == 1 and not temporary(question),
    }
    holds(
        ledger,
        "two processes",
        "two `harness run` started together on the same runs, folders and empty cache",
        "each run is trained by one of them, the other says that it waits; both exit with 0",
        found,
    )
    holds(
        ledger,
        "two processes",
        "`harness run --restart` while another process trains the runs",
        "exit code 2, one line, nothing moved",
        {
            "exit code 2": refused,
            "one line": len(line) == 1 and "another process trains this run: stop it" in line[0],
            "nothing moved": not list(question.rglob("*.old-*")),
        },
    )
    holds(
        ledger,
        "two processes",
        "Ctrl-C to a process that waits for runs of another",
        "it leaves; the runs and their outcomes are the other's",
        {
            "exit code 130": left,
            "the runs went on": len(still) == 2,
            "no outcome of its own": found["trained once"] and found["the same bits"],
        },
    )
