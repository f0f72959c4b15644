"""FID over the EMA's length: its table, its sentence and its figure, from stated numbers."""

import math

import pytest
from report_records import FID, RULES, plan_of, record

from harness.plan.expand import expand
from harness.records.types import Outcome, Row, Status
from harness.report import frames, posthoc_figure
from harness.report.markdown import report
from harness.report.posthoc import lengths, rebuilt_answers, rebuilt_table
from harness.report.text import markdown_blocks
from harness.report.verify import check_tables
from harness.report.write import write
from harness.spec.load import apply_override, validated

WIDTHS = (0.12, 0.05, 0.08)
LIVE = {"live": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.08}}}
END = {"kimg": 100.0, "iteration": 2000, "sec": 150.0}


def posthoc_plan(**settings):
    plan = plan_of(shadows=LIVE, **settings)
    observers = {"every_kimg": 5, "rebuild": list(WIDTHS)}
    content = plan.spec.model_dump(mode="json", exclude={"tiers"})
    return expand(
        "demo", "quick", validated(apply_override(content, "observers.posthoc", observers))
    )


def value(width, seed):
    """Lowest at 0.08, where it is 4.5 minus the seed's number."""
    return 4.5 - seed + 100 * abs(width - 0.08)


def rebuilt(level, seed, rows):
    arms = [(f"posthoc-{width:g}", width) for width in WIDTHS]
    more = [Row(FID, arm, value(width, seed), **END) for arm, width in arms]
    more += [Row("posthoc_misfit", arm, width / 10, **END) for arm, width in arms]
    return [*rows, *more, Row("posthoc_error", "live", 1e-4 * (1 + seed), **END)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    plan = posthoc_plan()
    return frames.collect(plan, record(plan, tmp_path_factory.mktemp("runs"), rebuilt))


def test_lengths_rise_and_know_their_span_and_their_twin(results):
    found = lengths(results, "-", FID)
    assert [one.sigma_rel for one in found] == [0.05, 0.08, 0.12]
    assert [one.kimg for one in found] == pytest.approx([5, 8, 12])
    assert [one.value.median for one in found] == pytest.approx([6.5, 3.5, 7.5])
    assert [one.twin for one in found] == [None, "live", None]
    assert [one.error for one in found] == [None, pytest.approx(3e-4), None]
    assert found[1].to_raw.difference.value == pytest.approx(-7.5)
    assert found[1].to_raw.family == 3


def test_the_table_has_a_line_for_each_length(results):
    text = markdown_blocks(rebuilt_table(results))
    lines = [line for line in text.splitlines() if line.startswith("| 0.")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [line[0] for line in cells] == ["0.05", "0.08", "0.12"]
    assert cells[1][:5] == ["0.08", "8.00", "3", "3.500", "2.500 to 4.500"]
    assert cells[1][7:] == ["0.8 %", "`live`", "10.500", "0.03 %"]
    assert cells[0][7:] == ["0.5 %", "", "", ""]


def test_the_answer_names_the_best_length(results):
    (said,) = rebuilt_answers(results)
    assert said.startswith(
        "Of 3 EMA lengths rebuilt after training, sigma_rel 0.08 (8.00 kimg) has the lowest "
        "FID[digits-cnn]: 3.50; it is lower by 7.50 ± 0.00 than `raw` over 3 seeds"
    )
    assert said in report(results, ())


def test_rebuilt_lengths_stand_apart_from_the_arms_of_training(results):
    text = report(results, ())
    assert "| `posthoc-" not in text
    assert "## EMA lengths rebuilt after training" in text


def test_a_report_without_them_does_not_speak_of_them(tmp_path):
    plan = plan_of()
    results = frames.collect(plan, record(plan, tmp_path))
    assert rebuilt_answers(results) == []
    assert rebuilt_table(results) == []
    assert posthoc_figure.posthoc(results) is None


def test_a_folder_with_them_is_rebuilt_from_its_rows(results, tmp_path):
    folder = tmp_path / "demo" / "quick"
    write(results, None, folder)
    assert (folder / "posthoc.png").stat().st_size > 10_000
    assert "](posthoc.png)" in (folder / "report.md").read_text()
    assert check_tables(folder) == []
    text = (folder / "runs.csv").read_text()
    misfit = "posthoc_misfit,100.0,2000,150.0,0.008"
    assert text.count(misfit) == 3
    (folder / "runs.csv").write_text(text.replace(misfit, f"{misfit}9"))
    table, page, *locked = check_tables(folder)
    assert "report.md:" in table
    assert "report.html:" in page
    assert any("runs.csv: not what was locked" in line for line in locked)


def test_each_level_has_its_own_lengths(tmp_path):
    plan = posthoc_plan(factors={"reduce_lr": RULES})
    results = frames.collect(plan, record(plan, tmp_path, rebuilt))
    assert [said.split(",")[0] for said in rebuilt_answers(results)] == [
        "With `reduce_lr=off`",
        "With `reduce_lr=fid`",
    ]
    assert markdown_blocks(rebuilt_table(results)).count("| `reduce_lr=fid` |") == 3


@pytest.fixture
def drawn(monkeypatch):
    monkeypatch.setattr(posthoc_figure, "png", lambda drawing: drawing)


def test_the_figure_has_a_line_with_a_band_and_marks_for_live_ones(results, drawn):
    axes, above = posthoc_figure.posthoc(results).axes
    (line,) = [line for line in axes.lines if line.get_label() == "rebuilt"]
    assert line.get_xdata().tolist() == [0.05, 0.08, 0.12]
    assert line.get_ydata().tolist() == pytest.approx([6.5, 3.5, 7.5])
    band = axes.collections[0].get_paths()[0].vertices
    assert {round(float(y), 9) for x, y in band if x == 0.08} == {2.5, 4.5}
    (live,) = axes.containers
    assert live.lines[0].get_xydata().tolist() == [[0.08, 10.5]]
    (raw,) = [line for line in axes.lines if line.get_label() == "raw"]
    assert raw.get_ydata()[0] == 11
    assert above.get_xlim() == pytest.approx([100 * x for x in axes.get_xlim()])


def test_values_that_are_not_finite_do_not_stop_the_figure(tmp_path):
    def change(level, seed, rows):
        return [*rebuilt(level, seed, rows), Row(FID, "posthoc-0.05", math.nan, **END)]

    plan = posthoc_plan()
    assert posthoc_figure.posthoc(frames.collect(plan, record(plan, tmp_path, change)))


def test_runs_that_failed_are_left_out(tmp_path):
    plan = posthoc_plan()
    ends = {("-", 1): Outcome(Status.FAILED, "no")}
    results = frames.collect(plan, record(plan, tmp_path, rebuilt, outcomes=ends))
    assert {one.value.n for one in lengths(results, "-", FID)} == {2}
