"""Scales are exact averages of the full image; the cache only saves time."""

import errno
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.data.prepare import area_averages, prepare
from harness.data.sources import DataSource, load
from harness.errors import DataError, OutputError, SpecError

DIGITS = DataSource(type="digits", resolution=8, max_images=50)


def block_means(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Mean of blocks in float64, halves rounded up."""
    *lead, side, _ = pixels.shape
    f = side // scale
    blocks = pixels.reshape(*lead, scale, f, scale, f).astype(np.float64)
    return np.floor(blocks.mean((-3, -1)) + 0.5)


@pytest.fixture
def faces(tmp_path):
    """Forty noise images of 16 px, in a folder, and how to ask for them."""
    rng = np.random.default_rng(3)
    (tmp_path / "faces").mkdir()
    for i in range(40):
        pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "faces" / f"{i:02}.png")
    return DataSource(type="image_folder", root=tmp_path / "faces", resolution=16)


@pytest.fixture
def opens(monkeypatch):
    """Paths of images opened, by Pillow's own function."""
    calls, real = [], Image.open

    def counted(*args, **options):
        calls.append(args)
        return real(*args, **options)

    monkeypatch.setattr(Image, "open", counted)
    return calls


def cache_files(cache: Path, name: str) -> list[Path]:
    return sorted(cache.glob(f"*/{name}"))


def everything(prepared) -> tuple:
    pixels = {s: array.tobytes() for s, array in prepared.scales.items()}
    return prepared.name, prepared.digest, prepared.skipped, pixels


@given(st.integers(0, 6), st.data())
@settings(max_examples=30, deadline=None)
def test_area_averages_equal_float64_block_means(log_side, data):
    side = 2**log_side
    top = data.draw(st.sampled_from([1, 2, 255]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = rng.integers(0, top + 1, (3, side, side), np.uint8)
    scales = data.draw(st.sets(st.sampled_from([2**i for i in range(log_side + 1)]), min_size=1))
    averages = area_averages(image, sorted(scales))
    assert set(averages) == scales
    for scale, average in averages.items():
        np.testing.assert_array_equal(average, block_means(image, scale))
        assert average.dtype == np.uint8


def test_area_averages_do_not_overflow():
    image = np.full((1, 4096, 4096), 255, np.uint8)
    assert area_averages(image, [1])[1].item() == 255


def test_averages_come_from_the_full_image_and_not_from_rounded_scales():
    # Means of the four quarters: 0.5, 0.5, 0.5, 0, each rounded up at 2 px; their sum is 0.375.
    image = np.array([[0, 1, 0, 1], [0, 1, 0, 1], [0, 1, 0, 0], [0, 1, 0, 0]], np.uint8)[None]
    averages = area_averages(image, [1, 2])
    assert averages[2][0].tolist() == [[1, 1], [1, 0]]
    assert averages[1].item() == 0


def test_every_scale_of_digits(tmp_path):
    prepared = prepare(DIGITS, [8, 2, 4, 4], tmp_path)
    full = load(DIGITS)
    assert list(prepared.scales) == [2, 4, 8]
    assert (prepared.name, prepared.digest, prepared.skipped) == ("digits", full.digest, ())
    for scale, pixels in prepared.scales.items():
        np.testing.assert_array_equal(pixels, block_means(full.pixels, scale))
        assert isinstance(pixels, np.memmap)
        assert not pixels.flags.writeable


def test_digest_is_of_the_full_resolution_even_where_it_is_not_asked_for(tmp_path):
    assert prepare(DIGITS, [4], tmp_path).digest == load(DIGITS).digest
    assert not cache_files(tmp_path, "8.npy")


def test_a_cache_hit_decodes_nothing(tmp_path, faces, opens):
    first = everything(prepare(faces, [4, 16], tmp_path / "cache"))
    assert len(opens) == 40
    assert everything(prepare(faces, [4, 16], tmp_path / "cache")) == first
    assert list(prepare(faces, [16], tmp_path / "cache").scales) == [16]
    assert len(opens) == 40


def test_a_new_scale_joins_the_entry(tmp_path, faces):
    prepare(faces, [4], tmp_path / "cache")
    (old,) = cache_files(tmp_path / "cache", "4.npy")
    written = old.stat().st_ino
    assert list(prepare(faces, [4, 8], tmp_path / "cache").scales) == [4, 8]
    assert old.stat().st_ino == written
    assert list(prepare(faces, [4, 8, 16], tmp_path / "cache").scales) == [4, 8, 16]


def test_the_same_files_elsewhere_share_the_entry_but_not_the_name(tmp_path, faces, opens):
    prepare(faces, [4], tmp_path / "cache")
    faces.root.rename(tmp_path / "people")
    moved = DataSource(type="image_folder", root=tmp_path / "people", resolution=16)
    assert prepare(moved, [4], tmp_path / "cache").name == "people"
    assert len(opens) == 40


def test_other_bytes_names_or_options_are_another_entry(tmp_path, faces):
    cache = tmp_path / "cache"
    digests = [prepare(faces, [4], cache).digest]
    pixels = np.zeros((16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(faces.root / "00.png")
    digests.append(prepare(faces, [4], cache).digest)
    (faces.root / "01.png").rename(faces.root / "99.png")
    digests.append(prepare(faces, [4], cache).digest)
    digests.append(prepare(DataSource(**{**vars(faces), "resolution": 8}), [4], cache).digest)
    digests.append(prepare(DataSource(**{**vars(faces), "max_images": 9}), [4], cache).digest)
    assert len(set(digests)) == 5
    prepare(DataSource(**{**vars(faces), "crop": "center"}), [4], cache)
    assert len(cache_files(cache, "entry.json")) == 6


@pytest.mark.parametrize("change", ["pixel", "name"])
def test_a_change_of_one_byte_or_of_a_name_alone_is_another_entry(tmp_path, change):
    (tmp_path / "set").mkdir()
    first, second = tmp_path / "set" / "a.ppm", tmp_path / "set" / "b.ppm"
    Image.new("RGB", (4, 4)).save(first)
    second.write_bytes(b"broken")
    source = DataSource(type="image_folder", root=first.parent, resolution=4, broken="skip")
    old = prepare(source, [4], tmp_path / "cache")
    if change == "pixel":
        flip_last(first)
    else:
        second.rename(second.with_name("c.ppm"))
    new, full = prepare(source, [4], tmp_path / "cache"), load(source)
    assert (new.digest, new.skipped) == (full.digest, full.skipped)
    assert (new.digest, new.skipped) != (old.digest, old.skipped)


def test_skipped_images_are_left_out_of_every_scale(tmp_path, faces):
    for name in ("05.png", "33.png", "39.png"):
        (faces.root / name).write_bytes(b"broken")
    with pytest.raises(DataError, match="3 of 40"):
        prepare(faces, [4], tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*/*.[tn]*"))  # neither .npy nor .tmp
    source = DataSource(**{**vars(faces), "broken": "skip"})
    full = load(source)
    for _ in range(2):
        prepared = prepare(source, [4, 16], tmp_path / "cache")
        assert prepared.skipped == full.skipped == ("05.png", "33.png", "39.png")
        np.testing.assert_array_equal(prepared.scales[16], full.pixels)
        np.testing.assert_array_equal(prepared.scales[4], block_means(full.pixels, 4))


def test_a_member_of_a_zip_that_fails_its_checksum_can_be_skipped(tmp_path, faces):
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for i in range(3):
            archive.write(faces.root / f"{i:02}.png", f"{i}.png")
    data = bytearray((tmp_path / "faces.zip").read_bytes())
    data[100] ^= 1
    (tmp_path / "faces.zip").write_bytes(data)
    source = DataSource(type="zip", root=tmp_path / "faces.zip", resolution=16, broken="skip")
    assert prepare(source, [4], tmp_path / "cache").skipped == ("0.png",)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip_last(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def flip_header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[40] ^= 4
    path.write_bytes(data)


def fill(path: Path) -> None:
    path.write_bytes(b"\xff\x00" * 100)


@pytest.mark.parametrize("name", ["4.npy", "16.npy", "entry.json"])
@pytest.mark.parametrize("damage", [cut, flip_last, flip_header, fill, Path.unlink])
def test_a_damaged_cache_file_is_made_again(tmp_path, faces, name, damage):
    first = everything(prepare(faces, [4, 16], tmp_path / "cache"))
    (path,) = cache_files(tmp_path / "cache", name)
    damage(path)
    assert everything(prepare(faces, [4, 16], tmp_path / "cache")) == first
    sound = path.read_bytes()
    prepare(faces, [4, 16], tmp_path / "cache")
    assert path.read_bytes() == sound


def test_what_a_killed_process_left_is_no_trouble(tmp_path, faces):
    first = everything(prepare(faces, [4], tmp_path / "cache"))
    (path,) = cache_files(tmp_path / "cache", "4.npy")
    path.with_name("4.npy.tmp").write_bytes(path.read_bytes()[:99])
    path.unlink()
    assert everything(prepare(faces, [4], tmp_path / "cache")) == first
    assert sorted(p.name for p in path.parent.iterdir()) == ["4.npy", "entry.json", "lock"]


def test_two_processes_decode_a_set_once(tmp_path, faces):
    script = """
import json, sys, time
from pathlib import Path
from PIL import Image
calls, real = [], Image.open
def counted(*args, **options):
    calls.append(args)
    time.sleep(0.01)
    return real(*args, **options)
Image.open = counted
from harness.data.prepare import prepare
from harness.data.sources import DataSource
source = DataSource(type="image_folder", root=Path(sys.argv[1]), resolution=16)
print("ready", flush=True)
sys.stdin.readline()
prepared = prepare(source, [4, 16], Path(sys.argv[2]))
print(json.dumps([len(calls), prepared.digest, int(prepared.scales[4].sum())]))
"""
    command = [sys.executable, "-c", script, str(faces.root), str(tmp_path / "cache")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(2)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 2
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    assert sorted(answer[0] for answer in answers) == [0, 40]
    assert answers[0][1:] == answers[1][1:]
    assert answers[0][1] == load(faces).digest


@pytest.mark.parametrize("scales", [[3], [0], [16], [], [-4]])
def test_impossible_scales_are_named(tmp_path, scales):
    with pytest.raises(SpecError, match="powers of two from 1 to 8"):
        prepare(DIGITS, scales, tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another cache folder"):
        prepare(DIGITS, [4], tmp_path / "file")


def test_a_full_disk_is_named_and_leaves_no_half_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device; free space"):
        prepare(DIGITS, [4, 8], tmp_path)
    assert [path.name for path in tmp_path.glob("*/*")] == ["lock"]
