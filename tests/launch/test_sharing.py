"""Runs that begin alike, in processes of their own: killed, diverged, or whole."""

import pytest
from branched import RULES, origin, run, unlike
from troubled import Order, Troubled, die, die_while_branching, save

from harness.launch.local import execute
from harness.launch.worker import Machine
from harness.plan.expand import Run
from harness.records.files import read_json
from harness.records.store import RunFolder
from harness.records.types import Status

RUNS = tuple(run("base", of) for of in ("off", "early", "never"))
DEATHS = [
    pytest.param("before_train_iter", 3, die, id="before the fork"),
    pytest.param("before_val", 4, die_while_branching, id="while it branches"),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def ignore(active):
    pass


@pytest.fixture(scope="module")
def each(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("apart")
    execute(RUNS, folder, Machine("cpu", 2, 1, cache), ignore)
    return folder


def test_a_branch_is_trained_beside_its_trunk_and_has_the_bits_of_a_run_apart(
    each, cache, tmp_path
):
    seen = []

    def watch(active):
        seen.append([(one.run.level, len(one.riders)) for one in active])

    outcomes = execute(RUNS, tmp_path, Machine("cpu", 2, 1, cache), watch, share=True)
    assert [outcomes[one.name].status for one in RUNS] == [Status.FINISHED] * 3
    assert {started for active in seen for started in active} == {
        ("base,off", 2),
        ("base,early", 0),
    }
    assert [origin(tmp_path, one) for one in RUNS[1:]] == [("base,off", 4), ("base,off", 10)]
    assert unlike(RUNS, each, tmp_path) == {}
    assert origin(each, RUNS[1]) is None


@pytest.mark.parametrize(("at", "iteration", "do"), DEATHS)
def test_a_trunk_that_is_killed_leaves_whole_branches_or_none(
    at, iteration, do, each, cache, tmp_path
):
    trunk, early, never = RUNS
    orders = (
        Order(trunk.name, "before_train_iter", 2, save),
        Order(trunk.name, at, iteration, do),
    )
    machine = Machine("cpu", 1, 1, cache)
    troubled = Troubled("cpu", 1, 1, cache, machine.keeping, orders=orders)
    first = execute(RUNS, tmp_path, troubled, ignore, share=True)
    assert first[trunk.name].status is Status.FAILED
    # The others began anew, together: the first of them was their trunk.
    assert [first[one.name].status for one in (early, never)] == [Status.FINISHED] * 2
    assert [origin(tmp_path, one) for one in (early, never)] == [None, ("base,early", 4)]
    second = execute(RUNS, tmp_path, machine, ignore, share=True)
    assert second[trunk.name].status is Status.FINISHED
    assert read_json(tmp_path / trunk.name / "machine.json")["resumed"][0]["iteration"] == 2
    assert unlike(RUNS, each, tmp_path) == {}
    assert {path.name for path in tmp_path.iterdir()} == {one.name for one in RUNS}


WILD = {"train__lr_per_scale": {8: 1e9}}


def test_divergence_is_shared_before_a_fork_and_not_after_it(cache, tmp_path):
    wild, never = (Run(f"wild,{of}", 0, run(**WILD).spec, RULES[of]) for of in ("off", "never"))
    runs = (wild, never, RUNS[0])
    machine = Machine("cpu", 1, 1, cache)
    outcomes = execute(runs, tmp_path, machine, ignore, share=True)
    one, other, tame = (outcomes[one.name] for one in runs)
    assert (one.status, tame.status) == (Status.DIVERGED, Status.FINISHED)
    assert (other.status, other.reason, other.iteration) == (one.status, one.reason, one.iteration)
    assert origin(tmp_path, runs[2]) == ("wild,off", 3)
    assert origin(tmp_path, never) == ("wild,off", one.iteration)
    assert not (tmp_path / wild.name / "riders.json").exists()
    apart = execute((never,), tmp_path / "apart", machine, ignore)[never.name]
    assert (apart.status, apart.reason) == (other.status, other.reason)
    assert values(tmp_path / never.name) == values(tmp_path / "apart" / never.name)


def values(folder):
    rows = RunFolder(folder).rows()
    return [
        (row.quantity, row.arm, row.value, row.iteration)
        for row in rows
        if not row.quantity.startswith(("time/", "memory/"))
    ]
