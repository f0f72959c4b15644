"""`harness calibrate` measures, keeps and prices; --check holds predictions to clocks."""

import csv

import pytest
from report_records import MACHINE, plan_of, record

from harness.cli import main
from harness.commands import calibrating
from harness.commands.calibrating import Checked
from harness.plan.estimate import Estimate
from harness.records.hardware import hardware
from harness.records.predicted import FILE, read
from harness.report.frames import collect
from harness.report.statistics import Spread
from harness.report.write import write as write_results

QUICKLY = ("--sec", "1", "--jobs", "1")


def plan_lines(capsys, *arguments):
    capsys.readouterr()
    assert main(["plan", "question.yaml", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def line(lines, word):
    (found,) = (line for line in lines if line.startswith(f"  {word} "))
    return found


def test_a_calibration_takes_the_guess_s_place_until_it_is_torn(place, capsys):
    guessed = plan_lines(capsys, "--jobs", "1")
    assert "rates of two 2.5 GHz cores, within a factor of 3" in line(guessed, "priced by")
    assert main(["calibrate", "question.yaml", *QUICKLY]) == 0
    said = capsys.readouterr().out
    (kept,) = (place / "cache" / "calibrations").iterdir()
    assert str(kept) in said
    assert "a calibration on this kind of machine" in line(said.splitlines(), "priced by")
    for more in ([], ["seeds=[3,4,5]"], ["train.kimg=50"]):
        lines = plan_lines(capsys, "--jobs", "1", *more)
        assert "a calibration on this kind of machine" in line(lines, "priced by")
    assert "rates of" in line(plan_lines(capsys, "--jobs", "2"), "priced by")
    kept.write_text(kept.read_text()[:99])
    lines = plan_lines(capsys, "--jobs", "1")
    assert "rates of" in line(lines, "priced by")
    assert str(kept) in line(lines, "note")
    assert not any(line.startswith("  note") for line in guessed)


def test_what_held_when_runs_began_is_kept_and_reported(place, capsys):
    assert main(["run", "question.yaml", "--jobs", "2"]) == 0
    (prediction,) = read(place / "runs" / "question" / "quick" / FILE)
    assert prediction.runs is None
    assert prediction.source == "rates of two 2.5 GHz cores, within a factor of 3"
    value, low, high = prediction.levels["-"]["run_sec"]
    assert low < value < high
    results = place / "results" / "question" / "quick"
    assert read(results / FILE) == (prediction,)
    assert "| all | s a run, 2 runs |" in (results / "report.md").read_text()
    before = (place / "runs" / "question" / "quick" / FILE).read_bytes()
    # Now there is an earlier report to predict from, and no run that has not begun.
    assert "the runs reported in" in line(plan_lines(capsys, "--jobs", "2"), "priced by")
    assert main(["run", "question.yaml", "--jobs", "2"]) == 0
    assert (place / "runs" / "question" / "quick" / FILE).read_bytes() == before


def test_gpus_are_priced_where_there_are_none(place, capsys):
    one, four = (plan_lines(capsys, "--gpus", n, "seeds=[0,1,2,3]") for n in ("1", "4"))
    assert "1 on each of 1 GPUs" in line(one, "predicted")
    assert "1 on each of 4 GPUs" in line(four, "predicted")
    assert "GPU-hours" in line(four, "predicted")
    assert "; of each GPU " in line(four, "memory")
    assert "not measured, within a factor of 10" in line(four, "priced by")
    assert line(one, "disk") == line(four, "disk")


def test_a_spec_or_results_have_to_be_named(place, capsys):
    assert main(["calibrate"]) == 2
    assert "name a spec, or results with --check" in capsys.readouterr().err


def checked(place, capsys, *more):
    """Check the small question's own runs, of a stated length."""
    assert main(["run", "question.yaml", "--jobs", "2", "seeds=[0]"]) == 0
    (results,) = (place / "results" / "question").iterdir()
    capsys.readouterr()
    code = main(["calibrate", "--check", str(results), "--out", "price", "--sec", "1", *more])
    lines = (place / "price" / "price.csv").read_text().splitlines()
    return code, list(csv.DictReader(lines)), results


def test_predictions_are_written_beside_what_came(place, capsys):
    code, (row,), results = checked(place, capsys)
    (timed,) = csv.DictReader((results / "timing.csv").read_text().splitlines())
    assert float(row["actual_sec"]) == pytest.approx(float(timed["run_sec"]), rel=1e-5)
    predicted, ratio = float(row["predicted_sec"]), float(row["actual_over_predicted"])
    assert ratio == pytest.approx(float(row["actual_sec"]) / predicted, rel=1e-4)
    assert code == (0 if abs(ratio - 1) <= 0.2 else 1)
    assert float(row["low_sec"]) < predicted < float(row["high_sec"])
    assert [row[name] for name in ("experiment", "level", "runs")] == ["question", "-", "1"]
    text = (place / "price" / "price.md").read_text()
    assert f"{1 - code} of 1 tiers came out within 20%" in text
    assert f"together: {ratio:.2f} to {ratio:.2f} times it. Of their levels {1 - code} of 1" in text
    assert "| question, quick | - |" in text


def test_a_tier_is_all_runs_of_its_levels():
    lines = [
        Checked("one", "quick", "a", 3, Estimate(100, 90, 110), Spread(3, 130, 130, 130, 130)),
        Checked("one", "quick", "b", 1, Estimate(300, 250, 350), Spread(1, 270, 270, 270, 270)),
        Checked("two", "quick", "-", 2, Estimate(10, 9, 11), Spread(2, 7, 7, 7, 7)),
    ]
    text = calibrating._text(lines, 60, again=True)
    assert "1 of 2 tiers came out within 20%" in text
    assert "0.70 to 1.10 times it. Of their levels 1 of 3 did, 1 inside" in text


def test_runs_trained_again_bring_clocks_of_their_own(place, capsys):
    _, (row,), results = checked(place, capsys, "--again")
    (timed,) = csv.DictReader((results / "timing.csv").read_text().splitlines())
    assert float(row["actual_sec"]) > 0
    assert float(row["actual_sec"]) != pytest.approx(float(timed["run_sec"]), rel=1e-5)
    text = (place / "price" / "price.md").read_text()
    assert "The runs were trained right after that." in text


def test_results_without_clocks_are_refused(place, capsys):
    planned = plan_of()
    machine = {**MACHINE, **{name: hardware("cpu")[name] for name in ("cpu", "cores", "device")}}

    def timeless(level, seed, rows):
        return [row for row in rows if not row.quantity.startswith("time/")]

    runs = record(planned, place / "runs", change=timeless, machine=machine)
    write_results(collect(planned, runs), runs, place / "results")
    assert main(["calibrate", "--check", "results"]) == 2
    assert "no run there has finished with its clocks" in capsys.readouterr().err
