"""Real runs side by side: what ends one of them leaves the others and the records alone."""

import os
import signal
import time

import pytest
from small_spec import plan

from harness.errors import HarnessError, OutputError, RecordsError
from harness.launch.local import execute, prepare
from harness.launch.worker import Machine, ended
from harness.records.files import read_json, write_json
from harness.records.store import RunFolder
from harness.records.types import FORMAT, Outcome, Row, Status

ROW = Row("loss/d", "run", 9.0, 0.1, 5, 1.0)
LONG = 100_000


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def side_by_side(tmp_path_factory, cache):
    """Both runs of the small question, trained at the same time."""
    folder = tmp_path_factory.mktemp("runs")
    planned = plan()
    return planned, folder, execute(planned.runs, folder, Machine("cpu", 2, 1, cache), ignore)


def ignore(active):
    pass


def numbers(folder):
    """Rows without those that time decides."""
    return [
        (row.quantity, row.arm, row.value, row.kimg, row.iteration)
        for row in RunFolder(folder).rows()
        if not row.quantity.startswith(("time/", "memory/"))
    ]


def test_runs_side_by_side_finish_with_everything_recorded(side_by_side):
    planned, folder, outcomes = side_by_side
    assert [outcomes[run.name].status for run in planned.runs] == [Status.FINISHED] * 2
    for run in planned.runs:
        names = {path.name for path in (folder / run.name).iterdir()}
        assert names >= {
            *("spec.yaml", "machine.json", "rows.jsonl", "outcome.json"),
            *("log.txt", "samples", "weights.safetensors", "protocols.json"),
        }
        assert outcomes[run.name].iteration == 30
        scores = [row for row in numbers(folder / run.name) if row[0].startswith("fid[")]
        assert [(arm, kimg) for _, arm, _, kimg, _ in scores] == [
            *(("real", 0.0), ("raw", 0.3), ("m0.1", 0.3), ("raw", 0.6), ("m0.1", 0.6)),
        ]
        assert read_json(folder / run.name / "machine.json")["jobs"] == 2


def test_one_after_another_gives_the_same_rows_after_an_interruption_too(
    side_by_side, cache, tmp_path
):
    planned, folder, _ = side_by_side
    earlier = RunFolder(tmp_path / planned.runs[0].name)
    earlier.begin(planned.runs[0].settings, {})
    earlier.append([ROW])
    earlier.end(Outcome(Status.INTERRUPTED, "stopped by a signal"))
    seen = []
    outcomes = execute(
        planned.runs,
        tmp_path,
        Machine("cpu", 1, 1, cache),
        lambda active: seen.append(len(active)),
    )
    assert max(seen) == 1
    assert [outcome.status for outcome in outcomes.values()] == [Status.FINISHED] * 2
    for run in planned.runs:
        assert numbers(tmp_path / run.name) == numbers(folder / run.name)
    kept = (earlier.path / "rows.attempt-1.jsonl").read_text().splitlines()
    assert len(kept) == 2


def test_finished_runs_are_never_repeated(side_by_side, cache):
    planned, folder, outcomes = side_by_side
    files = [path for path in folder.rglob("*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in files}
    seen = []
    again = execute(planned.runs, folder, Machine("cpu", 2, 1, cache), seen.append)
    assert again == outcomes
    assert seen == []
    assert {path: path.stat().st_mtime_ns for path in files} == before


def test_a_diverging_run_ends_with_its_iteration_and_the_other_goes_on(cache, tmp_path):
    planned = plan(factors={"train.optimizer.lr": {"wild": 1e9, "tame": 0.001}}, seeds=[0])
    outcomes = execute(planned.runs, tmp_path, Machine("cpu", 2, 1, cache), ignore)
    wild, tame = (outcomes[run.name] for run in planned.runs)
    assert wild.status is Status.DIVERGED
    assert 1 <= wild.iteration <= 30
    assert f"iteration {wild.iteration}:" in wild.reason
    assert (tame.status, tame.iteration) == (Status.FINISHED, 30)


def test_signals_to_one_run_end_that_run_alone(cache, tmp_path):
    levels = {"killed": LONG, "stopped": LONG, "whole": 0.6}
    planned = plan(factors={"train.kimg": levels}, seeds=[0], hooks=[])
    sent = {}

    def watch(active):
        for one, number in zip(planned.runs[:2], (signal.SIGKILL, signal.SIGTERM), strict=True):
            running = [other for other in active if other.run is one]
            if running and one.name not in sent and len(running[0].folder.rows()) > 2:
                sent[one.name] = len(running[0].folder.rows())
                os.kill(running[0].process.pid, number)

    outcomes = execute(planned.runs, tmp_path, Machine("cpu", 3, 1, cache), watch)
    killed, stopped, whole = (outcomes[run.name] for run in planned.runs)
    assert killed.status is Status.FAILED
    assert "signal 9, SIGKILL: out of memory?" in killed.reason
    assert (stopped.status, stopped.reason) == (Status.INTERRUPTED, "stopped by a signal")
    assert whole.status is Status.FINISHED
    for run in planned.runs[:2]:
        assert len(RunFolder(tmp_path / run.name).rows()) >= sent[run.name]
        assert not ended(tmp_path / run.name)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OutputError("the disk is full")])
def test_what_stops_the_launcher_leaves_nothing_running(error, cache, tmp_path):
    planned = plan(train__kimg=LONG, seeds=[0, 1, 2])
    pids = []

    def watch(active):
        if all(len(one.folder.rows()) > 1 for one in active):
            pids.extend(one.process.pid for one in active)
            raise error

    with pytest.raises(type(error)):
        execute(planned.runs, tmp_path, Machine("cpu", 2, 1, cache), watch)
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)
    for run in planned.runs[:2]:
        folder = RunFolder(tmp_path / run.name)
        assert folder.outcome().status is Status.INTERRUPTED
        assert len(folder.rows()) > 1
    assert not (tmp_path / planned.runs[2].name).exists()


def alive(pid):
    for _ in range(20):  # the fork server may take a moment to bury its child
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


def test_preparing_finds_what_is_missing_before_any_run(cache, tmp_path):
    machine = Machine("cpu", 1, 1, cache)
    prepare(plan().runs[0], machine)
    absent = plan(data={"type": "image_folder", "root": str(tmp_path / "none")}).runs[0]
    with pytest.raises(HarnessError, match=r"^image folder [^\n]*none is missing; set data\.root"):
        prepare(absent, machine)


def test_a_preparation_that_dies_is_said(cache, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.launch.local.check", die)
    with pytest.raises(HarnessError, match=r"ended with signal 9, SIGKILL: out of memory\?$"):
        prepare(plan().runs[0], Machine("cpu", 1, 1, cache))


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_that_has_finished_stays_so_whatever_ends_its_process(cache, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.launch.local.work", finish_and_die)
    planned = plan(seeds=[0])
    (outcome,) = execute(planned.runs, tmp_path, Machine("cpu", 1, 1, cache), ignore).values()
    assert (outcome.status, outcome.iteration) == (Status.FINISHED, 30)


def finish_and_die(run, path, *_):
    path.mkdir()
    folder = RunFolder(path)
    folder.begin(run.settings, {})
    folder.end(Outcome(Status.FINISHED, iteration=30))
    die()


@pytest.mark.parametrize("name", ["machine.json", "outcome.json"])
def test_a_run_of_a_newer_format_is_not_touched(name, cache, tmp_path):
    planned = plan(seeds=[0])
    path = tmp_path / planned.runs[0].name / name
    write_json(path, {})
    text = path.read_text().replace(str(FORMAT), "99")
    path.write_text(text)
    with pytest.raises(RecordsError, match="format 99 is not one this harness reads"):
        execute(planned.runs, tmp_path, Machine("cpu", 1, 1, cache), ignore)
    assert path.read_text() == text
    assert os.listdir(path.parent) == [name]
