"""Images for benchmarks that ask what training costs, not what it learns."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_images(folder: Path, count: int, side: int) -> None:
    """Write PNG files of random pixels."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{index:04d}.png")
