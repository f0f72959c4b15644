"""neighbours.png: each sample, then what is nearest to it."""

import numpy as np
import pytest
from film_records import coloured, found, keep_neighbours, noise, pixels_of
from report_records import plan_of, record

from harness.report import frames
from harness.report.neighbours import picture, ratio
from harness.report.tiles import LARGEST_BYTES


def drawn(tmp_path, **fields):
    plan = plan_of(seeds=(0,))
    runs = record(plan, tmp_path)
    keep_neighbours(runs / plan.runs[0].name, **fields)
    return picture(frames.collect(plan, runs), runs)


def tile(whole, sample, place, px=72):
    step = px + 4
    left = 10 + sample % 2 * (4 * step + 4 + 28) + place * step + (8 if place else 0)
    top = 10 + 28 + sample // 2 * (px + 30)
    return whole[top : top + px, left : left + px]


def test_each_sample_stands_left_of_its_neighbours(tmp_path):
    whole = coloured(pixels_of(drawn(tmp_path)))
    kept = found()
    for sample in (0, 1, 6, 7):
        shown = kept.samples[sample].repeat(9, 0).repeat(9, 1)
        assert (tile(whole, sample, 0) == shown).all()
        for place in range(3):
            near = kept.images[sample, place].repeat(9, 0).repeat(9, 1)
            assert (tile(whole, sample, place + 1) == near).all()


def test_what_stands_below_follows_from_the_distances(tmp_path):
    one = drawn(tmp_path / "one")
    assert one == drawn(tmp_path / "two")
    assert one != drawn(tmp_path / "other", real_median=0.51)
    # Twice the distances over twice the median is the same picture.
    assert one == drawn(tmp_path / "twice", distances=found().distances * 2, real_median=1.0)
    assert ratio(0.1, 0.5) == "0.20x"
    assert ratio(0.1, 0.0) == "0.1"


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_noise_stays_a_small_file(tmp_path, size):
    content = drawn(tmp_path, size=size)
    assert len(content) <= LARGEST_BYTES
    assert len(content) > 0.2 * LARGEST_BYTES


def test_a_long_name_is_not_cut_off(tmp_path):
    whole = coloured(pixels_of(drawn(tmp_path, arm="m" * 40, extractor="inception-v3-compat")))
    assert (whole[:, -8:] == 255).all()


def test_one_sample_alone(tmp_path):
    assert pixels_of(drawn(tmp_path, count=1)).shape[0] == 10 + 28 + 72 + 30


def test_runs_that_kept_none_give_no_picture(tmp_path):
    plan = plan_of(seeds=(0,))
    runs = record(plan, tmp_path)
    assert picture(frames.collect(plan, runs), runs) is None


def test_grey_and_wide_images(tmp_path):
    wide = noise(0, 8, 10, 30, channels=1)
    near = noise(1, 24, 10, 30, channels=1).reshape(8, 3, 10, 30, 1)
    whole = pixels_of(drawn(tmp_path, samples=wide, images=near))
    top = whole[38 : 38 + 30, 10 : 10 + 90]
    assert np.array_equal(top, wide[0, ..., 0].repeat(3, 0).repeat(3, 1))
