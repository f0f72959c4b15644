"""The files that a maintainer copies: they pass as they are, and fail on small faults."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GATE = ROOT / "docs" / "examples" / "ci"
FAULTS = {
    "decay 1 % off": ("1 - self.decay)", "1.01 * (1 - self.decay))"),
    "start one late": ("self.step <= self.start_step", "self.step <= self.start_step + 1"),
    "buffers averaged": (" or name not in self.trained", ""),
}


def gate(folder, *arguments):
    """Run the gate's tests in a copy, as a project that knows the harness as a package."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, "."]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copied(tmp_path):
    return Path(shutil.copytree(GATE, tmp_path / "ema"))


def test_the_gate_is_open_for_the_right_average(copied):
    done = gate(copied)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_the_gate_closes(fault, copied):
    right, wrong = FAULTS[fault]
    path = copied / "my_ema.py"
    source = path.read_text()
    assert source.count(right) == 1
    path.write_text(source.replace(right, wrong))
    done = gate(copied)
    assert done.returncode == 1, done.stdout
    assert "test_my_ema_is_what_its_setting_says" in done.stdout


def test_the_golden_part_alone_finds_one_per_cent(copied):
    path = copied / "my_ema.py"
    path.write_text(path.read_text().replace(*FAULTS["decay 1 % off"]))
    done = gate(copied, "-k", "40_steps")
    assert done.returncode == 1
    assert "gap_of_the_average" in done.stdout
    assert "\nloss" not in done.stdout.split("Values are not sufficiently close")[-1]


def test_the_workflow_is_one():
    workflow = yaml.safe_load((GATE / "ema-gate.yml").read_text())
    job = workflow["jobs"]["ema"]
    assert workflow[True].keys() == {"pull_request", "schedule"}  # YAML 1.1 reads "on" so
    assert all("uses" in step or "run" in step for step in job["steps"])
    assert workflow["permissions"] == {"contents": "read"}
