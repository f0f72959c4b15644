"""Results as pandas frames: every number as it was measured, typed, ordered and explained."""

import math
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest
from report_records import FID, IS, MACHINE, RULES, plan_of, record

from harness.errors import RecordsError
from harness.records.types import Outcome, Row, Status
from harness.report import frames
from harness.report.columns import COLUMNS
from harness.report.tables import summary
from harness.report.tidy import tidied
from harness.report.write import write

COMMITTED = sorted((Path(__file__).parents[2] / "results").glob("*/quick"))
IDENTITY = ["folder", "experiment", "tier"]
FACTS = ["quantity", "metric", "protocol", "unit", "better"]
MEASURED = [*IDENTITY, "level", "seed", "run", "arm", *FACTS, "kimg", "iteration", "hours", "value"]


@pytest.fixture(scope="module")
def loaded(results):
    return tidied({"demo": results})


def each(found):
    return {field.name: getattr(found, field.name) for field in fields(found)}


def test_rows_are_every_number_with_its_bits(loaded, results):
    assert list(loaded.rows.columns) == MEASURED
    assert loaded.rows["value"].tolist() == list(results.rows["value"])
    assert loaded.rows["quantity"].tolist() == list(results.rows["quantity"])
    assert loaded.rows["hours"].tolist() == [sec / 3600 for sec in results.rows["sec"]]


def test_columns_are_typed_and_text_is_in_the_plan_s_order(loaded):
    kinds = {"category": "category", "int": "int64", "float": "float64"}
    found = {name: str(dtype) for name, dtype in loaded.curves.dtypes.items()}
    assert found == {name: kinds[COLUMNS[name].kind] for name in MEASURED}
    assert [*loaded.curves["arm"].cat.categories] == ["real", "raw", "paper", "short", "mean"]
    assert [*loaded.rows["arm"].cat.categories][-1] == "run"
    assert [*loaded.curves["quantity"].cat.categories] == [FID, IS]
    assert loaded.curves.groupby("arm", observed=False)["value"].count().gt(0).all()


def test_a_quantity_s_name_is_taken_apart(loaded):
    first = loaded.curves.drop_duplicates("quantity")[FACTS].astype(str).values.tolist()
    assert first == [
        [FID, "fid", "digits-cnn", "", "lower"],
        [IS, "is", "digits-cnn", "", "higher"],
    ]
    scale = loaded.rows[loaded.rows["quantity"] == "memory/peak_rss_gib"].iloc[0]
    assert (scale["metric"], scale["protocol"], scale["unit"]) == ("memory/peak_rss_gib", "", "GiB")


def test_every_column_says_what_it_is(loaded):
    for name, frame in each(loaded).items():
        assert {*frame.columns} <= {*COLUMNS}, name
        assert {*frame.attrs["meanings"]} == {*frame.columns}
    assert loaded.curves.attrs["units"]["kimg"] == "kimg"
    assert loaded.timing.attrs["units"]["train_sec_per_kimg_max"] == "s/kimg"
    assert all(column.meaning for column in COLUMNS.values())


def test_curves_are_those_of_finished_runs_each_evaluation_once(plan, tmp_path):
    def change(level, seed, rows):
        at = {"kimg": 60.0, "iteration": 1200, "sec": 500.0}
        return [*rows, Row(FID, "raw", 1.25, **at)] if seed == 0 else rows

    ends = {("-", 1): Outcome(Status.DIVERGED, "NaN")}
    results = frames.collect(plan, record(plan, tmp_path, change, outcomes=ends))
    found = tidied({"x": results})
    assert sorted(found.curves["seed"].unique()) == [0, 2]
    assert sorted(found.rows["seed"].unique()) == [0, 1, 2]
    own = {
        key: list(zip(part["kimg"], part["value"], strict=True))
        for key, part in found.curves.groupby(["arm", "quantity", "seed"], observed=True)
    }
    assert own == {
        (cell.arm, cell.quantity, seed): curve
        for cell, curves in results.curves.items()
        for seed, curve in curves.items()
        if cell.quantity in results.metrics
    }
    again = found.curves.query("arm == 'raw' and quantity == @FID and seed == 0 and kimg == 60")
    assert again["value"].tolist() == [1.25]


def test_the_summary_is_the_report_s(loaded, results):
    lines = summary(results)
    assert loaded.summary["arm"].tolist() == [line.cell.arm for line in lines]
    assert loaded.summary["median"].tolist() == pytest.approx([line.last.median for line in lines])
    paper = loaded.summary.query("arm == 'paper' and quantity == @FID").iloc[0]
    assert (paper["n"], paper["difference_to_raw"]) == (3, -3.25)
    raw = loaded.summary.query("arm == 'raw' and quantity == @FID").iloc[0]
    assert math.isnan(raw["difference_to_raw"])
    assert str(loaded.summary["n"].dtype) == "int64"


def test_arms_say_what_they_average(loaded):
    arms = loaded.arms.set_index("arm")
    assert arms.index.tolist() == ["raw", "paper", "short", "mean"]
    assert (arms.loc["paper", "mode"], arms.loc["paper", "momentum"]) == ("lerp", 0.001)
    assert arms.loc["paper", "decay"] == 0.999
    assert arms.loc["short", "half_life_kimg"] == pytest.approx(2)
    assert arms.loc["short", "start_iter"] == 200
    assert arms.loc["raw"].drop([*IDENTITY, "level"]).isna().all()
    assert str(loaded.arms["interval"].dtype) == "Int64"


def test_runs_say_how_they_ended_and_what_they_cost(loaded, results):
    runs = loaded.runs
    assert runs["run"].tolist() == [run.name for run in results.plan.runs]
    assert runs["status"].tolist() == ["finished"] * 3
    assert runs["kimg"].tolist() == [100.0] * 3
    assert runs["iteration"].tolist() == [2000] * 3
    assert runs["train_sec"].tolist() == pytest.approx([80.0, 90.0, 100.0])
    assert runs["run_sec"].tolist() == pytest.approx([120.0, 130.0, 140.0])
    assert runs["peak_rss_gib"].tolist() == [1.1] * 3
    assert runs["peak_gpu_gib"].isna().all()
    assert set(runs["cpu"]) == {"Test CPU"}
    assert runs["clean"].tolist() == [True] * 3


def test_runs_on_several_machines_have_each_its_own(plan, tmp_path):
    record(plan, tmp_path)
    record(plan_of(seeds=(1,)), tmp_path, machine={**MACHINE, "cpu": "Other CPU"})
    collected = frames.collect(plan, tmp_path)
    runs = tidied({"x": collected}).runs
    assert runs["cpu"].tolist() == ["Test CPU", "Other CPU", "Test CPU"]
    assert runs["machine"].nunique() == 2
    # Results of before it was written whose is whose: nothing is guessed.
    old = {**MACHINE, "also": [{**MACHINE, "cpu": "Other CPU"}]}
    assert tidied({"x": replace(collected, machine=old)}).runs["cpu"].isna().all()


def test_a_run_that_is_missing_has_no_machine(plan, tmp_path):
    gone = plan.runs[1].name
    shutil.rmtree(record(plan, tmp_path) / gone)
    run = frames.load(tmp_path).runs.set_index("run").loc[gone]
    assert run["status"] == "missing"
    assert pd.isna(run["cpu"])
    assert pd.isna(run["run_sec"])
    assert pd.isna(run["iteration"])


def test_levels_keep_their_order(levelled_results):
    found = tidied({"x": levelled_results})
    assert [*found.summary["level"].cat.categories] == [f"reduce_lr={name}" for name in RULES]
    assert found.arms["level"].value_counts().tolist() == [2, 2]
    assert found.timing["n"].tolist() == [3, 3]


def test_a_folder_of_runs_is_read_as_the_results_made_of_it(runs_dir, folder):
    ours, theirs = frames.load(runs_dir), frames.load(str(folder))
    for name, frame in each(ours).items():
        other = getattr(theirs, name)
        pd.testing.assert_frame_equal(frame.drop(columns="folder"), other.drop(columns="folder"))


def test_several_folders_stand_below_one_another(folder, levelled_results, tmp_path):
    write(levelled_results, None, tmp_path / "other")
    both = frames.load([folder, tmp_path / "other"])
    assert [*both.rows["folder"].cat.categories] == [
        folder.as_posix(),
        (tmp_path / "other").as_posix(),
    ]
    alone = frames.load(tmp_path / "other")
    assert len(both.rows) == len(frames.load(folder).rows) + len(alone.rows)
    assert [*both.rows["level"].cat.categories] == ["-", "reduce_lr=off", "reduce_lr=fid"]


def test_where_no_run_finished_there_are_rows_and_no_curves(plan, tmp_path):
    ends = {("-", seed): Outcome(Status.FAILED, "why") for seed in range(3)}
    found = tidied({"x": frames.collect(plan, record(plan, tmp_path, outcomes=ends))})
    assert len(found.rows) > 100
    assert [len(found.curves), len(found.summary), len(found.timing)] == [0, 0, 0]
    assert list(found.curves.columns) == MEASURED
    assert found.curves["value"].dtype == "float64"
    assert set(found.runs["reason"]) == {"why"}


@pytest.mark.parametrize("given", [[], "none"])
def test_no_folder_is_an_error_of_one_line(given):
    with pytest.raises(RecordsError, match=r"results folder was given|none/machine\.json"):
        frames.load(given)


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda path: path.parent.name)
def test_committed_results_load(folder):
    found = frames.load(folder)
    assert set(found.curves["metric"].cat.categories) <= set(found.rows["metric"].cat.categories)
    assert found.runs["status"].eq("finished").all()
    assert found.summary["n"].ge(1).all()
    assert (found.arms["arm"] == "raw").any()


def test_rebuilt_averages_are_arms_too():
    (folder,) = [path for path in COMMITTED if path.parent.name == "pggan-posthoc"]
    found = frames.load(folder)
    rebuilt = found.arms[found.arms["mode"] == "posthoc"]
    assert set(rebuilt["arm"]) <= set(found.curves["arm"])
    assert rebuilt["sigma_rel"].between(0, 0.3).all()


def test_the_page_explains_every_column():
    page = (COMMITTED[0].parents[2] / "docs/pages/check-results.md").read_text()
    lines = page.partition("<!-- columns -->\n")[2].partition("<!-- /columns -->")[0]
    ends = ("_min", "_max", "_low", "_high")
    assert lines.splitlines() == [
        "| column | unit | |",
        "|---|---|---|",
        *(
            f"| `{name}` | {column.unit} | {column.meaning} |"
            for name, column in COLUMNS.items()
            if not name.endswith(ends)
        ),
    ]
