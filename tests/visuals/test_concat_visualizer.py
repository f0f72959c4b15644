"""ConcatImageVisualizer; W-numbers are the peer's faults."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from PIL import Image

from harness.structures import DataSample
from harness.visuals.backends import VisBackend
from harness.visuals.concat_visualizer import ConcatImageVisualizer, file_name


@pytest.fixture
def drawn(tmp_path):
    """Return a function that draws one sample and returns the picture."""

    def draw(sample, img_keys, **settings):
        visualizer = ConcatImageVisualizer(
            "path", img_keys, name=str(tmp_path), vis_backends=[_backend(tmp_path)], **settings
        )
        visualizer.add_datasample(sample, step=3)
        (path,) = tmp_path.glob("*.png")
        with Image.open(path) as image:
            return path.name, np.asarray(image)

    return draw


def _backend(folder):
    return VisBackend(save_dir=str(folder), img_save_dir=".")


def sample(path="dir/a.b.png", **images):
    return DataSample(metainfo={"path": path}, **images)


def test_w5_a_file_keeps_its_dots(drawn):
    name, _ = drawn(sample(gray=torch.zeros(1, 4, 4)), "gray")
    assert name == "a.b_3.png"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.b.png", "a.b"),
        ("x y/a b.png", "a b"),
        (r"c:\x\a.png", "a"),
        ("plain", "plain"),
        (["d/1.0.png", "d/2.0.png"], "1.0"),
        (".hidden", ".hidden"),
    ],
)
def test_w5_names_of_paths(path, name):
    assert file_name(path) == name


def test_images_of_every_kind_stand_side_by_side(drawn):
    red = torch.tensor([255.0, 0, 0]).view(3, 1, 1).expand(3, 4, 2)
    images = {
        "tensor": red,
        "gray": np.full((4, 2), 300.0),
        "frames": torch.stack([red, red.flip(0)]).byte(),
        "data": PixelData(data=torch.full((1, 4, 2), 7, dtype=torch.uint8)),
        "ranged": torch.full((3, 4, 2), 0.5),
    }
    given = sample(tensor=red, output=DataSample(**images))
    _, picture = drawn(given, list(images), pixel_range={"ranged": (-1, 1)})
    assert picture.shape == (8, 10, 3)
    assert picture[0, ::2].tolist() == [[255, 0, 0], [255] * 3, [255, 0, 0], [7] * 3, [191] * 3]
    assert picture[4, ::2].tolist() == [[0] * 3, [0] * 3, [0, 0, 255], [0] * 3, [0] * 3]


def test_colours_are_swapped_and_clipped_when_asked(drawn):
    image = torch.tensor([250.0, 100, 3]).view(3, 1, 1).expand(3, 2, 2)
    _, picture = drawn(sample(a=image), ["a"], bgr2rgb=True, clip_range=(10, 200))
    assert picture[0, 0].tolist() == [10, 100, 200]


def test_w5_keys_that_are_not_there_are_named(drawn):
    given = sample(a=torch.zeros(3, 2, 2))
    with pytest.raises(KeyError, match=r"none of img_keys \['b', 'c'\] is .* it has a, path"):
        drawn(given, ["b", "c"])
    with pytest.warns(UserWarning, match=r"img_keys \['b'\] are not in the sample"):
        drawn(given, ["a", "b"])


def test_a_sample_without_a_path_is_told_so(drawn):
    with pytest.raises(KeyError, match="fn_key 'path' is not in the sample; it has a"):
        drawn(DataSample(a=torch.zeros(3, 2, 2)), ["a"])
