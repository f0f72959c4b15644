"""Bad images and bad sources, each a real file: one clear line, or a skipped name."""

import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data import decode, sources
from harness.data.sources import DataSource, load
from harness.errors import DataError


def folder(root: Path, resolution: int = 4, **options) -> DataSource:
    return DataSource(type="image_folder", root=root, resolution=resolution, **options)


def refusal(source: DataSource) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError) as caught:
            load(source)
    message = str(caught.value)
    assert "\n" not in message
    return message


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0" * 64))


def encoded(path: Path, side: int = 32) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    data = path.read_bytes()
    path.unlink()
    return data


@pytest.fixture
def bad(tmp_path):
    """Every kind of broken image by name; see ``REASONS``."""
    return {
        "bomb.png": png_header(100_000, 100_000),
        "warned.png": png_header(10_000, 10_000),
        "large.png": png_header(8_193, 8_192),
        "no-pixels.png": png_header(0, 4),
        "empty.png": b"",
        "text.png": b"not an image at all",
        "truncated.png": encoded(tmp_path / "t.png")[:-900],
        "truncated.jpg": encoded(tmp_path / "t.jpg")[:400],
        "truncated.webp": encoded(tmp_path / "t.webp")[:-100],
        "float.ppm": b"Pf 4 4 -1.0\n" + bytes(64),
        "gif.png": encoded(tmp_path / "t.gif"),
        "\udcff.png": b"undecodable name",
    }


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_each_kind_of_broken_image_is_refused_or_skipped(tmp_path, bad, packed):
    good = encoded(tmp_path / "g.png", 4)
    for name, data in bad.items():
        if packed and "\udcff" in name:
            continue  # zip names are text
        root = tmp_path / ascii(name)
        root.mkdir()
        (root / name).write_bytes(data)
        (root / "good.png").write_bytes(good)
        source = folder(root)
        if packed:
            with zipfile.ZipFile(root / "set.zip", "w") as archive:
                archive.writestr(name, data)
                archive.writestr("good.png", good)
            source = DataSource(type="zip", root=root / "set.zip", resolution=4)
        message = refusal(source)
        assert f"1 of 2 images cannot be read: {name!r}" in message, name
        assert "broken: skip" in message
        message.encode()  # can be printed whatever the name
        images = load(DataSource(**{**vars(source), "broken": "skip"}))
        assert (images.skipped, len(images.pixels)) == ((name,), 1)


def test_five_are_named_and_all_are_counted(tmp_path):
    for i in range(40):
        (tmp_path / f"{i:02}.png").write_bytes(b"x")
    Image.new("RGB", (4, 4)).save(tmp_path / "good.png")
    message = refusal(folder(tmp_path))
    assert "40 of 41 images cannot be read: '00.png' (not an image), " in message
    assert "'04.png' (not an image) and 35 more" in message
    assert "05.png" not in message


def test_nothing_left_after_skipping_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    assert "no image can be read: 'a.png'" in refusal(folder(tmp_path, broken="skip"))


@pytest.mark.parametrize(
    ("size", "options"),
    [((8, 4), {}), ((4, 5), {}), ((1, 1), {}), ((3, 9), {"crop": "center"}), ((2, 2), {})],
)
@pytest.mark.parametrize("broken", ["refuse", "skip"])
def test_unfit_shapes_are_refused_even_where_broken_ones_are_skipped(
    tmp_path, size, options, broken
):
    Image.new("RGB", size).save(tmp_path / "odd.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "good.png")
    message = refusal(folder(tmp_path, broken=broken, **options))
    assert f"'odd.png' ({size[0]} x {size[1]} px)" in message
    assert "crop: center" in message


def test_digits_are_not_enlarged():
    assert "at least 16 px" in refusal(DataSource(type="digits", resolution=16))


def test_sound_images_of_absurd_size_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "MAX_PIXELS", 63)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert "'a.png' (8 x 8 px is too large)" in refusal(folder(tmp_path))


def test_large_files_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_BYTES", 1 << 20)
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate((1 << 20) + 1)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "a.png", "a.png")
    assert "larger than 1 MiB" in refusal(folder(tmp_path))
    assert "larger than 1 MiB" in refusal(
        DataSource(type="zip", root=tmp_path / "a.zip", resolution=4)
    )


def test_bad_roots(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("text")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("text")
    assert "is missing; set data.root" in refusal(folder(tmp_path / "nowhere"))
    assert "type: zip" in refusal(folder(tmp_path / "file"))
    assert "holds no image; put .png" in refusal(folder(tmp_path / "empty"))
    assert "holds no image" in refusal(folder(tmp_path / "texts"))


def test_unreadable_file_is_named_whatever_broken_says(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    message = refusal(folder(tmp_path, broken="skip"))
    assert "gone.png': No such file or directory" in message


def zipped(root: Path) -> str:
    return refusal(DataSource(type="zip", root=root, resolution=4))


def test_bad_archives(tmp_path):
    (tmp_path / "text.zip").write_text("text")
    (tmp_path / "folder.zip").mkdir()
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("a.png", encoded(tmp_path / "a.png"))
    whole = (tmp_path / "whole.zip").read_bytes()
    (tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.zip").write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    for name in ("text", "folder", "half", "nowhere"):
        assert "as a zip" in zipped(tmp_path / f"{name}.zip"), name
    assert "holds no image" in zipped(tmp_path / "empty.zip")
    assert "Bad CRC-32" in zipped(tmp_path / "flipped.zip")


def test_damaged_bytes_never_escape_as_another_error(tmp_path):
    """Flip and cut real files of each format at many places."""
    rng = np.random.default_rng(2)
    for suffix in ("png", "jpg", "webp", "bmp", "ppm"):
        data = encoded(tmp_path / f"x.{suffix}")
        for i in range(60):
            damaged = np.frombuffer(data, np.uint8).copy()
            damaged[rng.integers(0, min(len(data), 200), 3)] = rng.integers(0, 256, 3)
            (tmp_path / f"{i}.{suffix}").write_bytes(
                damaged.tobytes()[: rng.integers(8, len(data))]
            )
    Image.new("RGB", (4, 4)).save(tmp_path / "good.png")
    images = load(folder(tmp_path, broken="skip", crop="center", resolution=1))
    assert len(images.skipped) + len(images.pixels) == 301
    assert len(images.skipped) > 100


def test_a_tree_that_is_no_cifar10_is_left_alone(tmp_path):
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"add data\.type=image_folder"):
        sources.load(DataSource(type="cifar10", root=tmp_path, resolution=32))
    assert [path.name for path in tmp_path.iterdir()] == ["cat"]
