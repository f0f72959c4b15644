"""Runs by their names, one at a time or many at once, and where they may be trained."""

import json
import platform
import socket
import sys

import pytest
from commanded import Command
from small_spec import plan, write

from harness.cli import main
from harness.commands import job
from harness.records.files import read_json

NAMES = [run.name for run in plan().runs]


def refused(capsys, *arguments):
    """Return the lines that a command is refused with."""
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("harness: ") for line in lines)
    return [line.removeprefix("harness: ") for line in lines]


def test_names_of_runs_stand_one_a_line(place, capsys):
    assert main(["plan", "question.yaml", "--names"]) == 0
    assert capsys.readouterr().out.splitlines() == NAMES
    factors = f"factors={json.dumps({'train.batch_size': {'small': 10, 'large': 20}})}"
    assert main(["plan", "question.yaml", "--names", factors]) == 0
    names = capsys.readouterr().out.splitlines()
    assert [name.rpartition("-")[0] for name in names] == [
        f"train.batch_size={level}-seed{seed}" for level in ("small", "large") for seed in (0, 1)
    ]


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    """Both runs alone at the same time, and one of them twice: the commands, when they ended."""
    folder = tmp_path_factory.mktemp("array")
    write(folder)
    asked = ("run", "question.yaml", "--only")
    started = [Command(folder, asks=(*asked, name)) for name in [*NAMES, NAMES[0]]]
    try:
        assert [one.wait() for one in started] == [0, 0, 0], [one.err for one in started]
    finally:
        for one in started:
            one.end()
    return folder, started


def test_runs_alone_at_the_same_time_share_a_folder(array):
    folder, started = array
    runs = started[0].runs
    for one in started:
        assert "no report is written: when all runs have ended, `harness report`" in one.out
        assert one.out.count(": finished, ") == 1
    for name in NAMES:
        machine = read_json(runs / name / "machine.json")
        assert (machine["node"], machine["jobs"]) == (platform.node(), 1)
        assert "resumed" not in machine
        assert not list((runs / name).glob("rows.attempt-*"))
    assert {path.name for path in runs.iterdir()} == {
        *(*NAMES, "spec.yaml", "predicted.json"),
    }
    assert not (folder / "results").exists()


def test_one_that_has_ended_is_kept(array, monkeypatch, capsys):
    folder, started = array
    monkeypatch.chdir(folder)
    before = {path: path.stat().st_mtime_ns for path in started[0].runs.glob("*/*")}
    assert main(["run", "question.yaml", "--only", NAMES[1]]) == 0
    assert "1 runs in runs/question/quick have ended and are kept" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in started[0].runs.glob("*/*")} == before


def test_all_are_reported_later_from_a_folder_or_a_url(array, monkeypatch, capsys):
    folder, _ = array
    monkeypatch.chdir(folder)
    monkeypatch.setattr(job, "CACHE_DIR", folder / "cache")
    url = f"file://{folder}/runs"
    tables = []
    for number, where in enumerate(("runs", url)):
        results = f"results-{number}"
        assert main(["report", "question.yaml", "--runs", where, "--results", results]) == 0
        tables.append((folder / results / "question" / "quick" / "runs.csv").read_text())
    assert tables[0] == tables[1]
    assert "node" not in read_json(folder / "results-0" / "question" / "quick" / "machine.json")
    copies = list((folder / "cache" / "runs").glob("*/*/*"))
    assert {path.name for path in copies} > {"rows.jsonl", "outcome.json"}
    assert "weights.safetensors" not in {path.name for path in copies}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--only", "seed7"],
            f"--only seed7: is no run of this plan; `harness plan SPEC --names` lists them: "
            f"{NAMES[0]}, {NAMES[1]}",
        ),
        (
            ["--only", NAMES[0], "--restart"],
            "--restart with --only: remove the folders of the runs that are meant",
        ),
        (["--address", "auto"], "--address auto: is the address for --executor ray"),
        (
            ["--runs", "s3://bucket/runs"],
            "--runs s3://bucket/runs: runs are kept under a URL by --executor ray alone",
        ),
        (
            ["--runs", "s3://bucket/runs", "--executor", "ray", "--restart"],
            "--restart: what is kept under s3://bucket/runs is yours to move",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line(options, line, place, capsys):
    assert refused(capsys, "run", "question.yaml", *options) == [line]
    assert [path.name for path in place.iterdir()] == ["question.yaml"]


@pytest.mark.parametrize("address", ["here", "here:", ":1", "ray://here:10001", "here:99999"])
def test_an_address_that_is_none_is_one_line(address, place, capsys):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'gan-harness[ray]'")
    asked = ["question.yaml", "--executor", "ray", "--address", address]
    (line,) = refused(capsys, "run", *asked)
    assert line == f"--address {address}: is not auto, local or HOST:PORT"


def test_a_cluster_that_does_not_answer_is_said_at_once(place, capsys):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'gan-harness[ray]'")
    address = f"127.0.0.1:{free_port()}"
    (line,) = refused(capsys, "run", "question.yaml", "--executor", "ray", "--address", address)
    assert line == (
        f"--address {address}: nothing answers there (Connection refused): give the address that "
        "`ray start --head` said"
    )


def test_without_ray_the_extra_is_named(place, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("harness.launch.ray")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    (line,) = refused(capsys, "run", "question.yaml", "--executor", "ray")
    assert line.startswith(
        "--executor ray: Ray is not installed here: pip install 'gan-harness[ray]'"
    )


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--only", NAMES[0]],
            "--only: torchrun's processes train all runs of a plan: leave it out",
        ),
        (
            ["--executor", "ray"],
            "--executor ray: torchrun's processes train here: start without torchrun",
        ),
        (
            ["--runs", "file:///elsewhere"],
            "--runs file:///elsewhere: runs are kept under a URL by --executor ray alone",
        ),
    ],
)
def test_what_processes_of_torchrun_do_not_do_is_one_line(
    options, line, place, capsys, monkeypatch
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert refused(capsys, "run", "question.yaml", *options) == [line]


def test_runs_alone_share_nothing_with_what_other_machines_may_train(place, monkeypatch):
    seen = []
    monkeypatch.setattr(job.Job, "train", lambda self, *_: seen.append(self.share) or True)
    assert main(["run", "question.yaml", "--only", NAMES[0], "--only", NAMES[1]]) == 0
    assert seen == [False]
