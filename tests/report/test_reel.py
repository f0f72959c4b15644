"""A run's frames become a film of a results folder: which pixels stand where, and how many."""

import numpy as np
import pytest
from film_records import coloured, frames_of, keep_film, noise, pixels_of
from report_records import plan_of, record

from harness.records.types import Outcome, Status
from harness.report import film, frames
from harness.report.reel import filmed, reel
from harness.report.tiles import LARGEST_BYTES

ARMS = ("raw", "paper", "short", "mean")


def reel_of(tmp_path, kept, real, arms=ARMS):
    shadows = {name: {"interp_mode": "uniform"} for name in arms[1:]}
    plan = plan_of(seeds=(0,), shadows=shadows)
    runs = record(plan, tmp_path / "runs")
    keep_film(runs / plan.runs[0].name, kept, real)
    return reel(frames.collect(plan, runs), runs)


def tile(made, arm, frame, row, column, px=None):
    """Cut one tile out of a film's picture."""
    px = px or made.tile_px
    picture = coloured(pixels_of(made.pictures[arm]))
    top = (frame * made.rows + row) * px
    return picture[top : top + px, column * px : (column + 1) * px]


def test_frames_stand_below_each_other_and_latents_at_one_place(tmp_path):
    kept = frames_of(ARMS, 5)
    real = noise(0)
    made = filmed(reel_of(tmp_path, kept, real))
    assert (made.level, made.seed, made.arms) == ("-", 0, ARMS)
    assert made.kimg == (10, 20, 30, 40, 50)
    assert (made.columns, made.rows, made.tile_px) == (4, 4, 8)
    assert set(made.pictures) == {*ARMS, "real"}
    for arm in ARMS:
        for frame in range(5):
            for at in (0, 5, 15):
                shown = tile(made, arm, frame, at // 4, at % 4)
                assert (shown == kept[frame][1][arm][at]).all()
    assert (tile(made, "real", 0, 3, 1) == real[13]).all()


def test_smaller_frames_are_enlarged_to_the_final_size_pixel_by_pixel(tmp_path):
    small, large = noise(1, height=4), noise(2)
    made = filmed(reel_of(tmp_path, [(1, {"raw": small}), (2, {"raw": large})], noise(0), ("raw",)))
    assert made.tile_px == 8
    assert (tile(made, "raw", 0, 0, 1) == small[1].repeat(2, 0).repeat(2, 1)).all()
    assert (tile(made, "raw", 1, 0, 1) == large[1]).all()


def test_a_wide_image_is_not_made_square(tmp_path):
    kept = [(1, {"raw": noise(1, 6, 5, 7)}), (2, {"raw": noise(2, 6, 12, 20)})]
    real = noise(0, 1, 12, 20)
    made = filmed(reel_of(tmp_path, kept, real, ("raw",)))
    assert (made.columns, made.rows, made.tile_px) == (3, 2, 20)
    whole = pixels_of(made.pictures["raw"])
    assert whole.shape == (2 * 2 * 20, 3 * 20, 4)
    assert (whole[40 + 4 : 40 + 16, 20:40, :3] == kept[1][1]["raw"][1]).all()
    assert (whole[40:44, :, 3] == 0).all()
    only = pixels_of(made.pictures["real"])
    assert only.shape == (20, 20, 4)
    assert (only[4:16, :, :3] == real[0]).all()


def test_arms_that_are_equal_have_equal_pictures(tmp_path):
    same = noise(1)
    made = filmed(reel_of(tmp_path, [(1, {"raw": same, "paper": same})], noise(0), ARMS[:2]))
    assert made.pictures["raw"] == made.pictures["paper"]


@pytest.mark.parametrize(
    ("arms", "count", "size", "least"),
    [
        (1, 40, 32, {"frames": 8, "tiles": 9, "tile_px": 32}),
        (10, 12, 32, {"frames": 8, "tiles": 4, "tile_px": 32}),
        (4, 9, 128, {"frames": 8, "tiles": 4, "tile_px": 32}),
        (30, 3, 64, {"frames": 1, "tiles": 1, "tile_px": 32}),
    ],
)
def test_noise_is_thinned_until_it_is_small(tmp_path, arms, count, size, least):
    names = ("raw", *(f"e{number}" for number in range(1, arms)))
    kept = frames_of(names, count, height=size, count=16)
    made = filmed(reel_of(tmp_path, kept, noise(0, height=size), names))
    film.write(tmp_path, made)
    sizes = [path.stat().st_size for path in (tmp_path / "film").iterdir()]
    assert max(sizes) < LARGEST_BYTES
    assert (
        0.2 * film.MOST_BYTES < sum(sizes) + (arms == 1) * 1e6 < film.MOST_BYTES + (arms == 1) * 1e6
    )
    assert film.read(tmp_path) == made
    assert len(made.kimg) >= least["frames"]
    assert made.columns * made.rows >= least["tiles"]
    assert made.tile_px >= least["tile_px"]
    assert made.kimg[-1] == kept[-1][0]
    if size == made.tile_px:
        assert (tile(made, "raw", len(made.kimg) - 1, 0, 0) == kept[-1][1]["raw"][0]).all()


def test_all_arms_and_frames_of_small_images_are_shown(tmp_path):
    names = ("raw", *(f"e{number}" for number in range(1, 10)))
    made = filmed(reel_of(tmp_path, frames_of(names, 8), noise(0), names))
    assert (len(made.kimg), made.columns, made.rows) == (8, 4, 4)


def test_of_very_many_frames_the_first_and_last_are_among_those_read(tmp_path):
    kept = frames_of(["raw"], 60, count=4, height=2)
    found = reel_of(tmp_path, kept, noise(0, height=2), ("raw",))
    assert len(found.kimg) == 40
    assert (found.kimg[0], found.kimg[-1]) == (10, 600)


def test_the_first_run_that_finished_and_kept_some_is_shown(tmp_path):
    plan = plan_of()
    runs = record(plan, tmp_path, outcomes={("-", 0): Outcome(Status.FAILED, "no")})
    results = frames.collect(plan, runs)
    assert reel(results, runs) is None
    for run, seed in ((plan.runs[0], 0), (plan.runs[2], 2)):
        keep_film(runs / run.name, frames_of(ARMS, 2), noise(seed))
    assert reel(results, runs).seed == 2
    np.testing.assert_array_equal(reel(results, runs).real, noise(2))
