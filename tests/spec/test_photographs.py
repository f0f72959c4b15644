"""Images by name, and their sizes from their headers."""

import subprocess
import sys

import pytest
from PIL import Image
from tiny import ROOT

from harness.errors import DataError
from harness.spec.photographs import located, shipped, size_of, title


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("china", (427, 640)),
        ("flower", (427, 640)),
        ("chelsea", (300, 451)),
        ("rocket", (427, 640)),
    ],
)
def test_shipped_photographs_have_their_sizes(name, size):
    assert size_of(f"shipped:{name}") == size


def test_everything_that_is_listed_is_an_image():
    assert len(shipped()) > 20
    assert all(min(size_of(f"shipped:{name}")) > 50 for name in shipped())


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        DataError, match=r"no image 'chima' is shipped; .*astronaut, .*china.*rocket"
    ):
        located("shipped:chima")


def test_finding_one_imports_neither_library_nor_torch():
    code = (
        "import sys; from harness.spec.photographs import size_of; size_of('shipped:coffee');"
        "print([name for name in ('sklearn', 'skimage', 'numpy', 'torch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("orientation", "size"), [(1, (20, 30)), (3, (20, 30)), (6, (30, 20))])
def test_the_size_is_that_of_the_image_as_it_is_looked_at(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert size_of(str(tmp_path / "a.jpg")) == size


def test_a_title_names_the_image_and_no_folder(tmp_path):
    assert title(str(tmp_path / "my.jpg")) == "my.jpg"
    assert title("shipped:china") == "china"


def test_what_is_no_image_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    whole = tmp_path / "b.png"
    Image.effect_noise((40, 40), 50).save(whole)
    (tmp_path / "c.png").write_bytes(whole.read_bytes()[:20])
    (tmp_path / "d.tif").write_bytes(b"II*\0\x08\0\0\0")
    for name, message in {
        ".": "is a folder; name one image, or shipped:NAME",
        "none.png": "is missing; name one image",
        "a.png": "not an image; give one sound image",
        "c.png": "c.png: .+; give one sound image",
        "d.tif": r"not an image; .*\(PNG, JPEG, WEBP, BMP, PPM\)",
    }.items():
        with pytest.raises(DataError, match=message) as caught:
            size_of(str(tmp_path / name))
        assert "\n" not in str(caught.value)
