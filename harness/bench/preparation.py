"""What does preparing a data set cost beyond PIL's own work?

The same files are decoded, cropped and area-averaged to every scale by PIL alone, with as many
threads as ours uses, and kept in memory; ours also reads each file twice (the second time for the
set's name), averages exactly, hashes the pixels, and writes every scale to the disk.
"""

import io
import os
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from harness.bench.timing import Comparison, Comparisons, in_turns
from harness.data import DataSource
from harness.data.prepare import prepare

_IMAGES = 400
_SIZE, _SCALES = 256, (4, 8, 16, 32, 64, 128)
_TURNS = 5
_BOUND = 1.1


def measure(device: str) -> Comparisons:
    """Prepare a folder of JPEG files and a zip of PNG files, in turns with PIL.

    Raises:
        RuntimeError: if the pixels differ: at the largest scale at all, below it by more than the
            roundings of PIL's ways through 8 bits.
    """
    cases = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = {form: _files(form) for form in ("JPEG", "PNG")}
        (folder / "jpeg").mkdir()
        for number, content in enumerate(contents["JPEG"]):
            (folder / "jpeg" / f"{number:04}.jpg").write_bytes(content)
        with zipfile.ZipFile(folder / "png.zip", "w") as archive:
            for number, content in enumerate(contents["PNG"]):
                archive.writestr(f"{number:04}.png", content)
        cases["a folder of JPEG"] = _compared(folder, "image_folder", folder / "jpeg")
        cases["a zip of PNG"] = _compared(folder, "zip", folder / "png.zip")
    return Comparisons(cases)


def _files(form: str) -> list[bytes]:
    """Return smooth random pictures, a little wider than high."""
    draws, contents = np.random.default_rng(0), []
    for _ in range(_IMAGES):
        coarse = Image.fromarray(draws.integers(0, 256, (16, 20, 3), np.uint8))
        file = io.BytesIO()
        coarse.resize((_SIZE * 5 // 4, _SIZE)).save(file, form)
        contents.append(file.getvalue())
    return contents


def _compared(folder: Path, kind: str, root: Path) -> Comparison:
    largest = max(_SCALES)
    source = DataSource(type=kind, root=root, resolution=largest, crop="center")  # type: ignore[arg-type]
    turns = iter(range(10 * _TURNS))

    def ours() -> Path:
        cache = folder / f"cache-{kind}-{next(turns)}"
        prepare(source, _SCALES, cache)
        return cache

    real = prepare(source, _SCALES, ours())
    alone = _pil(root)
    for scale in _SCALES:
        apart = np.abs(real.scales[scale].astype(int) - alone[scale]).max()
        if apart > (scale != largest):
            raise RuntimeError(f"{root.name} at {scale} px: {apart} apart from PIL's")
    return Comparison(
        f"preparing {root.name}",
        "PIL alone",
        f"for {_IMAGES} images",
        in_turns(ours, lambda: _pil(root), _TURNS, 1),
        _BOUND,
    )


def _pil(root: Path) -> dict[int, np.ndarray]:
    """Return N3ss of each scale, by PIL alone."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        if root.is_dir():
            found = list(pool.map(lambda path: _scales(path.read_bytes()), sorted(root.iterdir())))
        else:
            with zipfile.ZipFile(root) as archive:
                found = list(pool.map(lambda name: _scales(archive.read(name)), archive.namelist()))
    return {
        scale: np.stack([images[at] for images in found]).transpose(0, 3, 1, 2)
        for at, scale in enumerate(_SCALES)
    }


def _scales(content: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(content)) as image:
        rgb = image.convert("RGB")
    left, side = (rgb.width - rgb.height) // 2, rgb.height
    square = rgb.crop((left, 0, left + side, side))
    full = square.resize((_SCALES[-1],) * 2, Image.Resampling.BOX)
    return [np.asarray(full.resize((s, s), Image.Resampling.BOX)) for s in _SCALES]
