import io
import struct

import numpy as np
import pytest
from PIL import Image
from report_records import digits, keep_samples, record

from harness.errors import RecordsError
from harness.records.types import Outcome, Status
from harness.report import frames
from harness.report.samples import grid


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def tile(picture, row, column, columns, size=48):
    """Cut a tile out; tiles stand at the right end, 2 pixels apart."""
    left = picture.shape[1] - (columns - column) * (size + 8)
    top = 8 + row * (size + 8)
    return picture[top : top + size, left : left + size]


def drawn(plan, tmp_path, images):
    results = frames.collect(plan, record(plan, tmp_path))
    keep_samples(plan, tmp_path, images)
    return grid(results, tmp_path)


def test_real_images_stand_on_top_then_the_arms_as_in_the_spec(results, runs_dir):
    picture = pixels_of(grid(results, runs_dir))
    assert picture.shape[0] == 4 * 56 + 8
    for row, seed in enumerate([3, 2, 1, 0]):  # real, raw, paper, mean
        for column in (0, 15):
            shown = tile(picture, row, column, 16)
            wanted = digits(seed)[column].repeat(6, 0).repeat(6, 1)
            assert (shown == wanted).all()


def test_the_picture_is_the_same_each_time(results, runs_dir):
    assert grid(results, runs_dir) == grid(results, runs_dir)


def test_colour_images_that_would_weigh_too_much_lose_columns(plan, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (3, 16, 64, 64, 3), np.uint8)
    images = dict(zip(("real", "raw", "paper"), noise, strict=True))
    content = drawn(plan, tmp_path, images)
    assert len(content) < 460_000
    columns = (pixels_of(content).shape[1] - 40) // 72
    assert 2 <= columns < 16
    assert (tile(pixels_of(content), 2, 0, columns, 64) == images["paper"][0]).all()


def test_large_images_are_averaged_down(plan, tmp_path):
    checks = np.indices((256, 256)).sum(0)[None, ..., None] % 2 * 200
    images = {name: np.broadcast_to(checks, (16, 256, 256, 1)).astype(np.uint8) for name in ["raw"]}
    picture = pixels_of(drawn(plan, tmp_path, images))
    assert (tile(picture, 0, 3, 16, 128) == 100).all()


def test_the_first_run_that_finished_is_shown(plan, tmp_path):
    results = frames.collect(
        plan, record(plan, tmp_path, outcomes={("-", 0): Outcome(Status.FAILED, "no")})
    )
    keep_samples(plan, tmp_path, {"raw": digits(0)})
    with pytest.raises(RecordsError, match="seed1"):  # whose samples are of no use
        grid(results, tmp_path)


def test_runs_without_samples_give_no_picture(results, tmp_path):
    assert grid(results, tmp_path) is None


@pytest.mark.parametrize(
    "images",
    [
        {"raw": digits(0).astype(np.float32)},
        {"raw": digits(0), "paper": digits(0)[:3]},
        {"raw": digits(0, channels=2)},
        {"unknown": digits(0)},
    ],
)
def test_samples_of_another_shape_are_refused(plan, tmp_path, images):
    with pytest.raises(RecordsError, match="needs uint8 arrays of one shape NHWC"):
        drawn(plan, tmp_path, images)


def test_samples_of_one_image_stand_below_it_in_their_own_shape(plan, tmp_path):
    """A wide image of 40 x 100 px beside 3 samples: nothing is cut off, made square or repeated."""
    rng = np.random.default_rng(0)
    real, *arms = (rng.integers(256, size=(n, 40, 100, 3), dtype=np.uint8) for n in (1, 3, 3))
    picture = pixels_of(drawn(plan, tmp_path, {"real": real, "raw": arms[0], "paper": arms[1]}))
    assert picture.shape[0] == 3 * 48 + 8
    left = picture.shape[1] - 3 * 108
    for row, images in enumerate([real, *arms]):
        for column in range(3):
            at = left + column * 108
            shown = picture[8 + row * 48 : 48 + row * 48, at : at + 100]
            wanted = images[column] if column < len(images) else np.full_like(images[0], 255)
            np.testing.assert_array_equal(shown, wanted)


def test_a_tall_image_is_averaged_by_its_longer_side(plan, tmp_path):
    checks = np.indices((256, 64)).sum(0)[None, ..., None] % 2 * 200
    images = {"raw": np.broadcast_to(checks, (4, 256, 64, 1)).astype(np.uint8)}
    picture = pixels_of(drawn(plan, tmp_path, images))
    assert picture.shape[0] == 128 + 16
    assert (picture[8:136, -40:-8] == 100).all()


def test_torn_samples_are_refused(plan, tmp_path):
    results = frames.collect(plan, record(plan, tmp_path))
    keep_samples(plan, tmp_path, {"raw": digits(0)})
    path = tmp_path / plan.runs[0].name / "samples" / "final.npz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RecordsError, match=r"was it cut off\?"):
        grid(results, tmp_path)


def test_samples_that_would_fill_the_memory_are_refused(plan, tmp_path):
    results = frames.collect(plan, record(plan, tmp_path))
    keep_samples(plan, tmp_path, {"raw": digits(0)})
    path = tmp_path / plan.runs[0].name / "samples" / "final.npz"
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.rindex(b"PK\x01\x02") + 24, 2**30)  # its size, inflated
    path.write_bytes(content)
    with pytest.raises(RecordsError, match="is not a file of samples"):
        grid(results, tmp_path)
