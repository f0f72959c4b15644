"""What a waiting user sees, from rows as they are written."""

import io
import multiprocessing
import re
import time

import pytest
from small_spec import plan

from harness.launch.local import Running
from harness.launch.progress import Display, Latest
from harness.launch.worker import WAITING, Told
from harness.records.store import RunFolder
from harness.records.types import Outcome, Row, Status

FID = "fid[digits-cnn]"


def row(arm, value, kimg, quantity=FID):
    return Row(quantity, arm, value, kimg, int(kimg * 50), 10 * kimg)


@pytest.fixture
def running(tmp_path):
    run = plan(train__kimg=4).runs[0]
    folder = RunFolder(tmp_path / run.name)
    folder.begin({}, {})
    yield Running(run, folder, multiprocessing.current_process(), Told(1))
    folder.end(Outcome(Status.FINISHED))


def test_the_latest_numbers_are_taken_as_they_come(running):
    latest = Latest()
    latest.read(running)
    assert (latest.kimg, latest.raw, latest.best) == (0.0, None, None)
    running.folder.append([row("real", 1.0, 0.0), row("run", 3.0, 0.5, "loss/d")])
    latest.read(running)
    assert (latest.kimg, latest.sec, latest.raw) == (0.5, 5.0, None)
    running.folder.append([row("raw", 9.0, 1.0), row("a", 8.0, 1.0), row("b", 7.0, 1.0)])
    latest.read(running)
    assert (latest.raw, latest.best) == (9.0, ("b", 7.0))
    running.folder.append([row("raw", 8.5, 2.0), row("a", 7.5, 2.0), row("b", 7.6, 2.0)])
    latest.read(running)
    assert (latest.kimg, latest.raw, latest.best) == (2.0, 8.5, ("a", 7.5))


def test_half_a_line_waits_for_its_other_half(running):
    running.folder.append([row("raw", 9.0, 1.0)])
    latest = Latest()
    with running.folder.rows_file.open("a") as file:
        file.write('{"quantity": "fid[x]", "arm": "raw", "value": 5.0,')
        file.flush()
        latest.read(running)
        assert latest.raw == 9.0
        file.write(' "kimg": 2.0, "iteration": 1, "sec": 1.0}\n')
    latest.read(running)
    assert (latest.raw, latest.kimg) == (5.0, 2.0)


def test_rows_of_an_earlier_attempt_are_forgotten_when_a_new_one_begins(running):
    running.folder.append([row("raw", 9.0, kimg / 10) for kimg in range(1, 40)])
    latest = Latest()
    latest.read(running)
    running.folder.end(Outcome(Status.INTERRUPTED))
    running.folder.begin({}, {})
    latest.read(running)
    assert (latest.kimg, latest.raw) == (0.0, None)
    running.folder.append([row("raw", 8.0, 0.1)] * 100)
    latest.read(running)
    assert (latest.kimg, latest.raw) == (0.1, 8.0)


def test_a_run_that_has_not_begun_has_no_numbers(running, tmp_path):
    latest = Latest()
    latest.read(Running(running.run, RunFolder(tmp_path / "none"), running.process, running.told))
    assert latest == Latest()


def test_outside_of_a_terminal_there_is_a_line_now_and_then(running, capsys):
    running.folder.append([row("raw", 9.0, 2.0), row("m0.1", 8.25, 2.0)])
    with Display({running.run.name: 40.0}, 1) as display:
        display([running])
        display([running])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (f"  {running.run.name}: 2/4 kimg, 100 img/s, FID raw 9.0, best 8.2 (m0.1)")
    assert re.fullmatch(r"  0:00 gone, about 0:\d\d left", lines[1])
    assert len(lines) == 2


def left(display, active):
    display(active)
    minutes, seconds = re.search(r"about (\d+):(\d+) left", display._left(active)).groups()
    return 60 * int(minutes) + int(seconds)


def test_what_is_left_follows_the_pace_so_far(running, capsys):
    other = plan(train__kimg=4).runs[1].name
    running.since = time.monotonic() - 30
    both = {running.run.name: 10.0, other: 10.0}
    alone = Display({running.run.name: 10.0}, 1)
    after, beside = Display(both, 1), Display(both, 2)
    assert [left(display, [running]) for display in (alone, after, beside)] == [10, 20, 10]
    running.folder.append([row("raw", 9.0, 4.0)])
    assert left(after, [running]) == pytest.approx(30, abs=1)
    assert left(beside, [running]) == pytest.approx(30, abs=1)
    assert left(alone, [running]) == 0


def test_the_pace_of_a_resumed_run_is_that_of_this_attempt(running, capsys):
    running.folder.append([row("raw", 9.0, kimg) for kimg in (1.0, 2.0)])
    running.since = time.monotonic() - 30
    display = Display({running.run.name: 40.0}, 1)
    assert left(display, [running]) == pytest.approx(20, abs=1)  # as planned, of the half to come
    running.folder.append([row("raw", 9.0, 3.0)])  # a quarter in 30 s; all of it in 120
    assert left(display, [running]) == pytest.approx(30, abs=2)


def test_rows_that_a_resume_cuts_back_are_no_work_of_this_attempt(running, capsys):
    running.folder.append([row("raw", 9.0, 1.0)])
    mark = running.folder.mark()
    running.folder.append([row("raw", 9.0, 2.0), row("a", 7.0, 2.0)])
    latest = Latest()
    latest.read(running)
    assert (latest.kimg, latest.start, latest.best) == (2.0, 2.0, ("a", 7.0))
    running.folder.end(Outcome(Status.INTERRUPTED))
    running.folder.begin({}, {}, mark)
    latest.read(running)
    assert (latest.kimg, latest.start, latest.best) == (1.0, 1.0, None)
    running.folder.append([row("raw", 8.0, 2.0), row("a", 6.0, 2.0)])
    latest.read(running)
    assert (latest.kimg, latest.start, latest.best) == (2.0, 1.0, ("a", 6.0))


def test_rows_cut_back_and_longer_again_are_read_anew(running):
    running.folder.append([row("raw", 9.0, 1.0)])
    mark = running.folder.mark()
    running.folder.append([row("raw", 9.0, 2.0)])
    latest = Latest()
    latest.read(running)
    running.folder.end(Outcome(Status.INTERRUPTED))
    running.folder.begin({}, {}, mark)
    running.folder.append([row("a-longer-name", 9.0, 2.0), row("raw", 5.0, 3.0)])
    latest.read(running)
    latest.read(running)
    assert (latest.kimg, latest.raw) == (3.0, 5.0)


def test_a_terminal_shows_a_table(running, capsys):
    running.folder.append([row("raw", 9.0, 2.0)])
    display = Display({running.run.name: 40.0}, 1)
    display([running])
    table = display._table([running])
    assert [column.header for column in table.columns] == [
        *("run", "kimg", "img/s", "FID raw", "best shadow"),
    ]
    assert [list(column.cells) for column in table.columns] == [
        *([running.run.name], ["2/4"], ["100"], ["9.0"], ["-"]),
    ]


def test_a_run_that_another_process_trains_is_told_of_at_once_and_once(running, capsys):
    display = Display({running.run.name: 60.0}, 1)
    display([running])
    capsys.readouterr()
    running.told.beats = WAITING
    running.folder.append([row("raw", 9.0, 1.0)])
    for _ in range(3):
        display([running])
    line, _ = capsys.readouterr().err.splitlines()
    assert line == f"  {running.run.name}: another process trains it: waiting, 1/4 kimg so far"


def test_what_stays_to_be_read_goes_where_all_else_goes(capsys):
    stream = io.StringIO()
    with Display({"one": 1.0}, 1, stream) as display:
        display.note("  one: diverged")
    assert stream.getvalue() == "  one: diverged\n"
    assert capsys.readouterr() == ("", "")
