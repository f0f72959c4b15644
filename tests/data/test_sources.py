"""Good images of every kind become the right pixels, in an order that no file system decides."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import calculate_md5

from harness.data import digest
from harness.data.sources import DataSource, load
from harness.errors import DataError, SpecError

RNG = np.random.default_rng(0)


def noise(side: int, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (side, side, channels), np.uint8)


def folder(root: Path, resolution: int = 4, **options) -> DataSource:
    return DataSource(type="image_folder", root=root, resolution=resolution, **options)


def one(root: Path, resolution: int = 4, **options) -> np.ndarray:
    """The only image of a folder, HW3."""
    (image,) = load(folder(root, resolution, **options)).pixels
    return image.transpose(1, 2, 0)


class OldType:
    """Pickles as a dtype of Python 2 did, which numpy 2.4 warns of."""

    def __reduce__(self):
        return np.dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)


class OldArray:
    """Pickles as a uint8 array of Python 2, whose bytes Python 3 takes for text."""

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        content = self.array.tobytes().decode("latin1")
        state = (1, self.array.shape, OldType(), False, content)
        return np.zeros(1).__reduce__()[0], (np.ndarray, (0,), "b"), state


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """A root of five batches of four images, with md5 sums that torchvision accepts."""
    home = tmp_path / "cifar-10-batches-py"
    home.mkdir()
    images = RNG.integers(0, 256, (20, 3072), np.uint8)
    parts = [f"data_batch_{i}" for i in range(1, 6)]
    for i, name in enumerate(parts):
        batch = {"data": OldArray(images[4 * i : 4 * i + 4]), "labels": [0] * 4}
        (home / name).write_bytes(pickle.dumps(batch))
    (home / "test_batch").write_bytes(pickle.dumps({"data": images[:4], "labels": [0] * 4}))
    (home / "batches.meta").write_bytes(pickle.dumps({"label_names": ["cat"]}))
    sums = {path.name: calculate_md5(path) for path in home.iterdir()}
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in parts])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    # A closed port: no test reaches the network.
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    return tmp_path, images.reshape(20, 3, 32, 32)


def test_digits_are_the_real_scans():
    images = load(DataSource(type="digits", resolution=8))
    assert images.pixels.shape == (1797, 3, 8, 8)
    assert images.pixels.dtype == np.uint8
    # First row of the first scan in the library's own units, 0 to 16.
    first = np.array([0, 0, 5, 13, 9, 1, 0, 0])
    assert (images.pixels[0, :, 0] == np.round(first * 255 / 16)).all()
    assert images.pixels.max() == 255
    assert (images.name, images.skipped) == ("digits", ())


def test_cifar10_train_split_in_file_order(cifar10):
    root, pixels = cifar10
    images = load(DataSource(type="cifar10", root=root, resolution=32))
    np.testing.assert_array_equal(images.pixels, pixels)
    assert images.digest == digest(pixels)


def test_missing_cifar10_says_what_to_place_where(cifar10):
    root, _ = cifar10
    (root / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(DataError, match="cannot be downloaded") as refusal:
        load(DataSource(type="cifar10", root=root, resolution=32))
    message = str(refusal.value)
    assert "cifar-10-python.tar.gz" in message
    assert str(root / "cifar-10-batches-py") in message
    assert "\n" not in message


def test_damaged_cifar10_is_not_downloaded_over(cifar10):
    root, _ = cifar10
    batch = root / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(DataError, match="is damaged"):
        load(DataSource(type="cifar10", root=root, resolution=32))
    assert not (root / "download.lock").exists()


def test_order_is_of_paths_not_of_creation(tmp_path):
    names = ["b/2.png", "a/10.png", "a/9.png", "B.PNG", "a-1/0.png", "é.png", "z/y/x.png"]
    for i, root in enumerate((tmp_path / "one", tmp_path / "two")):
        for name in names if i == 0 else reversed(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (names.index(name), 0, 0)).save(path)
    first, second = load(folder(tmp_path / "one")), load(folder(tmp_path / "two"))
    found = [names[i] for i in first.pixels[:, 0, 0, 0]]
    assert found == sorted(names)
    assert first.digest == second.digest


def test_zip_and_folder_of_the_same_pixels_have_one_digest(tmp_path):
    images = tmp_path / "faces"
    (images / "sub").mkdir(parents=True)
    for name in ("b.png", "sub/a.png", "a.png"):
        Image.fromarray(noise(4)).save(images / name)
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for name in ("sub/a.png", "b.png", "a.png"):
            archive.write(images / name, name)
    zipped = load(DataSource(type="zip", root=tmp_path / "faces.zip", resolution=4))
    assert (zipped.name, zipped.digest) == ("faces", load(folder(images)).digest)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "faces.zip"]


def test_digest_tells_shapes_and_pixels_apart():
    pixels = np.zeros((2, 3, 4, 4), np.uint8)
    other = pixels.copy()
    other[1, 2, 3, 3] = 1
    assert len({digest(pixels), digest(other), digest(pixels.reshape(8, 3, 2, 2))}) == 3


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.bmp", "a.ppm", "a.webp", "ünï 図.png"])
def test_lossless_formats_keep_every_pixel(tmp_path, name):
    pixels = noise(4)
    Image.fromarray(pixels).save(tmp_path / name, **({"lossless": True} if "webp" in name else {}))
    np.testing.assert_array_equal(one(tmp_path), pixels)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG"])
def test_jpeg_is_what_pillow_decodes(tmp_path, name):
    Image.fromarray(noise(8)).save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        np.testing.assert_array_equal(one(tmp_path, 8), np.asarray(image))


def test_sixteen_bit_grey_is_scaled(tmp_path):
    values = np.array([[0, 128, 129, 257], [386, 32767, 32768, 65278], [65535] * 4, [256] * 4])
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(one(tmp_path)[..., 1], np.round(values / 257))


def test_sixteen_bit_pgm_in_a_ppm_file(tmp_path):
    values = np.array([[0, 65535], [32768, 300]])
    (tmp_path / "a.ppm").write_bytes(b"P5 2 2 65535\n" + values.astype(">u2").tobytes())
    np.testing.assert_array_equal(one(tmp_path, 2)[..., 0], np.round(values / 257))


def test_alpha_is_composited_over_white(tmp_path):
    pixels = noise(4, 4)
    pixels[0, :, 3] = [0, 255, 128, 1]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    alpha = pixels[..., 3:] / 255
    expected = pixels[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(one(tmp_path) - expected).max() <= 1


def test_palette_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((2, 0), 0)
    image.save(tmp_path / "a.png", transparency=0)
    pixels = one(tmp_path)
    assert pixels[0, 2].tolist() == [255, 255, 255]
    assert pixels[0, 0].tolist() == [40, 50, 60]


def test_grey_and_bilevel_are_replicated(tmp_path):
    Image.new("L", (4, 4), 77).save(tmp_path / "a.png")
    Image.new("1", (4, 4), 1).save(tmp_path / "b.png")
    pixels = load(folder(tmp_path)).pixels
    assert (pixels[0] == 77).all()
    assert (pixels[1] == 255).all()


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    assert np.abs(one(tmp_path, 8).astype(int) - [255, 0, 0]).max() <= 3


def test_centre_crop_then_area_average(tmp_path):
    pixels = np.zeros((4, 10, 3), np.uint8)
    pixels[:, 3:7] = np.arange(16).reshape(4, 4, 1) * 16
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = (np.arange(16).reshape(4, 4) * 16.0).reshape(2, 2, 2, 2).mean((1, 3))
    np.testing.assert_array_equal(one(tmp_path, 4, crop="center"), pixels[:, 3:7])
    np.testing.assert_array_equal(one(tmp_path, 2, crop="center")[..., 0], expected)


def test_hidden_files_and_other_files_are_no_images(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    for name in ("._a.png", ".thumbs/b.png", "__MACOSX/c.png", "list.txt", "noext"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"junk")
    (tmp_path / "folder.png").mkdir()
    assert len(load(folder(tmp_path)).pixels) == 1


def test_linked_folders_are_followed_once(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "set").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "real" / "a.png")
    (tmp_path / "set" / "class").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "set")
    assert len(load(folder(tmp_path / "set")).pixels) == 1


def test_max_images_takes_the_first_names(tmp_path):
    for i in range(5):
        Image.new("RGB", (4, 4), (i, 0, 0)).save(tmp_path / f"{i}.png")
    assert load(folder(tmp_path, max_images=3)).pixels[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert len(load(DataSource(type="digits", resolution=8, max_images=9)).pixels) == 9


def test_every_wrong_option_is_named_at_once():
    with pytest.raises(SpecError) as refusal:
        DataSource(type="zip", resolution=12, crop="middle", broken="keep", max_images=0)
    fields = [problem.split(":")[0] for problem in refusal.value.problems]
    assert fields == [
        f"data.{name}" for name in ("crop", "broken", "root", "resolution", "max_images")
    ]
    with pytest.raises(SpecError, match="from 1 to 4096"):
        DataSource(type="digits", resolution=8192)
    with pytest.raises(SpecError, match="digits, cifar10, image_folder, zip"):
        DataSource(type="mnist", resolution=8)
    with pytest.raises(SpecError, match="remove root"):
        DataSource(type="digits", root=Path("x"), resolution=8)
