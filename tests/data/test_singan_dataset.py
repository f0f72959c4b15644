"""SinGANDataset against MMagic's sizes and OpenCV's pixels; S7 is a fault of its model."""

import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tiny import VECTORS
from torch.utils.data import DataLoader

from harness.data.singan import SinGANDataset, resized
from harness.errors import DataError, SpecError
from harness.registry import DATASETS, register_all
from harness.spec.pyramid import Pyramid

CASES = json.loads((VECTORS / "singan_pyramid.json").read_text())
HEIGHT, WIDTH = 62, 47


@pytest.fixture
def pixels():
    noise = torch.randint(0, 256, (HEIGHT, WIDTH, 3), generator=torch.Generator().manual_seed(0))
    return noise.byte().numpy()


@pytest.fixture
def path(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "fish.png")
    return str(tmp_path / "fish.png")


def singan(path, **more):
    return SinGANDataset(path, min_size=12, max_size=50, scale_factor_init=0.75, **more)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['image']}-{c['max_size']}")
def test_s7_reference_vectors(case):
    settings = [case[name] for name in ("min_size", "max_size", "scale_factor_init")]
    pyramid = Pyramid.of(*case["image"], *settings)
    assert [list(size) for size in pyramid.sizes] == case["sizes"]
    assert pyramid.scale_factor == pytest.approx(case["scale_factor"], rel=1e-12)
    assert len(pyramid.sizes) - 1 == case["stop_scale"]


def test_s7_a_dataset_has_the_vectors_sizes_and_says_them(tmp_path):
    case = CASES[0]
    Image.new("RGB", tuple(case["image"][::-1])).save(tmp_path / "a.png")
    settings = {name: case[name] for name in ("min_size", "max_size", "scale_factor_init")}
    dataset = SinGANDataset(str(tmp_path), **settings, filename="a.png")
    assert dataset.num_scales == case["stop_scale"]
    assert dataset.scale_factor == pytest.approx(case["scale_factor"], rel=1e-12)
    shapes = [list(dataset[0][f"real_scale{i}"].shape) for i in range(dataset.num_scales + 1)]
    assert shapes == [[3, *size] for size in case["sizes"]]


@pytest.mark.parametrize("size", [(25, 33), (12, 9), (61, 40), (124, 94)])
def test_pixels_are_those_of_opencv_within_its_fixed_point_rounding(pixels, size):
    expected = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)
    difference = np.abs(resized(pixels, size).astype(int) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.2


def test_items_are_the_image_from_coarse_to_fine(path, pixels):
    item = singan(path)[0]
    names = [f"real_scale{i}" for i in range(singan(path).num_scales + 1)]
    assert list(item) == [*names, "input_sample"]
    assert np.array_equal(item[names[-1]].permute(1, 2, 0), pixels)
    assert {item[name].dtype for name in names} == {torch.uint8}
    sample = item["input_sample"]
    assert (sample.shape, sample.dtype) == (item["real_scale0"].shape, torch.float32)
    assert not sample.any()
    widths = [item[name].shape[-1] for name in names]
    assert widths == sorted(widths)


def test_s7_the_pyramid_is_made_once_and_never_copied(path):
    dataset = singan(path)
    first, second = dataset[0], dataset[1]
    assert first is not second
    assert all(first[name] is second[name] for name in first)


class Seen:
    """A pipeline that keeps what it was given."""

    def __init__(self):
        self.given = []

    def __call__(self, results):
        self.given.append(dict(results))
        results["real_scale0"] = None
        return results


def test_s7_a_pipeline_gets_the_same_arrays_in_a_dict_of_its_own(path, pixels):
    dataset = singan(path, pipeline=[seen := Seen()])
    assert dataset[0]["real_scale0"] is None
    dataset[1]
    first, second = seen.given
    assert all(first[name] is second[name] for name in first)
    finest = first[f"real_scale{dataset.num_scales}"]
    assert np.array_equal(finest, pixels)
    with pytest.raises(ValueError, match="read-only"):
        finest[0] = 0


def test_a_loader_gives_batches(path):
    batch = next(iter(DataLoader(singan(path, num_samples=4), batch_size=2)))
    assert batch["real_scale1"].shape[:2] == (2, 3)


@pytest.mark.parametrize(("num_samples", "length"), [(-1, 1_000_000), (7, 7)])
def test_the_length_is_mmagics(path, num_samples, length):
    dataset = singan(path, num_samples=num_samples)
    assert len(dataset) == length
    with pytest.raises(IndexError):
        dataset[length]


def test_it_is_built_from_a_config(path):
    register_all()
    config = {"data_root": path, "min_size": 12, "max_size": 50, "scale_factor_init": 0.75}
    built = DATASETS.build({"type": "SinGANDataset", **config})
    assert built.sizes == singan(path).sizes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_size": 47}, r"min_size: 47 is not in \(0, 38\), for an image of 47 x 62 px"),
        ({"max_size": 12}, "min_size: 12 is not in"),
        ({"scale_factor_init": 1.0}, r"scale_factor_init: 1.0 is not in \(0, 1\)"),
        ({"num_samples": 0}, "num_samples: 0"),
    ],
)
def test_what_leaves_no_pyramid_is_refused(path, arguments, message):
    settings = {"min_size": 12, "max_size": 50, "scale_factor_init": 0.75} | arguments
    with pytest.raises(SpecError, match=message):
        SinGANDataset(path, **settings)


def test_an_image_that_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none.png: No such file or directory; name one image"):
        singan(str(tmp_path / "none.png"))
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(DataError, match=r"a.png: not an image"):
        singan(str(tmp_path / "a.png"))
