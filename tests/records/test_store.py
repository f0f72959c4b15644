"""A run's folder: whole files or none, rows that survive a crash, formats that are known."""

import errno
import json
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import OutputError, RecordsError
from harness.records.files import check_format, read_json, write_atomically, write_json
from harness.records.store import RunFolder, dump_yaml
from harness.records.types import FORMAT, Outcome, Row, Status
from harness.spec.yaml_text import parse

ROW = Row("fid[digits-cnn]", "raw", 1.5, 0.3, 15, 2.25)


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.begin({"seed": 1}, {"cpu": "a"})
    yield run
    run.end(Outcome(Status.FINISHED))


def test_a_run_begins_appends_and_ends(folder):
    assert folder.rows() == []
    assert folder.outcome() is None
    folder.append([ROW])
    folder.append([ROW, Row("is[digits-cnn]", "m0.1", 2.0, 0.6, 30, 3.0)])
    folder.end(Outcome(Status.FINISHED, "", 30, 4.5))
    again = RunFolder(folder.path)
    assert [row.quantity for row in again.rows()] == ["fid[digits-cnn]"] * 2 + ["is[digits-cnn]"]
    assert again.rows()[0] == ROW
    assert again.outcome() == Outcome(Status.FINISHED, "", 30, 4.5)
    assert parse((folder.path / "spec.yaml").read_text())[0] == {"seed": 1}
    assert read_json(folder.path / "machine.json") == {"format": FORMAT, "cpu": "a"}


def test_records_are_readable_without_this_package(folder):
    folder.append([ROW])
    header, row = (folder.path / "rows.jsonl").read_text().splitlines()
    assert json.loads(header) == {"format": FORMAT}
    assert json.loads(row) == {
        "quantity": "fid[digits-cnn]",
        "arm": "raw",
        "value": 1.5,
        "kimg": 0.3,
        "iteration": 15,
        "sec": 2.25,
    }


def test_rows_are_on_the_disk_when_append_returns(folder):
    folder.append([ROW])
    assert RunFolder(folder.path).rows() == [ROW]


@given(st.floats(allow_nan=False), st.floats(0, 1e9), st.integers(0, 10**12))
def test_numbers_come_back_to_the_bit(value, kimg, iteration):
    row = Row("kid", "raw", value, kimg, iteration, 0.1)
    assert Row(**json.loads(json.dumps(row.as_dict()))) == row


def test_a_last_line_cut_off_by_a_crash_is_left_out(folder):
    folder.append([ROW, ROW])
    path = folder.path / "rows.jsonl"
    path.write_text(path.read_text()[:-9])
    assert folder.rows() == [ROW]


@pytest.mark.parametrize("line", ["{", "[1]", "{}", '{"quantity": "fid"}', '{"a": 1}', "7"])
def test_a_broken_line_in_the_middle_is_named(folder, line):
    whole = json.dumps(ROW.as_dict())
    text = f'{{"format": {FORMAT}}}\n{whole}\n{line}\n{whole}\n'
    (folder.path / "rows.jsonl").write_text(text)
    with pytest.raises(RecordsError, match=r"rows\.jsonl:3: is not a row$"):
        folder.rows()


def test_an_earlier_attempt_s_rows_are_kept(folder):
    for attempt in (1, 2):
        folder.append([ROW] * attempt)
        folder.end(Outcome(Status.INTERRUPTED, "stopped", 1, 1.0))
        folder.begin({"seed": 1}, {"cpu": "a"})
        assert folder.outcome() is None
        assert folder.rows() == []
        kept = (folder.path / f"rows.attempt-{attempt}.jsonl").read_text()
        assert len(kept.splitlines()) == 1 + attempt


@pytest.mark.parametrize("version", [FORMAT + 1, 99, 0, "1", None, 1.5])
def test_another_format_is_refused(version, tmp_path):
    path = tmp_path / "machine.json"
    path.write_text(json.dumps({"format": version}))
    with pytest.raises(RecordsError, match=rf"machine\.json: format .* \(1 to {FORMAT}\): update"):
        read_json(path)
    with pytest.raises(RecordsError):
        check_format(path, version)


def test_rows_of_a_newer_format_are_refused(folder):
    (folder.path / "rows.jsonl").write_text('{"format": 99}\n')
    with pytest.raises(RecordsError, match="format 99 is not one this harness reads"):
        folder.rows()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("", "is not JSON: was it cut off"),
        ('{"format": 1', "is not JSON: was it cut off"),
        ("[1]", "holds no JSON object"),
    ],
)
def test_a_file_that_is_not_whole_is_named(text, message, tmp_path):
    path = tmp_path / "outcome.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecordsError, match=rf"outcome\.json: {message}"):
        read_json(path)


def test_a_disk_that_fills_up_midway_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "outcome.json"
    write_json(path, {"a": 1})

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"outcome\.json: cannot be written \(No space left"):
        write_json(path, {"a": 2})
    assert read_json(path)["a"] == 1
    assert os.listdir(tmp_path) == ["outcome.json"]


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    write_atomically(path, "old")
    seen = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (seen.append(path.read_text()), real(number)))
    with path.open() as opened:
        write_atomically(path, b"new")
        assert opened.read() == "old"
    assert seen == ["old", "new"]  # the file's own, then the folder's that names it
    assert path.read_text() == "new"


def test_folders_are_made_on_the_way(tmp_path):
    write_atomically(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


@pytest.mark.parametrize("place", ["file", "proc", "folder"])
def test_a_place_that_cannot_be_written_is_one_line(place, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder" / "out").mkdir(parents=True)
    path = {
        "file": tmp_path / "file" / "out",
        "proc": type(tmp_path)("/proc/1/nowhere/out"),
        "folder": tmp_path / "folder" / "out",
    }[place]
    with pytest.raises(
        OutputError, match=r"^.*out: cannot be written \([^\n]*make it writable, or [^\n]*$"
    ):
        write_atomically(path, "x")
    assert (tmp_path / "file").read_text() == "mine"
    assert os.listdir(tmp_path / "folder") == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_line(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(OutputError, match="Permission denied"):
        write_atomically(tmp_path / "a", "x")


def test_yaml_has_no_aliases_and_keeps_the_order():
    shared = [1, 2]
    assert dump_yaml({"z": shared, "a": shared, "é": None}) == (
        "z:\n- 1\n- 2\na:\n- 1\n- 2\né: null\n"
    )


def test_rows_are_held_up_to_a_mark_whatever_came_after(folder):
    folder.append([ROW])
    mark = folder.mark()
    assert folder.holds(mark)
    folder.append([ROW])
    assert folder.holds(mark)
    assert not folder.holds({**mark, "bytes": mark["bytes"] - 1})
    text = folder.rows_file.read_text()
    folder.rows_file.write_text(text.replace("1.5", "1.6", 1))
    assert not folder.holds(mark)
    folder.rows_file.write_text(text[: mark["bytes"] - 1])
    assert not folder.holds(mark)
    folder.rows_file.unlink()
    assert not folder.holds(mark)


def test_a_mark_reads_the_end_of_long_rows_only(folder):
    folder.append([ROW] * 2000)
    mark = folder.mark()
    size = folder.rows_file.stat().st_size
    assert size > 2 * 2**16
    content = bytearray(folder.rows_file.read_bytes())
    content[size - 2**16] ^= 1
    folder.rows_file.write_bytes(content)
    assert not folder.holds(mark)


def test_a_run_that_goes_on_keeps_its_rows_and_puts_later_ones_aside(folder):
    folder.append([ROW])
    mark = folder.mark()
    later = Row("fid[digits-cnn]", "raw", 9.0, 0.6, 30, 4.0)
    folder.append([later])
    folder.end(Outcome(Status.INTERRUPTED))
    folder.begin({"seed": 1}, {"cpu": "b"}, mark)
    assert folder.rows() == [ROW]
    assert folder.outcome() is None
    aside = folder.path / "rows.attempt-1.jsonl"
    header, row = aside.read_text().splitlines()
    assert (json.loads(header), Row(**json.loads(row))) == ({"format": FORMAT}, later)
    folder.begin({"seed": 1}, {"cpu": "b"}, mark)  # nothing came after it this time
    assert len([*folder.path.glob("rows.attempt-*")]) == 1
    assert read_json(folder.path / "machine.json")["cpu"] == "b"


def test_a_run_is_locked_by_one_until_it_is_left(folder):
    other = RunFolder(folder.path)
    assert folder.lock()
    assert not other.lock()
    assert not other.lock(wait_sec=0.2)
    folder.unlock()
    assert other.lock()
    other.unlock()
