"""Files, GIFs and events read back; W-numbers are the peer's faults."""

import io
from importlib.util import find_spec

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image, ImageSequence

from harness.errors import SpecError
from harness.registry import VISBACKENDS
from harness.visuals.backends import TensorboardVisBackend, VisBackend, WandbVisBackend, gif

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (10, 200, 90)]
FILM = np.stack([np.full((16, 24, 3), colour, np.uint8) for colour in COLOURS])


def frames_of(file):
    with Image.open(file) as film:
        return [
            (np.asarray(frame.convert("RGB"))[3, 5].tolist(), frame.info["duration"])
            for frame in ImageSequence.Iterator(film)
        ]


@pytest.mark.parametrize(("fps", "duration_ms"), [(10, 100), (4, 250), (30, 30), (1000, 20)])
def test_w3_a_gif_has_its_colours_in_every_frame_and_its_speed(fps, duration_ms):
    read = frames_of(io.BytesIO(gif(FILM, fps)))
    assert read == [(list(colour), duration_ms) for colour in COLOURS]


def test_w3_files_have_the_colours_given(tmp_path):
    backend = VisBackend(save_dir=str(tmp_path), img_save_dir="samples")
    backend.add_image("red", FILM[0], step=7)
    backend.add_image("some/film", FILM, step=8)
    backend.add_frames("fast", FILM, step=8, fps=50)
    backend.add_scalar("loss", 0.5, step=9)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*")) == [
        "samples/fast_8.gif",
        "samples/red_7.png",
        "samples/some/film_8.gif",
        "scalars.json",
    ]
    np.testing.assert_array_equal(iio.imread(tmp_path / "samples/red_7.png"), FILM[0])
    assert frames_of(tmp_path / "samples/some/film_8.gif")[2] == ([0, 0, 255], 100)
    assert frames_of(tmp_path / "samples/fast_8.gif")[0] == ([255, 0, 0], 20)


@pytest.mark.parametrize("kind", [TensorboardVisBackend, WandbVisBackend])
def test_a_missing_library_is_named_when_it_is_used(kind, tmp_path):
    library = kind.__name__.removesuffix("VisBackend").lower()
    if find_spec(library) is not None:
        pytest.skip(f"{library} is installed")
    backend = VISBACKENDS.build({"type": kind.__name__, "save_dir": str(tmp_path)})
    assert type(backend) is kind
    for use in (backend.add_image, backend.add_scalar):
        with pytest.raises(SpecError, match=rf"pip install 'gan-harness\[{library}\]'$"):
            use("red", FILM[0])


def test_w3_tensorboard_gets_colours_and_steps(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    backend = TensorboardVisBackend(save_dir=str(tmp_path))
    backend.add_image("red", FILM[0], step=7)
    backend.add_image("film", FILM, step=8)
    backend.add_scalar("loss", 0.5, step=9)
    backend.add_scalars({"fid": 2.0}, step=10)
    backend.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    (red,), (film,) = events.Images("red"), events.Images("film")
    assert (red.step, film.step) == (7, 8)
    np.testing.assert_array_equal(iio.imread(red.encoded_image_string), FILM[0])
    assert (film.width, film.height) == (24, 16)
    assert frames_of(io.BytesIO(film.encoded_image_string)) == [(list(c), 100) for c in COLOURS]
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(9, 0.5)]
    assert [(e.step, e.value) for e in events.Scalars("fid")] == [(10, 2.0)]


def test_w5_wandb_keeps_steps_that_go_back(tmp_path):
    wandb = pytest.importorskip("wandb")
    settings = {"mode": "offline", "project": "test"}
    backend = WandbVisBackend(save_dir=str(tmp_path), init_kwargs=settings)
    backend.add_scalar("loss", 0.5, step=10)
    backend.add_scalars({"fid": 2.0}, step=20)
    backend.add_image("film", FILM, step=20)
    backend.add_image("test", FILM[0], step=0)
    summary = dict(wandb.run.summary)
    wandb.finish()
    assert (summary["loss"], summary["fid"], summary["step"]) == (0.5, 2.0, 0)
    (picture,), (film,) = (list(tmp_path.rglob(f"*.{kind}")) for kind in ("png", "gif"))
    np.testing.assert_array_equal(iio.imread(picture), FILM[0])
    assert frames_of(film)[0][0] == [255, 0, 0]
