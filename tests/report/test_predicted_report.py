"""A report shows what was predicted beside what came, of runs that were trained whole."""

from html import escape

import pytest
from report_records import MACHINE, RULES, plan_of, record

from harness.records.files import write_json
from harness.records.predicted import FILE, Prediction, write
from harness.records.types import Outcome, Status
from harness.report.frames import collect, read
from harness.report.predicted import beside_actual
from harness.report.text import Table, plain
from harness.report.update import update
from harness.report.verify import check_tables
from harness.report.wording import prose
from harness.report.write import write as write_results

SEC = {"run_sec": (125.0, 110.0, 140.0)}
PEAK = {"peak_rss_gib": (1.0, 0.8, 1.05)}


def predicted():
    """Runs of seeds 0, 1 and 2 take 120, 130 and 140 s, and 1.1 GiB at most."""
    return Prediction("cpu", 3, "a calibration on this kind of machine", {"-": SEC | PEAK})


def trained(folder, *predictions, planned=None, **records):
    planned = planned or plan_of()
    runs_dir = record(planned, folder / "runs", **records)
    if predictions:
        write(runs_dir / FILE, predictions)
    return collect(planned, runs_dir)


def rows_of(results):
    (table, *_) = beside_actual(results) or [Table([], [])]
    return [[plain(cell) for cell in row] for row in table.rows]


def test_predicted_interval_actual_and_ratio(tmp_path):
    results = trained(tmp_path, predicted())
    assert rows_of(results) == [
        ["all", "s a run, 3 runs", "125", "110 to 140", "130", "1.04"],
        ["all", "GiB at most, 3 runs", "1.00", "0.80 to 1.05", "1.10, outside", "1.10"],
    ]
    _, told = beside_actual(results)
    together = "Together 0.108 hours of runs, predicted 0.104 (0.092 to 0.117)."
    assert plain(told).split(" Predicted when")[0] == together
    assert "from a calibration on this kind of machine, 3 side by side." in plain(told)
    assert "count" not in plain(told)


def test_only_runs_trained_whole_count(tmp_path):
    stopped = {**MACHINE, "resumed": [{"iteration": 9, "same_kind": True, "same_source": True}]}
    planned = plan_of()
    results = trained(
        tmp_path,
        predicted(),
        planned=planned,
        outcomes={("-", 1): Outcome(Status.DIVERGED, "it did"), ("-", 2): None},
    )
    assert rows_of(results)[0] == ["all", "s a run, 1 runs", "125", "110 to 140", "120", "0.96"]
    _, told = beside_actual(results)
    assert "1 of 3 runs count: those trained whole." in plain(told)
    write_json(tmp_path / "runs" / planned.runs[0].name / "machine.json", stopped)
    assert beside_actual(collect(planned, tmp_path / "runs")) == []


def test_levels_have_a_line_each_and_their_own_prediction(tmp_path):
    planned = plan_of(factors={"reduce_lr": RULES})
    slow = {"run_sec": (260.0, 1.0, 500.0)}
    both = Prediction("cpu", 3, "a guess", {"reduce_lr=off": SEC, "reduce_lr=fid": slow})
    rows = rows_of(trained(tmp_path, both, planned=planned))
    assert [(row[0], row[2], row[5]) for row in rows] == [
        ("reduce_lr=off", "125", "1.04"),
        ("reduce_lr=fid", "260", "0.50"),
    ]


def test_a_run_is_held_to_what_was_predicted_when_it_began(tmp_path):
    planned = plan_of()
    later = Prediction(
        "cpu", 2, "a guess", {"-": {"run_sec": (280.0, 1.0, 300.0)}}, (planned.runs[2].name,)
    )
    results = trained(tmp_path, predicted(), later, planned=planned)
    seconds, peak = rows_of(results)
    mean = (125 + 125 + 280) / 3
    assert seconds[2] == f"{mean:.0f}"
    assert peak[1] == "GiB at most, 2 runs"


def test_results_keep_it_and_are_rebuilt_from_it(tmp_path):
    folder = tmp_path / "results"
    write_results(trained(tmp_path, predicted()), tmp_path / "runs", folder)
    assert (folder / FILE).read_bytes() == (tmp_path / "runs" / FILE).read_bytes()
    text = (folder / "report.md").read_text()
    cost = text.split("## Cost")[1].split("## ")[0]
    assert "| all | s a run, 3 runs | 125 | 110 to 140 | 130 | 1.04 |" in cost
    assert "110 to 140" in (folder / "report.html").read_text()
    assert f"evidence {FILE} " in (folder / "results.lock").read_text()
    assert check_tables(folder) == []
    assert read(folder).predicted == (predicted(),)
    assert update(folder) == []
    assert (folder / "report.md").read_text() == text


def test_a_changed_prediction_is_found_out(tmp_path):
    folder = tmp_path / "results"
    write_results(trained(tmp_path, predicted()), tmp_path / "runs", folder)
    text = (folder / FILE).read_text()
    (folder / FILE).write_text(text.replace("125.0", "130.0"))
    problems = " ".join(check_tables(folder))
    assert "report.md" in problems
    assert FILE in problems


def test_without_one_nothing_is_said_and_nothing_is_left_of_an_earlier_one(tmp_path):
    folder = tmp_path / "results"
    write_results(trained(tmp_path, predicted()), tmp_path / "runs", folder)
    (tmp_path / "runs" / FILE).unlink()
    results = collect(plan_of(), tmp_path / "runs")
    assert beside_actual(results) == []
    write_results(results, tmp_path / "runs", folder)
    assert not (folder / FILE).exists()
    assert "predicted" not in (folder / "report.md").read_text()
    assert check_tables(folder) == []


@pytest.mark.parametrize("source", ["a <b>|c", "[x](http://y)"])
def test_words_from_the_file_do_nothing(source, tmp_path):
    results = trained(tmp_path, Prediction("cpu", 3, source, {"-": SEC}))
    folder = tmp_path / "results"
    write_results(results, tmp_path / "runs", folder)
    assert f"from {prose(source)}, 3 side by side" in (folder / "report.md").read_text()
    assert (
        f"from <bdi>{escape(source)}</bdi>, 3 side by side" in (folder / "report.html").read_text()
    )
