"""The files that a maintainer copies: they pass as they are, and fail on small faults."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import harness.conformance.cases
from harness.cli import main
from harness.conformance.cases import CASES

ROOT = Path(__file__).parents[2]
GATE = ROOT / "docs" / "examples" / "ci"
GOLDEN = pd.read_csv(GATE / "test_my_ema" / "test_a_short_training_gives_what_it_gave.csv")
FAULTS = {
    "decay 1 % off": ("1 - self.decay)", "1.01 * (1 - self.decay))", {"gap"}),
    "start one late": ("self.step <= self.start_step", "self.step <= self.start_step + 1", {"gap"}),
    "buffers averaged": (" or name not in self.trained", "", set()),
}


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Return a function that writes the gate's files with a fault, and returns its test module."""

    def plant(right="", wrong=""):
        folder = Path(shutil.copytree(GATE, tmp_path / "ema"))
        source = (folder / "my_ema.py").read_text()
        assert not right or source.count(right) == 1
        (folder / "my_ema.py").write_text(source.replace(right, wrong) if right else source)
        monkeypatch.syspath_prepend(folder)
        for name in ("my_ema", "test_my_ema"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        few = [case for case in CASES if case.name in ("plain", "batch-norm", "late", "resume")]
        monkeypatch.setattr(harness.conformance.cases, "CASES", few)
        return importlib.import_module("test_my_ema")

    return plant


def moved(module):
    """Return the columns of the golden training that are not within its tolerance."""
    found = module.trained()
    return {n for n in GOLDEN if n in found and not _close(found[n], GOLDEN[n], module.TOLERANCE)}


def _close(found, golden, tolerance):
    return np.isclose(found, golden, **tolerance).all()


def test_the_gate_is_open_for_the_right_average(planted):
    assert moved(planted()) == set()
    assert main(["check-ema", "my_ema:make_ema"]) == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_the_gate_closes(fault, planted):
    right, wrong, columns = FAULTS[fault]
    assert moved(planted(right, wrong)) == columns
    assert main(["check-ema", "my_ema:make_ema"]) == 1


def test_it_runs_as_a_project_runs_it(tmp_path):
    folder = shutil.copytree(GATE, tmp_path / "ema")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_workflow_is_one():
    workflow = yaml.safe_load((GATE / "ema-gate.yml").read_text())
    job = workflow["jobs"]["ema"]
    assert workflow[True].keys() == {"pull_request", "schedule"}  # YAML 1.1 reads "on" so
    assert all("uses" in step or "run" in step for step in job["steps"])
    assert workflow["permissions"] == {"contents": "read"}
