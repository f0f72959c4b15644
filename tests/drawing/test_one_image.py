"""`harness singan`: pictures on disk, or one line that says what is wrong."""

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image
from tiny_singan import singan_run, singan_spec

from harness.cli import main
from harness.commands.drawing_parser import _SINGAN_TASKS
from harness.data.photograph import read
from harness.drawing.one_image import TASKS

HEIGHT, WIDTH = singan_spec().pyramid.sizes[-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return singan_run(tmp_path_factory.mktemp("singan"))[1].path


def asked(folder, task, out, *options):
    return main(["singan", str(folder), task, "--out", str(out), *map(str, options)])


def test_the_command_line_knows_every_task():
    assert set(_SINGAN_TASKS) == set(TASKS)


def test_samples_are_pictures_of_the_image_s_size_and_differ(folder, tmp_path, capsys):
    assert asked(folder, "sample", tmp_path, "--count", 3, "--arm", "m0.5") == 0
    paths = capsys.readouterr().out.split()
    images = [iio.imread(path) for path in paths]
    assert [image.shape for image in images] == [(HEIGHT, WIDTH, 3)] * 3
    assert not np.array_equal(images[0], images[1])


def test_more_samples_of_a_seed_begin_with_the_same_ones(folder, tmp_path):
    for name, count in (("one", 1), ("two", 2)):
        asked(folder, "sample", tmp_path / name, "--count", count, "--seed", 7)
    one, two = (iio.imread(tmp_path / name / "sample-000.png") for name in ("one", "two"))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("size", [(20, 90), (70, 30)])
def test_samples_can_have_any_size(folder, tmp_path, size):
    assert asked(folder, "sample", tmp_path, "--size", "x".join(map(str, size))) == 0
    assert iio.imread(tmp_path / "sample-000.png").shape == (*size, 3)


def test_an_animation_is_a_gif_that_repeats(folder, tmp_path):
    assert asked(folder, "animation", tmp_path, "--count", 4) == 0
    with Image.open(tmp_path / "animation.gif") as gif:
        assert gif.n_frames == 4
        assert gif.size == (WIDTH, HEIGHT)
        assert gif.info["loop"] == 0


def test_super_resolution_takes_the_image_that_was_trained_on(folder, tmp_path):
    assert asked(folder, "super-resolution", tmp_path, "--factor", 2) == 0
    large = iio.imread(tmp_path / "super-resolution-000.png")
    assert large.shape == (HEIGHT * 2, WIDTH * 2, 3)


@pytest.mark.parametrize("task", ["paint-to-image", "harmonization", "editing"])
def test_tasks_of_an_image_change_it_inside_the_mask_alone(folder, tmp_path, task):
    composite = Image.fromarray(read("shipped:rocket")).resize((WIDTH, HEIGHT))
    composite.save(tmp_path / "a.png")
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, : WIDTH // 2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    given = ("--image", tmp_path / "a.png", "--mask", tmp_path / "mask.png")
    assert asked(folder, task, tmp_path / "out", *given) == 0
    result, before = iio.imread(tmp_path / "out" / f"{task}-000.png"), np.asarray(composite)
    np.testing.assert_array_equal(result[:, WIDTH // 2 :], before[:, WIDTH // 2 :])
    assert not np.array_equal(result[:, : WIDTH // 2], before[:, : WIDTH // 2])


def test_the_scale_decides_where_an_image_is_injected(folder, tmp_path):
    drawn = []
    for scale in ("1", "2", None):
        given = ("--image", "shipped:rocket") + (() if scale is None else ("--scale", scale))
        assert asked(folder, "paint-to-image", tmp_path, *given) == 0
        drawn.append(iio.imread(tmp_path / "paint-to-image-000.png"))
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[1])


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("harmonization", (), "harmonization needs --image: the photograph with something pasted"),
        ("sample", ("--mask", "m.png"), "--mask is not used by sample, but by editing, harmon"),
        ("super-resolution", ("--scale", "1"), "--scale is not used by super-resolution, but by "),
        ("sample", ("--arm", "best"), "--arm 'best' is not one of raw, m0.5"),
        ("sample", ("--scale", "99"), "--scale 99 is not one of 0 to "),
        ("sample", ("--size", "9000x9000"), "9000x9000 px cannot be drawn"),
        ("editing", ("--image", "shipped:coffee", "--scale", "0"), "--scale 0 is not one of 1 to "),
        ("editing", ("--image", "none.png"), "none.png is missing; name one image"),
        (
            "editing",
            ("--image", "shipped:coffee", "--mask", "shipped:china"),
            "the mask is 640 x 427 px and the image 600 x 400 px: make them of one size",
        ),
        ("super-resolution", ("--factor", "0.5"), "a factor of 0.5 enlarges nothing"),
    ],
)
def test_a_mistake_is_one_line(folder, tmp_path, capsys, task, options, message):
    assert asked(folder, task, tmp_path, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"harness: {message}")


def test_a_folder_that_is_no_run_is_refused(tmp_path, capsys):
    assert asked(tmp_path / "none", "sample", tmp_path) == 2
    assert "name the folder of a run" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["30", "30x", "axb", "-3x4"])
def test_a_size_is_height_and_width(tmp_path, capsys, size):
    with pytest.raises(SystemExit):
        asked(tmp_path, "sample", tmp_path, f"--size={size}")
    assert "is not HxW in px, as 200x600" in capsys.readouterr().err
