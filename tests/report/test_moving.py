"""training.gif and training.mp4, read back."""

import importlib.util
import io

import imageio.v3 as iio
import numpy as np
import pytest
from film_records import frames_of, keep_film, noise
from PIL import Image
from report_records import plan_of, record

from harness.errors import SpecError
from harness.report import frames
from harness.report.moving import gif, mp4, pictures, require_ffmpeg, side_by_side
from harness.report.reel import reel
from harness.report.tiles import LARGEST_BYTES

ARMS = ("raw", "paper", "short", "mean")
PAIR = ["raw", "paper"]


def world(tmp_path, kept, real):
    plan = plan_of(seeds=(0,))
    runs = record(plan, tmp_path / "runs")
    keep_film(runs / plan.runs[0].name, kept, real)
    results = frames.collect(plan, runs)
    return results, reel(results, runs)


def grey(seed):
    """Tiles of 9 greys, which a palette of 256 colours holds beside the words' greys."""
    return (noise(seed, channels=1) % 9 * 30).repeat(3, -1)


@pytest.fixture
def shown(tmp_path):
    kept = [(10.5 * at, {arm: grey(at + 10 * n) for n, arm in enumerate(ARMS)}) for at in (1, 2, 3)]
    return kept, *world(tmp_path, kept, noise(0))


def test_raw_stands_beside_the_best_shadow_of_the_run(shown):
    _, results, found = shown
    assert side_by_side(results, found) == PAIR


def test_without_a_shadow_raw_stands_alone(tmp_path):
    results, found = world(tmp_path, frames_of(["raw"], 2), noise(0))
    assert side_by_side(results, found) == ["raw"]
    assert len(iio.imread(gif(found, ["raw"]), index=None)) == 2


def test_every_frame_shows_its_tiles_each_at_the_same_place(shown):
    kept, _, found = shown
    content = gif(found, PAIR)
    read = iio.imread(content, index=None, extension=".gif")
    assert len(read) == 3
    panel = 4 * 50 - 2
    assert read.shape[2] == 2 * (panel + 12) + 12
    for frame, (_, arms) in zip(read, kept, strict=True):
        for number, arm in enumerate(PAIR):
            left, top = 12 + number * (panel + 12), 24
            for at in (0, 6, 15):
                y, x = top + at // 4 * 50, left + at % 4 * 50
                wanted = arms[arm][at].repeat(6, 0).repeat(6, 1)
                assert (frame[y : y + 48, x : x + 48, :3] == wanted).all()


def test_it_repeats_at_a_readable_speed_and_rests_on_its_end(shown):
    _, _, found = shown
    image = Image.open(io.BytesIO(gif(found, PAIR)))
    assert image.info["loop"] == 0
    each = []
    for number in range(image.n_frames):
        image.seek(number)
        each.append(image.info["duration"])
    assert each == [700, 700, 2000]


def test_the_same_frames_give_the_same_bytes(shown):
    _, _, found = shown
    assert gif(found, PAIR) == gif(found, PAIR)


def test_each_frame_says_its_kimg(shown):
    _, _, found = shown
    drawn = pictures(found, PAIR, found.whole)
    words = drawn[:, -24:, :90]
    assert all((words[0] != other).any() for other in words[1:])
    bar = (drawn[:, -14] == (0x33, 0x22, 0x88)).all(-1).sum(-1)
    assert bar[0] < bar[1] < bar[2]
    assert bar[2] == pytest.approx(3 * bar[0], abs=3)


@pytest.mark.parametrize("size", [32, 128])
def test_noise_is_thinned_until_it_is_small(tmp_path, size):
    kept = frames_of(PAIR, 12, height=size)
    _, found = world(tmp_path, kept, noise(0, height=size))
    content = gif(found, PAIR)
    assert 0.2 * LARGEST_BYTES < len(content) <= LARGEST_BYTES
    assert Image.open(io.BytesIO(content)).n_frames >= 4


def test_names_that_are_long_are_not_cut_off(tmp_path):
    long = "m" * 40
    plan = plan_of(seeds=(0,), shadows={long: {"interp_mode": "uniform"}})
    runs = record(plan, tmp_path / "runs")
    keep_film(runs / plan.runs[0].name, frames_of(["raw", long], 2, count=1), noise(0, 1))
    results = frames.collect(plan, runs)
    found = reel(results, runs)
    drawn = pictures(found, side_by_side(results, found), found.whole)
    assert (drawn[:, :20, -4:] == 255).all()  # beyond the second name's end


def test_an_mp4_is_refused_or_holds_the_frames(shown):
    _, _, found = shown
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        with pytest.raises(SpecError, match=r"pip install 'gan-harness\[video\]'"):
            require_ffmpeg()
        return
    require_ffmpeg()
    read = iio.imread(mp4(found, PAIR), plugin="FFMPEG", extension=".mp4")
    drawn = pictures(found, PAIR, found.whole)
    assert len(read) == 18 + 18 + 50
    assert read.shape[1:3] == tuple(side // 2 * 2 for side in drawn.shape[1:3])
    for at, frame in ((9, 0), (27, 1), (80, 2)):
        difference = np.abs(read[at].astype(float) - drawn[frame, : read.shape[1], : read.shape[2]])
        assert difference.mean() < 6
