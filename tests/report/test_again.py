"""Bests measured again, and noise that is kept apart from training's, from stated numbers."""

import math

import pytest
from fresh_records import lucky, measured_again
from report_records import FID, IS, plan_of, record
from scipy import stats

from harness.records.quantities import fresh
from harness.records.types import Row
from harness.report import again, frames, tables
from harness.report.frames import REAL, Cell


@pytest.fixture(scope="module")
def found(plan, tmp_path_factory):
    return frames.collect(plan, record(plan, tmp_path_factory.mktemp("runs"), lucky))


@pytest.fixture(scope="module")
def of_levels(levelled, tmp_path_factory):
    runs = record(levelled, tmp_path_factory.mktemp("runs"), measured_again)
    return frames.collect(levelled, runs)


def cell(arm, quantity=FID, level="-"):
    return Cell(level, arm, quantity)


def line(results, *where, **more):
    wanted = cell(*where, **more)
    return next(line for line in tables.summary(results) if line.cell == wanted)


def test_a_best_has_its_place_and_its_value_on_fresh_latents(found):
    assert again.bests(found, cell("raw")) == {s: (90.0, 2.0 + s) for s in range(3)}
    assert again.measured_again(found, cell("raw")) == {s: 6.0 + s for s in range(3)}
    assert again.bests(found, cell("paper"))[0] == (100.0, 9.0)
    assert again.measured_again(found, cell("paper")) == {0: 9.1, 1: 7.85, 2: 6.6}


def test_fresh_latents_of_another_evaluation_are_not_the_best_s(plan, tmp_path):
    def change(level, seed, rows):
        return [*measured_again(level, seed, rows), Row(FID, "raw", 2.0, 90.0, 1800, 1.0)]

    results = frames.collect(plan, record(plan, tmp_path, change))
    assert again.measured_again(results, cell("raw")) == {}
    assert line(results, "raw").again is None
    assert line(results, "paper").again is not None


def test_the_first_of_equal_bests_is_the_one_that_was_measured_again(plan, tmp_path):
    def change(level, seed, rows):
        later = [Row(FID, "raw", 2.0 + seed, 95.0, 1900, 1.0)]
        return [*lucky(level, seed, rows), *later]

    results = frames.collect(plan, record(plan, tmp_path, change))
    assert again.measured_again(results, cell("raw")) == {s: 6.0 + s for s in range(3)}


def test_the_last_is_no_metric_of_its_own(found):
    assert found.metrics == (FID, IS)
    assert {one.cell.quantity for one in tables.summary(found)} == {FID, IS}


def test_noise_of_an_arm_in_closed_form(found):
    raw = line(found, "raw")
    assert raw.noise.evaluation.value == pytest.approx(0.3)
    assert raw.noise.total.value == pytest.approx(math.sqrt(1 + 0.09 * 2 / 3))
    assert (raw.noise.sets, raw.noise.runs) == (3, 3)
    assert line(found, "paper").noise.evaluation.value == pytest.approx(0.1)
    assert raw.again.median == 7.0
    assert (raw.best, raw.last.median) == (3.0, 11.0)
    assert line(found, "real").noise is None
    assert line(found, "raw", IS).noise is None
    assert line(found, "raw", IS).again is None


def test_noise_of_a_metric_is_pooled_over_arms(found):
    pooled = again.noise(found, FID)
    assert pooled.evaluation.value == pytest.approx(math.sqrt((3 * 0.09 + 0.01) / 4))
    low, high = stats.chi2.ppf([0.025, 0.975], 6)  # three runs of three sets
    assert pooled.evaluation.low == pytest.approx(pooled.evaluation.value * (6 / high) ** 0.5)
    assert pooled.evaluation.high == pytest.approx(pooled.evaluation.value * (6 / low) ** 0.5)
    between = (3 * 1 + 1.25**2) / 4
    assert pooled.total.value**2 == pytest.approx(between + pooled.evaluation.value**2 * 2 / 3)
    assert again.noise(found, IS) is None


def test_a_paired_difference_has_the_noise_of_the_difference(found):
    difference = line(found, "paper").to_raw.difference
    apart = 0.3 - 0.1
    assert difference.noise == pytest.approx(stats.t.ppf(0.975, 6) * apart / math.sqrt(3))
    assert not difference.below_noise
    assert line(found, "short").to_raw.difference.noise == 0
    assert line(found, "paper", IS).to_raw.difference.noise is None


def test_levels_have_the_noise_of_both(of_levels):
    difference = line(of_levels, "raw", level="reduce_lr=fid").to_first.difference
    width = stats.t.ppf(0.975, 12) * math.sqrt(2 * 0.09 / 3)
    assert difference.noise == pytest.approx(width)
    assert again.noise(of_levels, FID).runs == 6


def test_noise_between_arms_is_unknown_where_a_seed_lacks_it(plan, tmp_path):
    def change(level, seed, rows):
        return rows if seed == 1 else measured_again(level, seed, rows)

    results = frames.collect(plan, record(plan, tmp_path, change))
    assert again.on_sets(results, cell("raw")).keys() == {0, 2}
    assert line(results, "paper").to_raw.difference.noise is None
    assert line(results, "raw").again is None
    assert line(results, "raw").noise.runs == 2


def test_arms_with_unequal_sets_are_held_to_those_that_all_have(plan, tmp_path):
    def change(level, seed, rows):
        more = measured_again(level, seed, rows)
        return [r for r in more if not (r.arm == "paper" and r.quantity.startswith("fresh2"))]

    results = frames.collect(plan, record(plan, tmp_path, change))
    assert again.noise(results, FID).sets == 2
    assert line(results, "paper").to_raw.difference.noise > 0


def test_results_without_fresh_latents_are_as_they_were(results):
    assert again.noise(results, FID) is None
    for one in tables.summary(results):
        assert (one.again, one.noise, one.middle) == (None, None, None)
    header = tables.summary_text(results).splitlines()[0]
    assert header == ",".join(tables.SUMMARY_COLUMNS)


def test_summary_csv_holds_what_fresh_latents_say(found):
    head, *records = (text.split(",") for text in tables.summary_text(found).splitlines())
    assert head == [*tables.SUMMARY_COLUMNS, *tables.NOISE_COLUMNS]
    by_arm = {(r[1], r[2]): dict(zip(head, r, strict=True)) for r in records}
    raw, paper = by_arm["raw", FID], by_arm["paper", FID]
    assert (raw["best_during_training"], raw["best_on_fresh_latents"]) == ("3.0", "7.0")
    assert float(raw["evaluation_sd"]) == pytest.approx(0.3)
    assert float(raw["evaluation_sd_low"]) < 0.3 < float(raw["evaluation_sd_high"])
    assert float(raw["evaluation_share"]) == pytest.approx(0.09 / 1.06)
    assert (raw["evaluation_half_width"], paper["evaluation_half_width"] > "0.2") == ("", True)
    assert {by_arm["raw", IS][name] for name in tables.NOISE_COLUMNS} == {""}
    assert {by_arm[REAL, FID][name] for name in tables.NOISE_COLUMNS} == {""}


def test_ten_seeds_have_a_middle_mean_and_nine_have_not(tmp_path):
    for count in (9, 10):
        plan = plan_of(seeds=tuple(range(count)))
        results = frames.collect(plan, record(plan, tmp_path / str(count)))
        raw = line(results, "raw")
        assert (raw.middle is None) == (count == 9)
        assert raw.typical.value == (8.0 if count == 9 else 7.5)
        columns = tables.summary_text(results).splitlines()[0]
        assert columns.endswith("middle_mean_high") == (count == 10)
    assert raw.typical.low > raw.last.low
    assert line(results, "raw").typical == raw.middle


def test_a_column_is_of_one_statistic(tmp_path):
    """One arm lacks a seed: all lines of the metric show medians."""
    plan = plan_of(seeds=tuple(range(10)))

    def change(level, seed, rows):
        return [r for r in rows if not (seed == 0 and r.arm == "paper" and r.quantity == FID)]

    results = frames.collect(plan, record(plan, tmp_path, change))
    assert line(results, "raw").middle is None
    assert line(results, "raw", IS).middle is not None


def test_names_of_fresh_quantities():
    assert fresh(FID, 3) == "fresh3/fid[digits-cnn]"
