"""Nodes of a real Ray cluster that die or are cut off while they train, and Ctrl-C to all."""

import os
import signal
import time

import pytest
from clusters import TwoNodes, trainer_of, until
from commanded import Command, trained
from holding import holds, same_bits, temporary, whole_rows
from killed_runs import newest

from harness.launch.progress import Display
from harness.launch.ray import connected
from harness.launch.worker import Machine
from harness.plan.expand import expand
from harness.plan.keeping import Keeping
from harness.records.files import read_json
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.spec.load import load

pytestmark = pytest.mark.timeout(600)  # Ray starts slowly where much else runs

LINE = "harness: interrupted; what was measured is kept: the same command goes on"


@pytest.fixture(scope="module")
def nodes():
    started = TwoNodes()
    yield started
    started.shutdown()


@pytest.fixture
def over_both(nodes, question):
    """Start `harness run` over both nodes, and return it when both train in earnest."""
    started, spec = [], question / "question.yaml"
    spec.write_text(spec.read_text().replace("kimg: 3\n", "kimg: 12\n"))

    def start(*arguments):
        asked = ("run", "question.yaml", "--executor", "ray", "--address", nodes.address)
        one = Command(question, *arguments, asks=(*asked, "--checkpoint-sec", "0.2"))
        started.append(one)
        until(lambda: len(trained(one.runs, 0.3)) == 2 or one.process.poll() is not None, 300)
        assert one.process.poll() is None, one.err
        return one

    yield start
    for one in started:
        one.end()


def node_of(run):
    return read_json(run / "machine.json")["node"]


class KillsOnce(Display):
    """Does something to the node ``two`` once a run there has a checkpoint."""

    def __init__(self, runs, runs_dir, act):
        super().__init__({run.name: 10.0 for run in runs}, 2)
        self.act, self.runs_dir, self.struck, self.notes = act, runs_dir, None, []

    def __call__(self, active):
        super().__call__(active)
        for one in active:
            run = self.runs_dir / one.run.name
            if self.struck is None and one.node == "two" and newest(run):
                self.struck = run
                self.act()

    def note(self, line):
        self.notes.append(line)


@pytest.mark.parametrize("how", ["it dies", "it is cut off"])
def test_a_node_is_lost_and_every_run_finishes_once(
    how, nodes, question, undisturbed, ledger, whole
):
    if not whole and how != "it dies":
        pytest.skip("in the whole suite")
    plan = expand("question", "quick", load(question / "question.yaml"))
    runs_dir = question / "runs"
    machine = Machine("cpu", 2, 1, question / "cache", Keeping(every_sec=0.1))
    lose = {"it dies": nodes.kill, "it is cut off": nodes.cut_off}[how]
    display = KillsOnce(plan.runs, runs_dir, lambda: lose("two"))
    with connected(nodes.address) as cluster:
        outcomes = cluster.execute(plan.runs, runs_dir, machine, display)
    nodes.bring_back("two")
    assert display.struck is not None
    other = next(runs_dir / run.name for run in plan.runs if run.name != display.struck.name)
    places = read_json(display.struck / "machine.json").get("resumed", [])
    found = {
        "every run finishes": [end.status for end in outcomes.values()] == [Status.FINISHED] * 2,
        "the loss is told": len(display.notes) == 1 and "goes on elsewhere" in display.notes[0],
        "it went on from its checkpoint": [at["iteration"] > 0 for at in places] == [True],
        "on the other node": node_of(display.struck) == "one",
        "the other was left alone": "resumed" not in read_json(other / "machine.json"),
        "the same bits, no row twice": all(
            same_bits(runs_dir / done.name, done) for done in undisturbed
        ),
        "whole rows": all(whole_rows(runs_dir / run.name) for run in plan.runs),
    }
    holds(
        ledger,
        "node lost",
        f"one of two nodes of a Ray cluster trains a run when {how}",
        "the run goes on from its checkpoint on the other node; every run finishes, none twice",
        found,
    )


def test_ctrl_c_ends_all_tasks_with_checkpoints_and_leaves_nothing(nodes, over_both, ledger, whole):
    first = over_both()
    first.to_group(signal.SIGINT)
    code = first.wait()
    runs = trained(first.runs)
    outcomes = [RunFolder(run).outcome() or Outcome(Status.FAILED) for run in runs]
    found = {
        "exit code 130": code == 130,
        f"one line {first.own_lines()}": first.own_lines() == [LINE],
        "interrupted": [outcome.status for outcome in outcomes] == [Status.INTERRUPTED] * 2,
        "a checkpoint of its iteration": all(
            newest(run) == outcome.iteration > 0
            for run, outcome in zip(runs, outcomes, strict=True)
        ),
        "whole rows": all(map(whole_rows, runs)),
        "no temporary file": not any(map(temporary, runs)),
        "nothing left running": not first.left_over() and gone(nodes),
    }
    found["goes on to the end"] = over_both().wait() == 0
    again = [read_json(run / "machine.json")["resumed"] for run in runs]
    found["from its checkpoint"] = [[at["iteration"] for at in places] for places in again] == [
        [outcome.iteration] for outcome in outcomes
    ]
    holds(
        ledger,
        "signal",
        "Ctrl-C to `harness run --executor ray` while two nodes train",
        "exit code 130, one line, checkpoints, interrupted; no process left on any node",
        found,
    )


def test_a_second_ctrl_c_kills_what_does_not_end(nodes, over_both, ledger):
    first = over_both()
    hung, other = trained(first.runs)
    os.kill(trainer_of(hung, nodes.trainers()), signal.SIGSTOP)
    first.to_group(signal.SIGINT)
    until(lambda: RunFolder(other).outcome() is not None)
    waited = first.process.poll() is None
    first.to_group(signal.SIGINT)
    begin = time.monotonic()
    found = {
        "the first waits for the run": waited,
        "exit code 130": first.wait() == 130,
        "at once": time.monotonic() - begin < 20,
        f"one line {first.own_lines()}": first.own_lines() == [LINE],
        "both interrupted": [RunFolder(run).outcome().status for run in (hung, other)]
        == [Status.INTERRUPTED] * 2,
        "the other with a checkpoint": newest(other) == RunFolder(other).outcome().iteration > 0,
        "whole rows, nothing half written": whole_rows(other) and not temporary(other),
        "nothing left running": not first.left_over() and gone(nodes),
    }
    holds(
        ledger,
        "signal",
        "a second Ctrl-C to `harness run --executor ray` while a node's run stands still",
        "the others end with checkpoints; it is killed on its node; no process left on any node",
        found,
    )


def gone(nodes):
    """Tell whether nothing trains any more, after a moment."""
    try:
        until(lambda: not nodes.trainers(), 30)
    except AssertionError:
        return False
    return True
