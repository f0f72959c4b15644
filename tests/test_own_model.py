"""The documentation's example runs as it is printed, and leaves what its page says."""

import os
import subprocess
import sys

import numpy as np
from imageio.v3 import imread
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
    pictures = {p.name: imread(p) for p in tmp_path.rglob("*_600.png")}
    assert sorted(pictures) == ["averaged_600.png", "trained_600.png"]
    trained, averaged = (pictures[f"{name}_600.png"] for name in ("trained", "averaged"))
    assert trained.shape == averaged.shape
    assert trained.std() > 30  # digits, not a grey field
    assert np.abs(trained.astype(int) - averaged).mean() > 1
