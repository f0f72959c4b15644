"""Films as runs keep them, of images with stated pixels, without training."""

import io

import numpy as np
from PIL import Image

from harness.records.film import Frame, Neighbours, write_frame, write_neighbours
from harness.records.samples import FILE, write_arrays


def noise(seed, count=16, height=8, width=None, channels=3):
    """Random images NHWC, the worst that a PNG can be given."""
    shape = (count, height, width or height, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def keep_film(run_folder, frames, real):
    """Leave frames ``(kimg, {arm: NHWC})`` and the real images in a run's folder."""
    for number, (kimg, arms) in enumerate(frames, 1):
        write_frame(run_folder, number * 100, Frame(kimg, arms))
    write_arrays(run_folder / FILE, {"real": real, **frames[-1][1]})


def frames_of(arms, count, **size):
    """Frames of noise, a different one for each arm and frame."""
    return [
        (10.0 * at, {arm: noise(100 * n + at, **size) for n, arm in enumerate(arms)})
        for at in range(1, count + 1)
    ]


def found(count=8, size=8, **fields):
    """Neighbours at distances 0.1, 0.2, ..., where the real images' own is 0.5."""
    number = np.arange(count * 3).reshape(count, 3)
    usual = {
        "arm": "paper",
        "chosen_by": "fid[digits-cnn]",
        "extractor": "digits-cnn",
        "samples": noise(1, count, size),
        "images": noise(2, count * 3, size).reshape(count, 3, size, size, 3),
        "indices": number,
        "distances": (number + 1) / 10,
        "real_median": 0.5,
        "real_count": 500,
    }
    return Neighbours(**(usual | fields))


def keep_neighbours(run_folder, **fields):
    write_neighbours(run_folder, found(**fields))


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def coloured(picture):
    """HW3, whatever the PNG was."""
    return np.repeat(picture[..., None], 3, -1) if picture.ndim == 2 else picture[..., :3]
