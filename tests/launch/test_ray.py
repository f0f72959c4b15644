"""Runs over two real nodes of Ray: everything as the local executor does it, to the bit."""

import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from clusters import TwoNodes
from holding import same_bits
from small_spec import plan, write

from harness.cli import main
from harness.errors import HarnessError
from harness.launch import executor, local, ray, ray_task
from harness.launch.mirror import Mirror
from harness.launch.progress import Display
from harness.launch.ray import Cluster, connected
from harness.launch.ray_task import Demand, Site
from harness.launch.worker import Machine
from harness.plan.keeping import Keeping
from harness.records.files import read_json
from harness.records.store import RunFolder
from harness.records.types import Status
from harness.scale import constants

pytestmark = pytest.mark.timeout(600)  # Ray starts slowly where much else runs


@pytest.fixture(scope="module")
def nodes():
    started = TwoNodes()
    yield started
    started.shutdown()


@pytest.fixture(scope="module")
def cluster(nodes):
    with connected(nodes.address) as joined:
        yield joined


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    return Machine("cpu", 2, 1, tmp_path_factory.mktemp("cache"), Keeping(every_sec=0.5))


class Shown(Display):
    """The real display, and what it was given to show."""

    def __init__(self, runs):
        super().__init__({run.name: 10.0 for run in runs}, 2)
        self.seen, self.notes = [], []

    def __call__(self, active):
        self.seen += [(one.run.name, one.node, replace(one.latest)) for one in active]
        super().__call__(active)

    def note(self, line):
        self.notes.append(line)
        super().note(line)


@pytest.fixture(scope="module")
def wild():
    return plan(train__optimizer__lr=1e9, seeds=[0]).runs[0]


@pytest.fixture(scope="module")
def here(tmp_path_factory, machine):
    """The runs as the local executor trains them."""
    folder, runs = tmp_path_factory.mktemp("here"), plan().runs
    local.execute(runs, folder, machine, lambda active: None)
    return folder


@pytest.fixture(scope="module")
def there(tmp_path_factory, cluster, machine, wild, here):
    """The same over both nodes, and one that diverges."""
    folder, runs = tmp_path_factory.mktemp("there"), [*plan().runs, wild]
    shown = Shown(runs)
    cluster.prepare(runs[0], machine)
    return folder, shown, cluster.execute(runs, folder, machine, shown)


def test_runs_over_two_nodes_are_those_of_one_machine_to_the_bit(there, here):
    folder, _, outcomes = there
    for run in plan().runs:
        assert (outcomes[run.name].status, outcomes[run.name].iteration) == (Status.FINISHED, 30)
        assert outcomes[run.name] == RunFolder(folder / run.name).outcome()
        assert same_bits(folder / run.name, here / run.name)
        assert {path.name for path in (here / run.name).iterdir()} <= {
            path.name for path in (folder / run.name).iterdir()
        }


def test_both_nodes_train_and_each_run_names_its_own(there):
    folder, shown, outcomes = there
    machines = {name: read_json(folder / name / "machine.json") for name in outcomes}
    assert {machine["node"] for machine in machines.values()} == {"one", "two"}
    assert all(machine["jobs"] == machine["threads"] == 1 for machine in machines.values())
    for name, node, _ in shown.seen:
        assert machines[name]["node"] == node


def test_one_that_diverges_is_told_at_once_and_the_others_go_on(there, wild):
    _, shown, outcomes = there
    end = outcomes[wild.name]
    assert end.status is Status.DIVERGED
    assert f"iteration {end.iteration}:" in end.reason
    assert shown.notes == [f"  {wild.name}: diverged ({end.reason})"]


def test_the_display_follows_every_run(there):
    _, shown, _ = there
    for run in plan().runs:
        told = [latest.kimg for name, _, latest in shown.seen if name == run.name]
        assert told == sorted(told)
        assert told[-1] == run.spec.kimg


def test_nothing_that_has_ended_is_trained_again_and_nothing_is_left_beside(
    there, cluster, machine
):
    folder, shown, outcomes = there
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    seen = len(shown.seen)
    again = cluster.execute([*plan().runs], folder, machine, shown)
    assert again == {run.name: outcomes[run.name] for run in plan().runs}
    assert len(shown.seen) == seen
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert not list(folder.glob(".ray-*"))


def test_a_run_under_a_url_goes_on_from_the_checkpoint_that_is_there(
    cluster, machine, here, tmp_path
):
    run = plan().runs[0]
    url, first, copies = f"file://{tmp_path}/there", tmp_path / "first", tmp_path / "copies"

    def stop(active):
        if list((first / run.name / "checkpoints").glob("*.safetensors")):
            raise KeyboardInterrupt

    often = replace(machine, keeping=Keeping(every_sec=0.01))
    with pytest.raises(KeyboardInterrupt):
        local.execute([run], first, often, stop)
    Mirror(url, first / run.name).push()
    shown = Shown([run])
    (end,) = Cluster(url).execute([run], copies, machine, shown).values()
    assert end.status is Status.FINISHED
    place = read_json(tmp_path / "there" / run.name / "machine.json")["resumed"]
    assert [at["iteration"] > 0 for at in place] == [True]
    assert same_bits(tmp_path / "there" / run.name, here / run.name)
    assert (copies / run.name / "outcome.json").exists()
    assert not (copies / run.name / "weights.safetensors").exists()
    assert not list((machine.cache_dir / "scratch").glob("*/*/rows.jsonl"))


def test_what_data_lack_is_found_before_any_run(cluster, machine, tmp_path):
    absent = plan(data={"type": "image_folder", "root": str(tmp_path / "none")}).runs[0]
    with pytest.raises(HarnessError, match=r"^image folder [^\n]*none is missing; set data\.root"):
        cluster.prepare(absent, machine)


def test_nodes_with_another_harness_are_refused_before_any_run(
    cluster, machine, tmp_path, monkeypatch
):
    monkeypatch.setattr(ray, "source_digest", lambda: "another")
    with pytest.raises(HarnessError, match="install the same version on all nodes") as refused:
        cluster.execute(plan().runs, tmp_path, machine, Shown(plan().runs))
    named = {line.split()[1] for line in refused.value.problems}
    assert named == {"one", "two"}
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_does_not_see_the_folder_says_so(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_task, "SEEN_SEC", 0.5)
    site = Site(Demand(1), str(tmp_path), tmp_path, "marker", ray.source_digest())
    assert ray_task.unfit(site) == (
        f"node head does not see this machine's {tmp_path}: choose a folder that all nodes share, "
        "or a URL, with --runs"
    )
    assert ray_task.unfit(replace(site, url="file:///elsewhere")) == ""
    (tmp_path / "marker").touch()
    assert ray_task.unfit(site) == ""


def test_a_device_that_no_node_has_is_said(cluster):
    assert cluster.places("cpu", 1) == 2
    with pytest.raises(HarnessError, match="has room for a run: it takes CPU 1, GPU 1, and"):
        cluster.places("cuda", 1)
    with pytest.raises(HarnessError, match=r"memory 999999\.0 GiB"):
        Cluster(memory_gib=999_999).places("cpu", 1)


def test_a_run_asks_for_the_memory_that_the_plan_predicts_at_most(
    cluster, tmp_path, monkeypatch, capsys
):
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(executor, "on_cluster", lambda address: nullcontext(Cluster()))
    many = "evaluate.fake_images=500000000"
    assert main(["plan", "question.yaml", many, "seeds=[0]"]) == 0
    (memory,) = re.findall(r"  memory .* to ([\d.]+ GiB)\)", capsys.readouterr().out)
    assert main(["run", "question.yaml", many, "--executor", "ray"]) == 2
    assert (
        f"it takes CPU 1, GPU 0, memory {memory}, and nodes have at most CPU 1"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("demand", "room"),
    [
        (Demand(1), 8),
        (Demand(3), 2),
        (Demand(4, gpus=1), 2),
        (Demand(1, gpus=1), 4),
        (Demand(1, gpus=1, memory_gib=3), 3),
        (Demand(9), 0),
    ],
)
def test_a_node_takes_as_many_runs_as_its_scarcest_resource_allows(demand, room):
    assert demand.room({"CPU": 8.0, "GPU": 4.0, "memory": 10.0 * 2**30}) == room
    assert demand.room({}) == 0


def test_what_a_run_costs_the_driver_is_measured_on_real_tasks(cluster, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr(constants, "_RUNS", 3)
    assert 1e-4 < constants.dispatch_sec(cluster.execute) < 10
