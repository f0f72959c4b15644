"""The documentation's example runs as it is printed, and leaves what its page says."""

import os
import subprocess
import sys

import numpy as np
from imageio.v3 import imread
from scipy.spatial.distance import cdist, pdist
from sklearn.datasets import load_digits
from tiny import ROOT


def test_the_example_trains_draws_and_certifies(tmp_path):
    script = ROOT / "docs" / "examples" / "own_model.py"
    done = subprocess.run(
        [sys.executable, script, "out"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "generator_ema: equals the stated average within" in done.stdout + done.stderr
    trained, averaged = (
        tiles(next(tmp_path.rglob(f"{n}_1500.png"))) for n in ("trained", "averaged")
    )
    assert np.abs(trained - averaged).mean() > 1
    digits = load_digits().images * 255 / 16
    real = digits.reshape(-1, 64)
    # As unlike each other as digits are, and each near to one: neither noise nor all the same.
    typical = pdist(real[:64]).mean()
    assert pdist(averaged).mean() > 0.85 * typical
    assert cdist(averaged, real).min(1).mean() < 0.55 * typical


def tiles(path):
    """Return the 64 images of a picture of 8 by 8, each enlarged four times, as rows."""
    grey = imread(path)[::4, ::4, 0].astype(float)
    return grey.reshape(8, 8, 8, 8).transpose(0, 2, 1, 3).reshape(64, 64)
