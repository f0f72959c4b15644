"""The lock of a results folder: what was changed, added or removed is said, a line each."""

import json
import shutil

import pytest
from report_records import MACHINE, plan_of, record

from harness.errors import RecordsError
from harness.report import frames
from harness.report.lock import LOCK
from harness.report.update import update
from harness.report.verify import check_tables
from harness.report.write import write


def words(folder):
    return [line.split()[0] for line in (folder / LOCK).read_text().splitlines()]


def test_a_lock_is_one_fact_a_line_and_the_same_each_time(folder, results, runs_dir, tmp_path):
    text = (folder / LOCK).read_text()
    write(results, runs_dir, tmp_path / "again")
    assert (tmp_path / "again" / LOCK).read_text() == text
    lines = text.splitlines()
    assert lines[0] == "format 1"
    assert lines[1].startswith("question demo, quick, ")
    assert "source 0123456789ab of " + "f" * 40 + " clean" in lines
    assert "version torch 2.11.0" in lines
    assert [line.split()[1:4] for line in lines if line.startswith("run ")] == [
        [run.name, "finished", "75"] for run in results.plan.runs
    ]
    files = {line.split()[1]: line.split()[0] for line in lines if len(line.split()[-1]) == 64}
    there = {path.name for path in folder.iterdir()} - {LOCK}
    assert there <= files.keys()
    assert (files["runs.csv"], files["report.md"]) == ("evidence", "table")
    assert (files["curves.png"], files["samples.png"]) == ("picture", "picture")


def test_a_sound_folder_and_one_without_a_lock_pass(folder):
    assert check_tables(folder) == []
    (folder / LOCK).unlink()
    assert check_tables(folder) == []


def test_a_value_changed_in_its_last_digit_is_found_with_its_run(folder, results):
    path = folder / "runs.csv"
    # Of a loss, which is in no table: only the lock can know.
    changed = path.read_text().replace("loss/d,20.0,400,30.0,0.1\n", "loss/d,20.0,400,30.0,0.11\n")
    assert changed != path.read_text()
    path.write_text(changed)
    assert check_tables(folder) == [
        f"{folder / LOCK}: rows of {results.plan.runs[1].name}: not what was locked",
        f"{folder / LOCK}: runs.csv: not what was locked",
    ]


def test_rows_swapped_between_runs_are_found(folder, results):
    path = folder / "runs.csv"
    text = path.read_text()
    rows = [line for line in text.splitlines() if ",loss/d,40.0," in line]
    assert len(rows) == 3
    (first, second, _) = (row.rpartition(",") for row in rows)
    swapped = {rows[0]: first[0] + "," + second[2], rows[1]: second[0] + "," + first[2]}
    path.write_text("\n".join(swapped.get(line, line) for line in text.splitlines()) + "\n")
    found = check_tables(folder)
    assert [line for line in found if "rows of" in line] == [
        f"{folder / LOCK}: rows of {run.name}: not what was locked" for run in results.plan.runs[:2]
    ]


def test_rows_in_another_order_leave_the_numbers_and_are_found(folder):
    path = folder / "runs.csv"
    head, first, second, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, second, first, *rest]))
    assert check_tables(folder) == [f"{folder / LOCK}: runs.csv: not what was locked"]


def test_files_that_are_changed_added_or_missing_are_a_line_each(folder):
    (folder / "curves.png").write_bytes(b"another picture")
    (folder / "notes.txt").write_text("mine")
    (folder / "film").mkdir()
    (folder / "film" / "raw.png").write_bytes(b"x")
    (folder / ".hidden").write_text("of the system")
    (folder / "samples.png").unlink()
    found = [line for line in check_tables(folder) if LOCK in line]
    assert sorted(found) == [
        f"{folder / LOCK}: curves.png: not what was locked",
        f"{folder / LOCK}: film/raw.png: added after it was locked",
        f"{folder / LOCK}: notes.txt: added after it was locked",
        f"{folder / LOCK}: samples.png: missing",
    ]


def test_a_machine_that_was_edited_is_found_by_what_it_said(folder):
    path = folder / "machine.json"
    machine = json.loads(path.read_text())
    path.write_text(json.dumps({**machine, "python": "3.12.0"}))
    found = "\n".join(check_tables(folder))
    assert "does not say 'version python 3.12.0'" in found
    assert "says 'version python 3.11.7', which is not so" in found
    assert "machine.json: not what was locked" in found


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("table summary.csv ", "table summary.csv 0", "summary.csv: not what was locked"),
        ("evidence runs.csv ", "evidence runs.csv 0", "runs.csv: not what was locked"),
        (" finished 75 ", " finished 76 ", "rows of seed0-"),
        ("version torch 2.11.0", "version torch 2.12.0", "does not say 'version torch 2.11.0'"),
        ("evidence outcomes.csv", "picture outcomes.csv", "not as they are written"),
        ("question demo", "question other", "says 'question other"),
    ],
)
def test_a_line_of_the_lock_that_was_edited_is_found(folder, old, new, said):
    path = folder / LOCK
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    found = check_tables(folder)
    assert any(said in line for line in found), found


def test_lines_in_another_order_are_found(folder):
    lines = (folder / LOCK).read_text().splitlines(keepends=True)
    (folder / LOCK).write_text("".join([*lines[:-2], lines[-1], lines[-2]]))
    assert check_tables(folder) == [
        f"{folder / LOCK}: its lines are not as they are written: --update writes them anew"
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no lock"),
        (b"{}", "is no lock"),
        (b"format\n", "is no lock"),
        (b"format 1.0\n", "is no lock"),
        (b"format 99\n", "format 99 is not one this harness reads"),
        (b"\xff\xfe", "not a text file"),
        (b"format " + b"9" * 5000, "is no lock"),
    ],
)
def test_what_is_no_lock_is_refused(folder, content, said):
    (folder / LOCK).write_bytes(content)
    with pytest.raises(RecordsError, match=said):
        check_tables(folder)


def test_a_file_that_is_none_is_refused(folder):
    (folder / "loop").symlink_to("loop")
    with pytest.raises(RecordsError, match="loop: cannot be read"):
        check_tables(folder)


def test_tables_are_brought_up_to_date_with_their_lock(folder):
    sound = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "report.md").write_text("edited")
    (folder / "summary.csv").unlink()
    assert update(folder) == []
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == sound


def test_a_folder_of_before_there_were_locks_gets_one(folder):
    text = (folder / LOCK).read_text()
    (folder / LOCK).unlink()
    assert update(folder) == []
    assert (folder / LOCK).read_text() == text


@pytest.mark.parametrize("name", ["runs.csv", "samples.png", "machine.json"])
def test_evidence_that_changed_is_not_locked_anew(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes().replace(b"0.1\n", b"0.2\n") + b"\n" * (name != "runs.csv"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    found = update(folder)
    assert any(f"{name}: not what was locked" in line for line in found)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_machines_of_several_kinds_are_all_named(tmp_path):
    plan = plan_of()
    record(plan, tmp_path / "runs")
    other = {**MACHINE, "cpu": "Other", "source": {"digest": "d" * 12, "clean": False}}
    record(plan_of(seeds=(2,)), tmp_path / "runs", machine=other)
    out = tmp_path / "out"
    write(frames.collect(plan, tmp_path / "runs"), None, out)
    assert words(out).count("machine") == words(out).count("source") == 2
    assert f"source {'d' * 12} with uncommitted changes" in (out / LOCK).read_text()
    assert check_tables(out) == []
    assert frames.read(out).machine["also"][0]["runs"] == [plan.runs[2].name]


def test_a_copy_is_as_sound_as_the_folder(folder, tmp_path):
    assert check_tables(shutil.copytree(folder, tmp_path / "elsewhere" / "quick")) == []
