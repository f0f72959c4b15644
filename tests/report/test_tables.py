import csv
import io

import pytest
from report_records import FID, IS, plan_of, record

from harness.records.types import Outcome, Row, Status
from harness.report import frames, tables
from harness.report.frames import Cell


def lines_of(plan, tmp_path, **records):
    results = frames.collect(plan, record(plan, tmp_path, **records))
    return {line.cell: line for line in tables.summary(results)}


def records_in(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_summary_in_closed_form(plan, tmp_path):
    lines = lines_of(plan, tmp_path)
    raw, paper = lines[Cell("-", "raw", FID)], lines[Cell("-", "paper", FID)]
    assert (raw.last.n, raw.last.median, raw.last.low, raw.last.high) == (3, 11.0, 10.0, 12.0)
    assert raw.to_raw is None
    assert paper.to_raw.difference.value == -3.25
    assert paper.to_raw.family == 3


def test_lines_stand_in_the_specs_order(plan, tmp_path):
    cells = list(lines_of(plan, tmp_path))
    assert [cell.quantity for cell in cells] == [FID] * 5 + [IS] * 5
    assert [cell.arm for cell in cells[:5]] == ["real", "raw", "paper", "short", "mean"]


def test_best_during_training_leaves_out_smaller_resolutions(plan, tmp_path):
    def change(level, seed, rows):  # 1.0 at 4 px stays lower than all of these
        return [*rows, Row(FID, "raw", 2.0 + seed, 90.0, 1800, 1.0)]

    lines = lines_of(plan, tmp_path, change=change)
    assert lines[Cell("-", "raw", FID)].best == 3.0
    assert lines[Cell("-", "raw", FID)].last.median == 11.0


def test_best_is_the_highest_where_higher_is_better(plan, tmp_path):
    def change(level, seed, rows):
        return [*rows, Row(IS, "raw", 9.0, 90.0, 1800, 1.0)]

    assert lines_of(plan, tmp_path, change=change)[Cell("-", "raw", IS)].best == 9.0


def test_levels_are_compared_with_the_first_on_the_same_arm(levelled, tmp_path):
    lines = lines_of(levelled, tmp_path)
    found = lines[Cell("reduce_lr=fid", "raw", FID)].to_first
    assert found.difference.value == -5.0
    assert found.difference.half_width == pytest.approx(2.7764451051977987 * (2 / 3) ** 0.5)
    assert found.family == 2  # raw and one shadow
    assert lines[Cell("reduce_lr=off", "raw", FID)].to_first is None


def test_statistics_use_finished_runs_only(plan, tmp_path):
    ends = {("-", 0): Outcome(Status.DIVERGED, "NaN")}
    line = lines_of(plan, tmp_path, outcomes=ends)[Cell("-", "raw", FID)]
    assert (line.last.n, line.last.median) == (2, 10.5)


@pytest.mark.parametrize("arm", ["paper", "raw"])
def test_arms_are_paired_by_seed_even_where_one_lacks_a_value(plan, tmp_path, arm):
    def change(level, seed, rows):
        return [r for r in rows if not (seed == 0 and r.arm == arm)]

    line = lines_of(plan, tmp_path, change=change)[Cell("-", "paper", FID)]
    assert line.to_raw.difference.value == pytest.approx(-3.375)
    assert line.to_raw.difference.seeds == (2, 2)


def test_protocols_never_share_a_line(plan, tmp_path):
    def change(level, seed, rows):
        return [*rows, Row("fid[inception-v3-compat]", "raw", 300.0, 100.0, 2000, 1.0)]

    lines = lines_of(plan, tmp_path, change=change)
    assert lines[Cell("-", "raw", FID)].last.high == 12.0
    assert lines[Cell("-", "raw", "fid[inception-v3-compat]")].last.low == 300.0


def test_summary_csv_holds_settings_and_leaves_out_what_does_not_apply(results):
    found = {(r["arm"], r["metric"]): r for r in records_in(tables.summary_text(results))}
    paper = found["paper", FID]
    assert (paper["interp_mode"], paper["momentum"], paper["decay"]) == ("lerp", "0.001", "0.999")
    assert float(paper["span"]) == pytest.approx(0.5)
    assert (found["short", FID]["half_width"], found["short", FID]["p_holm"]) == ("0.0", "0.0")
    assert found["raw", FID]["momentum"] == found["raw", FID]["difference_to_raw"] == ""
    assert found["real", FID]["median"] == "0.51"


def test_summary_csv_is_rounded_so_that_other_machines_rebuild_it(results):
    (paper,) = [
        r
        for r in records_in(tables.summary_text(results))
        if r["arm"] == "paper" and r["metric"] == FID
    ]
    assert paper["half_width"] == "0.6210344279"


def test_timing_in_closed_form(results):
    (line,) = tables.timing(results)
    costs = line.costs
    assert (costs["run_sec"].low, costs["run_sec"].median, costs["run_sec"].high) == (
        *(pytest.approx(120), pytest.approx(130), pytest.approx(140)),
    )
    assert costs["train_sec_per_kimg"].median == pytest.approx(0.9)
    assert costs["eval_share"].high == pytest.approx(30 / 120)
    assert costs["peak_rss_gib"].median == pytest.approx(1.1)
    assert "peak_gpu_gib" not in costs
    (text,) = records_in(tables.timing_text(results))
    assert float(text["run_sec"]) == pytest.approx(130)
    assert (text["n"], text["peak_gpu_gib"]) == ("3", "")


def test_levels_without_a_finished_run_have_no_line(tmp_path):
    plan = plan_of(seeds=(0,), factors={"train.batch_size": {"a": 50, "b": 100}}, shadows={})
    ends = {("train.batch_size=a", 0): Outcome(Status.FAILED, "no")}
    results = frames.collect(plan, record(plan, tmp_path, outcomes=ends))
    assert [line.level for line in tables.timing(results)] == ["train.batch_size=b"]
    (line,) = [s for s in tables.summary(results) if s.cell[1:] == ("raw", FID)]
    assert line.to_first is None
