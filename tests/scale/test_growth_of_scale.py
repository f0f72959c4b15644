"""Planner, store and report are timed on records that are what runs write."""

import json
from pathlib import Path

import pytest

from harness.bench import many_runs
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.report import frames
from harness.scale import growth, operations
from harness.scale.growth import LEVELS, SEEDS, Growth, Point, divided, read


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "_RUNS", {SEEDS: (20, 40), LEVELS: (20,)})
        patch.setattr(growth, "_TURNS", {20: 1})
        yield growth.measure(Path())


def test_every_process_is_measured_at_every_size(found):
    processes = {name.partition(": ")[0] for name in found.operations}
    assert processes == {*operations.PROCESSES}
    for name in found.operations:
        assert [*found.of(SEEDS, name)] == [20, 40]
        assert [*found.of(LEVELS, name)] == [20]
        for points in found.of(SEEDS, name).values():
            assert all(p.sec > 0 and 10 < p.base_mib <= p.peak_mib < 2000 for p in points)


def test_growth_comes_back_from_its_file(found):
    assert read(found.csv()) == found
    assert "40 synthetic runs of 14 rows" in found.sentence


def test_pictures_have_both_series(found):
    assert [*found.pictures] == ["growth.png", "growth_levels.png"]
    for _, picture in found.pictures.values():
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 500_000


def test_the_exponent_is_that_of_the_power_law_it_is_given():
    points = [
        Point(SEEDS, runs, 14, "a: b", 0, 3 * runs**1.5, 1, 2)
        for runs in (100, 1000, 10_000, 100_000)
    ]
    slow_start = Point(SEEDS, 100, 14, "a: b", 1, 1e9, 1, 2)
    assert Growth((*points, slow_start)).exponent(SEEDS, "a: b") == pytest.approx(1.5)
    assert Growth(tuple(points[:2])).exponent(SEEDS, "a: b") is None


@pytest.mark.parametrize("shape", [SEEDS, LEVELS])
@pytest.mark.parametrize("runs", [100, 1000])
def test_runs_divide_into_levels_and_seeds(shape, runs, tmp_path):
    divides = divided(shape, runs)
    spec = divides.spec(runs)
    assert divides.levels * len(spec["seeds"]) == runs
    assert divides.levels == 20 if shape == SEEDS else len(spec["seeds"]) == 5
    assert divides.rows == 14


def test_synthetic_records_are_to_the_byte_what_a_run_folder_writes(tmp_path):
    _, plan = many_runs.write(tmp_path, 40, divided(SEEDS, 40))
    run = plan.runs[33]
    own = RunFolder(tmp_path / "own")
    own.begin(run.settings, {})
    own.append(many_runs.rows(run))
    own.end(Outcome(Status.FINISHED))
    place = tmp_path / "runs" / "many" / "quick" / run.name
    assert (place / "rows.jsonl").read_bytes() == own.rows_file.read_bytes()
    assert len(own.rows()) == 14


def test_operations_do_what_they_say(tmp_path, capsys):
    _, plan = many_runs.write(tmp_path, 20, divided(SEEDS, 20))
    for process in operations.PROCESSES:
        operations.main(process, tmp_path)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(told) == 10
    runs_dir = tmp_path / "runs" / "many" / "quick"
    new = RunFolder(runs_dir / f"new-{operations.NEW_RUNS - 1}")
    assert new.outcome().status is Status.FINISHED
    assert len(new.rows()) == 14
    assert (runs_dir / plan.runs[0].name / ".lock").exists()
    assert frames.read(operations.results_summary(tmp_path).parent).plan.runs == plan.runs


def test_a_report_that_was_changed_stops_the_measurement(tmp_path):
    many_runs.write(tmp_path, 20, divided(SEEDS, 20))
    operations.main("report", tmp_path)
    summary = operations.results_summary(tmp_path)
    summary.write_text(summary.read_text().replace("raw", "row", 1))
    with pytest.raises(RuntimeError, match="does not verify"):
        operations.main("verify", tmp_path)
