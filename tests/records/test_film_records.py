"""Frames and neighbours as a run's files: read as they were written, the same bytes each time."""

import numpy as np
from film_records import found, frames_of, keep_film, noise

from harness.records.film import (
    Frame,
    find,
    read_frame,
    read_neighbours,
    reduced,
    write_frame,
    write_neighbours,
)
from harness.records.samples import read, read_arrays, write_arrays

ODD = ("file", "allow_pickle", "a.b", "x-1")
"""Arms that numpy's savez has other uses for, or that are no names in Python."""


def test_frames_are_read_in_the_order_of_training_as_they_were_written(tmp_path):
    frames = frames_of(["raw", *ODD], 12)
    keep_film(tmp_path, frames, noise(0))
    paths = find(tmp_path)
    assert [path.name for path in paths[:2]] == ["film-000000100.npz", "film-000000200.npz"]
    for path, (kimg, arms) in zip(paths, frames, strict=True):
        frame = read_frame(path)
        assert frame.kimg == kimg
        assert list(frame.arms) == list(arms)
        assert all((frame.arms[arm] == arms[arm]).all() for arm in arms)
    assert list(read(tmp_path)) == ["real", "raw", *ODD]


def test_a_frame_written_again_replaces_the_first_by_the_same_bytes(tmp_path):
    first, other = Frame(1.5, {"raw": noise(0)}), Frame(1.5, {"raw": noise(1)})
    write_frame(tmp_path, 7, first)
    (path,) = find(tmp_path)
    before = path.read_bytes()
    write_frame(tmp_path, 7, other)
    assert path.read_bytes() != before
    write_frame(tmp_path, 7, first)
    assert path.read_bytes() == before
    assert [path.name for path in path.parent.iterdir()] == ["film-000000007.npz"]


def test_the_file_is_what_numpy_writes(tmp_path):
    arrays = {"raw": noise(0), "real": noise(1, 3)}
    write_arrays(tmp_path / "ours.npz", arrays)
    np.savez_compressed(tmp_path / "theirs.npz", **arrays)
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "theirs.npz").read_bytes()
    assert list(read_arrays(tmp_path / "ours.npz")) == ["raw", "real"]


def test_neighbours_are_read_as_they_were_written(tmp_path):
    written = found()
    write_neighbours(tmp_path, written)
    held = read_neighbours(tmp_path)
    for name, value in vars(written).items():
        again = getattr(held, name)
        assert type(again) is type(value), name
        assert np.array_equal(again, value), name


def test_large_images_are_averaged_down_by_whole_blocks():
    images = np.indices((512, 500)).sum(0)[None, ..., None].astype(np.uint8) % 2 * 200
    small = reduced(images, 256)
    assert small.shape == (1, 256, 250, 1)
    assert (small == 100).all()
    ramp = np.arange(6, dtype=np.uint8).reshape(1, 1, 6, 1).repeat(6, 1)
    assert reduced(ramp, 3)[0, 0, :, 0].tolist() == [0, 2, 4]  # halves to even
    assert reduced(ramp, 6) is ramp
