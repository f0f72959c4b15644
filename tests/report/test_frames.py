import math
import struct

import pytest
from report_records import FID, MACHINE, plan_of, record

from harness.errors import RecordsError
from harness.records.types import Outcome, Row, Status
from harness.report import figures, frames
from harness.report.frames import Cell
from harness.report.tabular import table_text
from harness.report.write import write


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr(figures, "DRAWINGS", {})


def there_and_back(plan, tmp_path, **records):
    results = frames.collect(plan, record(plan, tmp_path / "runs", **records))
    write(results, None, tmp_path / "results")
    return results, frames.read(tmp_path / "results")


def test_every_planned_run_is_listed_with_its_end(tmp_path):
    plan = plan_of(seeds=(0, 1, 2, 3, 4))
    ends = {
        ("-", 1): Outcome(Status.DIVERGED, "a loss was NaN\n at iteration 7"),
        ("-", 2): None,
        ("-", 3): Outcome(Status.FAILED, "out of memory"),
    }
    runs = record(plan_of(seeds=(0, 1, 2, 3)), tmp_path, outcomes=ends)
    results = frames.collect(plan, runs)
    assert results.outcomes["status"] == [
        *("finished", "diverged", "interrupted", "failed", "missing")
    ]
    assert results.outcomes["reason"][1] == "a loss was NaN at iteration 7"
    assert results.outcomes["run"] == [run.name for run in plan.runs]
    assert results.finished == {"-": [0]}


def test_rows_of_runs_that_did_not_finish_are_kept_but_not_used(plan, tmp_path):
    ends = {("-", 1): Outcome(Status.DIVERGED, "NaN")}
    results = frames.collect(plan, record(plan, tmp_path, outcomes=ends))
    assert set(results.rows["seed"]) == {0, 1, 2}
    assert set(results.last(Cell("-", "raw", FID))) == {0, 2}


def test_last_value_is_of_the_last_iteration_as_measured_last(plan, tmp_path):
    def resumed(level, seed, rows):
        again = Row(FID, "raw", 77.0, 100.0, 2000, 9.0)
        return [*reversed(rows), again]

    results = frames.collect(plan, record(plan, tmp_path, resumed))
    assert results.last(Cell("-", "raw", FID)) == {0: 77.0, 1: 77.0, 2: 77.0}
    kimg = [at for at, _ in results.curves[Cell("-", "raw", FID)][0]]
    assert kimg == [20.0, 40.0, 60.0, 80.0, 100.0]


def test_rows_are_sorted_whatever_their_order_on_disk(plan, tmp_path):
    one = frames.collect(plan, record(plan, tmp_path / "a"))
    other = record(plan, tmp_path / "b", lambda level, seed, rows: rows[::-1])
    assert table_text(one.rows) == table_text(frames.collect(plan, other).rows)
    assert list(dict.fromkeys(one.rows["arm"])) == ["real", "raw", "paper", "short", "mean", "run"]


@pytest.mark.usefixtures("undrawn")
def test_values_survive_the_csv_to_the_bit(plan, tmp_path):
    odd = [0.1 + 0.2, 5e-324, -0.0, math.inf, math.nan, 1e22, 1 / 3]

    def change(level, seed, rows):
        return [*rows, *(Row("loss/g", "run", v, 0.1, i, 1 / 3) for i, v in enumerate(odd))]

    collected, back = there_and_back(plan, tmp_path, change=change)
    for column in ("value", "sec", "kimg"):
        pairs = zip(collected.rows[column], back.rows[column], strict=True)
        assert all(struct.pack("<d", a) == struct.pack("<d", b) for a, b in pairs)
    assert table_text(back.rows) == table_text(collected.rows)
    assert back.outcomes == collected.outcomes
    assert back.machine == MACHINE
    assert back.plan == plan


@pytest.mark.usefixtures("undrawn")
def test_levels_with_commas_and_reasons_with_quotes_survive(tmp_path):
    plan = plan_of(
        seeds=(0, 1),
        factors={"train.optimizer.lr": {"a": 0.1, "b": 0.2}, "train.batch_size": {"c": 50}},
    )
    level = "train.optimizer.lr=b,train.batch_size=c"
    ends = {(level, 1): Outcome(Status.FAILED, 'said "no", twice')}
    collected, back = there_and_back(plan, tmp_path, outcomes=ends)
    assert back.finished == collected.finished
    assert back.finished[level] == [0]
    assert back.outcomes["reason"][3] == 'said "no", twice'


def test_other_machines_and_sources_are_kept_beside_the_first(plan, tmp_path):
    record(plan, tmp_path)
    other = {**MACHINE, "source": {"digest": "other"}}
    record(plan_of(seeds=(2,)), tmp_path, machine=other)
    machine = frames.collect(plan, tmp_path).machine
    first, second, third = (run.name for run in plan.runs)
    assert machine == {**MACHINE, "runs": [first, second], "also": [{**other, "runs": [third]}]}


@pytest.mark.usefixtures("undrawn")
def test_where_runs_went_on_is_kept_with_their_names_and_splits_no_machine(plan, tmp_path):
    place = {"iteration": 30, "same_kind": True, "same_source": True}
    again = {**place, "iteration": 50, "same_source": False}
    record(plan, tmp_path)
    record(plan_of(seeds=(1,)), tmp_path, machine={**MACHINE, "resumed": [place, again]})
    record(plan_of(seeds=(2,)), tmp_path, machine={**MACHINE, "resumed": [place]})
    collected = frames.collect(plan, tmp_path)
    write(collected, None, tmp_path / "results")
    _, first, second = (run.name for run in plan.runs)
    places = [
        {"run": first, **place},
        {"run": first, **again},
        {"run": second, **place},
    ]
    assert collected.machine == {**MACHINE, "resumed": places}
    assert frames.read(tmp_path / "results").machine == collected.machine


def test_a_factor_changes_what_an_average_spans(tmp_path):
    plan = plan_of(seeds=(0,), factors={"train.batch_size": {"small": 50, "large": 100}})
    results = frames.collect(plan, record(plan, tmp_path))
    small, large = (results.arms(level)[1].half_life_kimg for level in plan.levels)
    assert large == pytest.approx(2 * small)


def test_no_records_at_all_say_what_to_run(plan, tmp_path):
    with pytest.raises(RecordsError, match=r"harness run experiments/demo.yaml --tier quick"):
        frames.collect(plan, tmp_path)


def test_unknown_quantities_are_refused(plan, tmp_path):
    runs = record(plan, tmp_path, lambda *_: [Row("speed", "run", 1.0, 1.0, 1, 1.0)])
    with pytest.raises(RecordsError, match="speed: not a known quantity"):
        frames.collect(plan, runs)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("runs.csv", lambda t: t[:-9], r"the last line has no end: was the file cut off\?"),
        ("runs.csv", lambda t: t.replace("2000", "2e3", 1), "iteration '2e3' is not a number"),
        ("runs.csv", lambda t: t.replace(",kimg,", ",epoch,"), "the columns are not run,level,"),
        ("runs.csv", lambda t: t + "a,b\n", r"runs.csv:\d+: holds 2 fields, not 9"),
        ("runs.csv", lambda t: "", "the columns are not run,level,"),
        ("outcomes.csv", lambda t: t.replace(",-,0,", ",-,9,"), "level '-', seed 9 is not in"),
        ("machine.json", lambda t: t.replace('"format": 1', '"format": 2'), "format 2 is not one"),
        ("spec.yaml", lambda t: "a: [", "is not YAML"),
        ("spec.yaml", lambda t: t.replace("experiment:", "other:"), "names no experiment and tier"),
    ],
)
def test_torn_or_foreign_files_are_refused_in_one_line(folder, name, change, said):
    path = folder / name
    path.write_text(change(path.read_text()))
    with pytest.raises(RecordsError, match=said) as refused:
        frames.read(folder)
    assert "\n" not in str(refused.value)
    assert name in str(refused.value)


def test_rows_are_a_pandas_frame_for_who_asks(tmp_path):
    runs = record(plan_of(seeds=(0, 1)), tmp_path)
    results = frames.collect(plan_of(seeds=(0, 1)), runs)
    frame = results.frame()
    assert list(frame.columns) == list(frames.ROW_TYPES)
    assert frame["value"].tolist() == results.rows["value"]
    assert frame.groupby("seed").size().to_dict() == {0: len(frame) // 2, 1: len(frame) // 2}
