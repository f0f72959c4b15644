"""Each check of the folders, on what really stands in the way or was left behind."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from doctored import elsewhere, states

from harness.doctor import State, folders
from harness.records.files import write_json
from harness.records.store import RunFolder
from harness.records.types import FORMAT, Outcome, Status


def test_a_folder_need_not_be_there_and_is_not_made(tmp_path):
    states(folders.writable("runs", tmp_path / "a" / "b"), State.OK, "b/ will be made")
    states(folders.writable("runs", tmp_path), State.OK, "can be written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", [".", "quick"])
def test_a_file_where_the_folder_should_be_is_a_problem(tmp_path, below):
    (tmp_path / "runs").write_text("")
    states(folders.writable("runs", tmp_path / "runs" / below), State.PROBLEM, "runs is a file")


def test_a_link_that_leads_nowhere_is_a_problem(tmp_path):
    (tmp_path / "runs").symlink_to(tmp_path / "nowhere")
    states(folders.writable("runs", tmp_path / "runs"), State.PROBLEM, "cannot be written")


def test_a_read_only_folder_is_a_problem(tmp_path):
    mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o ro none "$0" && exec "$@"']
    if subprocess.run([*mount, tmp_path, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no user mount a file system of their own")
    code = """
from pathlib import Path
from harness.doctor import folders
show(folders.writable("results", Path(sys.argv[1], "question")))
"""
    (seen,) = elsewhere(code, tmp_path, before=[*mount, tmp_path])
    assert seen["state"] == "problem"
    assert seen["text"] == f"{tmp_path} cannot be written (Read-only file system)"
    assert "--results" in seen["advice"]


def temporary(path, age_sec, size=2048):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"0" * size)
    os.utime(path, (time.time() - age_sec,) * 2)


def test_leftovers_of_crashes_are_counted_where_they_are(tmp_path):
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    places = [runs, cache, tmp_path / "nowhere"]
    states(folders.leftovers(places, time.time()), State.OK)
    temporary(runs / "q" / "quick" / "seed0" / ".weights.safetensors.77.tmp", 3600)
    temporary(runs / "q" / ".spec.yaml.78.tmp", 3600)
    temporary(runs / "q" / ".spec.yaml.79.tmp", 5)
    temporary(runs / "q" / "tmp", 3600)
    temporary(cache / "set" / "64.npy.tmp", 3600)
    temporary(cache / "a.reference.k3_j2h1x", 3600)
    temporary(cache / "a.reference.lock", 3600)
    found = folders.leftovers(places, time.time())
    states(found, State.WARNING, f"2 in {runs}/, 2 in {cache}/", "8.0 KiB")
    command = found.advice.removeprefix("no run needs them: ")
    subprocess.run(command, shell=True, check=True)
    kept = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert kept == [".spec.yaml.79.tmp", "a.reference.lock", "tmp"]
    states(folders.leftovers(places, time.time()), State.OK)


def run(folder, name, status=None):
    made = RunFolder(folder / "question" / "quick" / name)
    made.begin({"question": "?"}, {"cpu": "Test CPU"})
    if status is not None:
        made.end(Outcome(status, "a reason"))
    return made.path


def test_runs_are_counted_by_their_end(tmp_path):
    states(folders.runs(tmp_path / "nowhere", False), State.OK, "none in")
    run(tmp_path, "seed0", Status.FINISHED)
    run(tmp_path, "seed1", Status.DIVERGED)
    states(folders.runs(tmp_path, True), State.OK, "1 finished, 1 diverged")
    for name, status in (("seed2", Status.INTERRUPTED), ("seed3", Status.FAILED), ("seed4", None)):
        run(tmp_path, name, status)
    found = folders.runs(tmp_path, True)
    states(found, State.WARNING, "1 interrupted", "1 failed", "1 without an end", "1 finished")
    assert "harness run" in found.advice


@pytest.mark.parametrize("status", [Status.INTERRUPTED, Status.FAILED, None])
def test_each_unfinished_end_is_warned_of(tmp_path, status):
    run(tmp_path, "seed0", status)
    states(folders.runs(tmp_path, False), State.WARNING)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 1, "status": "lost"}', "\0"]
)
def test_an_outcome_that_cannot_be_read_is_named(tmp_path, text):
    run(tmp_path, "seed0", Status.FINISHED)
    path = run(tmp_path, "seed1", Status.FINISHED)
    (path / "outcome.json").write_text(text)
    states(folders.runs(tmp_path, False), State.WARNING, str(path))
    found = folders.runs(tmp_path, True)
    states(found, State.PROBLEM, str(path))
    assert "seed0" not in found.text


def test_records_of_a_newer_harness_are_named(tmp_path):
    path = run(tmp_path, "seed0", Status.FINISHED)
    newer = f'{{"format": {FORMAT + 1}}}'
    (path / "machine.json").write_text(newer)
    states(folders.runs(tmp_path, True), State.PROBLEM, f"format {FORMAT + 1}")
    states(folders.reports(tmp_path, False), State.WARNING, f"format {FORMAT + 1}")
    states(folders.reports(tmp_path, True), State.PROBLEM, "machine.json")


def test_results_that_can_be_read_are_counted(tmp_path):
    states(folders.reports(tmp_path / "nowhere", True), State.OK, "none in")
    for name in ("a", "b"):
        write_json(tmp_path / name / "machine.json", {"cpu": "Test CPU"})
    states(folders.reports(tmp_path, False), State.OK, "2 reports")


def test_paths_are_told_from_home():
    states(folders.runs(Path.home() / "no-such-folder", False), State.OK, "~/no-such-folder")
