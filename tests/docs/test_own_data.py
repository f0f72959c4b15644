"""The page's own words train on a folder of pictures."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pages" / "own-data.md").read_text()


def pictures(folder, count=80):
    """Write gradients of random colours and directions, none square, one broken, one grey."""
    folder.mkdir()
    draws = np.random.default_rng(0)
    y, x = np.mgrid[0:36, 0:44] / 44
    for number in range(count):
        a, b, colour = draws.random(), draws.random(), draws.random(3)
        image = (a * x + b * y)[..., None] * colour * 127 + 60 * draws.random()
        Image.fromarray(image.astype(np.uint8)).save(folder / f"{number}.png")
    Image.new("L", (64, 48), 99).save(folder / "grey.jpg")
    (folder / "broken.png").write_bytes(b"not a picture")


def said(line, folder):
    """Run one of the page's commands in a folder that has the repository's docs in it."""
    words = [sys.executable, "-m", *shlex.split(line)]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "HARNESS_CACHE": str(folder / "cache"),
    }
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_minute_s_try_goes_through(tmp_path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    pictures(tmp_path / "my-pictures")
    plan, try_it = (
        next(line for line in re.findall(r"harness .*", PAGE) if part in line)
        for part in ("harness plan docs", "train.kimg=0.4")
    )
    assert "PGGAN to 32 px on image_folder" in said(plan, tmp_path)
    assert "finished" in said(try_it, tmp_path)
    (report,) = (tmp_path / "results" / "own-data").glob("*/report.md")
    text = report.read_text()
    assert "does an average of the generator draw my pictures better?" in text.lower()
    assert "FID[random-conv-64]" in text
    assert all(f"| `{arm}` |" in text for arm in ("raw", "short", "long"))
