import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from report_records import FID, SHADOWS, plan_of, record

from harness.records.types import Outcome, Row, Status
from harness.report import canvas, ema_figure, figures, frames, rate_figure, series
from harness.report.answer import shown_levels
from harness.report.frames import collect
from harness.report.markdown import report

MANY = {f"m{i}": {"interp_cfg": {"half_life_kimg": 2.0**i}} for i in range(8)}


@pytest.fixture
def drawn(monkeypatch):
    """The figures themselves, in the place of their bytes."""
    for module in (figures, ema_figure, rate_figure):
        monkeypatch.setattr(module, "png", lambda drawing: drawing)


def line(axes, label):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


def legend_of(drawing):
    return [text.get_text() for text in drawing.legends[0].get_texts()]


def test_curves_are_medians_with_the_seeds_range(results, drawn):
    drawing = figures.curves(results)
    whole, half = drawing.axes
    raw = line(whole, "raw")
    assert raw.get_xdata().tolist() == [20, 40, 60, 80, 100]
    assert raw.get_ydata().tolist() == [1, 71, 51, 31, 11]
    assert line(half, "raw").get_xdata().tolist() == [60, 80, 100]
    band = whole.collections[0].get_paths()[0].vertices
    assert {y for x, y in band if x == 100} == {10, 12}
    assert line(whole, "real images").get_ydata()[0] == pytest.approx(0.51)


def test_curves_list_arms_from_the_highest_end_to_the_lowest(results, drawn):
    assert legend_of(figures.curves(results)) == ["mean", "raw", "short", "paper", "real images"]


def test_curves_are_logarithmic_only_where_the_range_is_wide(results, drawn):
    whole, half = figures.curves(results).axes
    assert (whole.get_yscale(), half.get_yscale()) == ("log", "linear")


def test_curves_of_factors_are_one_a_level_and_arm_of_interest(levelled_results, drawn):
    names = legend_of(figures.curves(levelled_results))
    assert sorted(names[:-1]) == [
        f"reduce_lr={level}, {arm}" for level in ("fid", "off") for arm in ("paper", "raw")
    ]


def test_ema_has_a_point_for_every_shadow(results, drawn):
    drawing = ema_figure.ema(results)
    lasting, other = drawing.axes[:2]
    points = {c.get_label(): c.lines[0].get_xydata()[0] for c in lasting.containers}
    assert points["paper"] == pytest.approx([34.64, 7.75], rel=1e-3)
    assert points["short"] == pytest.approx([2.0, 10.0])
    assert [c.get_label() for c in other.containers] == ["mean"]
    assert line(lasting, "raw").get_ydata()[0] == 11
    assert legend_of(drawing) == ["raw", "paper", "short", "mean", "real images"]


def test_ema_keeps_shadows_of_one_half_life_apart(tmp_path, drawn):
    same = {"a": {"interp_cfg": {"half_life_kimg": 5}}, "b": {"interp_cfg": {"half_life_kimg": 5}}}
    plan = plan_of(seeds=(0,), shadows=same)
    results = frames.collect(plan, record(plan, tmp_path))
    a, b = (c.lines[0].get_xdata()[0] for c in ema_figure.ema(results).axes[0].containers)
    assert a == 5
    assert 1.05 < b / a < 1.1


def test_reduce_lr_shows_value_best_and_rate_of_one_seed(levelled_results, drawn):
    drawing = rate_figure.reduce_lr(levelled_results)
    off, fid, _, rate = drawing.axes
    assert line(fid, "measured").get_ydata().tolist() == [1, 67, 47, 27, 7]
    assert line(fid, "best so far").get_ydata()[-1] == 7
    assert line(fid, "has to be passed").get_ydata()[-1] == pytest.approx(7 * 0.9)
    assert line(fid, "lowered").get_xdata()[0] == 60
    assert rate.lines[0].get_ydata().tolist() == [0.001] * 5
    assert off.lines[0].get_ydata().tolist() == [1, 72, 52, 32, 12]
    assert fid.get_title() == "reduce_lr=fid, seed 0\nfid[digits-cnn]/raw"


def test_nothing_is_drawn_where_there_is_nothing(tmp_path):
    plan = plan_of(seeds=(0,), shadows={})
    ends = {("-", 0): Outcome(Status.FAILED, "no")}
    results = frames.collect(plan, record(plan, tmp_path, outcomes=ends))
    assert [draw(results) for draw in figures.DRAWINGS.values()] == [None] * 4


def test_values_that_are_not_finite_do_not_stop_a_figure(tmp_path):
    def change(level, seed, rows):
        return [*rows, *(Row(FID, a, math.nan, 100.0, 2000, 1.0) for a in ("raw", "paper"))]

    plan = plan_of(seeds=(0,))
    results = frames.collect(plan, record(plan, tmp_path, change))
    assert figures.curves(results)
    assert ema_figure.ema(results)


def test_pictures_are_small_and_the_same_bytes_each_time(tmp_path):
    plan = plan_of(seeds=(0,), shadows={**MANY, "u": {"interp_mode": "uniform"}})
    results = frames.collect(plan, record(plan, tmp_path))
    for draw in (figures.curves, figures.ema):
        content = draw(results)
        assert content == draw(results)
        assert len(content) < 200_000
        picture = Image.open(io.BytesIO(content))
        assert picture.size[0] >= 800
        assert picture.info.keys() <= {"dpi"}


def test_no_two_series_look_alike():
    looks = [canvas.RAW_LOOK, *map(canvas.look, range(36))]
    assert len({(look.color, look.dashes) for look in looks}) == len(looks)


def test_outliers_are_fenced_out_of_a_close_view():
    values = [*np.linspace(10, 12, 20), 100.0]
    low, high = series.fenced((5.0, 110.0), values)
    assert low < 10
    assert 12 < high < 20
    assert series.fenced((0.0, 1.0), [3.0] * 20) == (0.0, 1.0)


def test_of_many_levels_figures_show_the_first_and_the_best(tmp_path):
    rates = {f"r{i}": 0.001 * (i + 1) for i in range(8)}
    plan = plan_of(
        seeds=(0,), factors={"train.optimizer.lr": rates}, shadows={"mean": SHADOWS["mean"]}
    )
    names = [f"train.optimizer.lr={name}" for name in rates]
    worth = dict(zip(names, (9, 1, 8, 2, 7, 3, 6, 4), strict=True))

    def change(level, seed, rows):
        return [replace(r, value=r.value + worth[level]) for r in rows if r.quantity == FID]

    results = collect(plan, record(plan, tmp_path, change))
    assert shown_levels(results) == tuple(names[i] for i in (0, 1, 3, 5, 6, 7))
    assert "of 8 levels the first and the best" in report(results, ["curves.png"])
    few = collect(plan_of(seeds=(0,)), record(plan_of(seeds=(0,)), tmp_path / "few"))
    assert shown_levels(few) == ("-",)
    assert "the first and the best" not in report(few, ["curves.png"])
