"""Generated records are those that runs write, and a report over them is held against them."""

import pytest

from harness.bench import many_runs, report_growth
from harness.bench.finding import Goal
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.report.frames import collect


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    return folder, many_runs.write(folder, 40)[1]


def test_records_are_to_the_byte_what_a_run_writes(written, tmp_path):
    folder, plan = written
    run = plan.runs[21]
    place = folder / "runs" / "many" / "quick" / run.name
    own = RunFolder(tmp_path / "own")
    own.begin(run.settings, {})
    own.append(many_runs.rows(run))
    own.end(Outcome(Status.FINISHED))
    assert (place / "rows.jsonl").read_bytes() == own.rows_file.read_bytes()
    assert len(own.rows()) == many_runs.Shape().rows


def test_every_run_is_there_and_finished(written):
    folder, plan = written
    assert len(plan.runs) == 40
    assert len(plan.levels) == many_runs.Shape().levels
    results = collect(plan, folder / "runs" / "many" / "quick")
    assert set(results.outcomes["status"]) == {"finished"}
    assert len(results.rows["value"]) == 40 * many_runs.Shape().rows
    assert results.machine["device"] == "cpu"


def test_growth_is_measured_checked_and_drawn(monkeypatch):
    monkeypatch.setattr(report_growth, "_RUNS", (20, 40))
    monkeypatch.setattr(report_growth, "_TURNS", 1)
    found = report_growth.measure("cpu")
    assert [goal.bound for goal in found.goals] == [10.0, 2.0]
    assert {line.split(",")[0] for line in found.csv().splitlines()} == {
        "command",
        "report",
        "plan",
    }
    [(_, picture)] = found.pictures.values()
    assert picture.startswith(b"\x89PNG")
    assert "40 runs" in found.sentence


def test_a_report_that_says_something_else_stops_the_benchmark(written, tmp_path):
    _, plan = written
    summary = tmp_path / "summary.csv"
    summary.write_text("level,arm,median\nx,raw,1.0\n")
    with pytest.raises(RuntimeError, match="does not say what their records hold"):
        report_growth.check(plan, summary)


def test_growth_beyond_the_line_is_missed():
    found = report_growth.Growth({"report": {10: (1.0,), 100: (11.0,)}, "plan": {100: (1.0,)}})
    assert [goal.verdict for goal in found.goals] == ["missed", "missed"]
    assert found.goals[1] == Goal(
        "a report over 100 runs / one over 10", 11.0, 11.0, 11.0, "at most", 10.0
    )
