"""Visualizer: samples as grids and films in files; W-numbers are the peer's faults."""

import numpy as np
import pytest
import torch
from mmengine.visualization import LocalVisBackend
from PIL import Image

from harness.registry import VISUALIZERS, register_all
from harness.structures import DataSample
from harness.visuals.backends import VisBackend
from harness.visuals.visualizer import Visualizer


@pytest.fixture
def visualizer(tmp_path):
    backend = VisBackend(save_dir=str(tmp_path), img_save_dir=".")
    return Visualizer(name=tmp_path.name, vis_backends=[backend], fps=20)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def colour(*values, size=32):
    return torch.tensor(values).view(-1, 1, 1).expand(-1, size, size)


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_it_is_built_from_mmagics_config(tmp_path):
    register_all()
    built = VISUALIZERS.build(
        {
            "type": "harness.Visualizer",
            "name": tmp_path.name,
            "vis_backends": [{"type": "harness.VisBackend"}],
            "save_dir": str(tmp_path),
        }
    )
    built.add_image("red", np.zeros((4, 4, 3), np.uint8), step=1)
    assert isinstance(built, Visualizer)
    assert [p.name for p in tmp_path.rglob("*.png")] == ["red_1.png"]


def test_samples_become_pictures_by_name_and_step(visualizer, tmp_path):
    samples = [
        DataSample(fake_img=colour(1.0, 0.0, -1.0), gt_img=colour(0.0, 0.0, 0.0)) for _ in range(3)
    ]
    visualizer.add_datasample("plain", gen_samples=samples, step=4, n_row=3)
    visualizer.add_datasample("bgr", gen_samples=samples, step=5, color_order="bgr", draw_gt=True)
    visualizer.add_datasample("real", gen_samples=samples, target_keys="gt_img")
    assert names(tmp_path) == ["bgr_5.png", "plain_4.png", "real_gt_img_0.png"]
    plain = read(tmp_path / "plain_4.png")
    assert plain.shape == (32, 96, 3)
    assert plain[0, 0].tolist() == [255, 128, 0]
    bgr = read(tmp_path / "bgr_5.png")
    assert bgr.shape == (64, 128, 3)
    assert bgr[0, [0, 32]].tolist() == [[128, 128, 128], [0, 128, 255]]
    assert (bgr[32:, 64:] == 0).all()


def test_images_of_several_names_have_a_picture_each(visualizer, tmp_path):
    images = {"ema": colour(1.0)[None], "orig": colour(-1.0)[None]}
    visualizer.add_datasample("both", gen_samples=images)
    assert names(tmp_path) == ["both_ema_0.png", "both_orig_0.png"]


def test_w3_a_film_moves_at_its_speed_in_its_colours(visualizer, tmp_path):
    film = torch.stack([colour(1.0, -1.0, -1.0), colour(-1.0, -1.0, 1.0)])[None]
    visualizer.add_datasample("slow", gen_samples=film, vis_mode="gif", fps=2)
    visualizer.add_datasample("usual", gen_samples=film, vis_mode="gif")
    for name, duration in (("slow", 500), ("usual", 50)):
        with Image.open(tmp_path / f"{name}_0.gif") as file:
            assert (file.n_frames, file.info["duration"]) == (2, duration)
        assert read(tmp_path / f"{name}_0.gif")[0, 0].tolist() == [255, 0, 0]


def test_w4_pixels_given_as_numbers_are_clamped(visualizer, tmp_path):
    visualizer.add_image("numbers", np.array([[[300.0, -7.0, 99.6]]]))
    assert read(tmp_path / "numbers_0.png").tolist() == [[[255, 0, 100]]]


def test_a_backend_that_takes_no_films_is_named(tmp_path):
    backend = LocalVisBackend(save_dir=str(tmp_path))
    visualizer = Visualizer(name=f"{tmp_path.name}-local", vis_backends=[backend])
    with pytest.raises(TypeError, match="LocalVisBackend takes no moving pictures: use VisBackend"):
        visualizer.add_image("film", np.zeros((2, 4, 4, 3), np.uint8))
