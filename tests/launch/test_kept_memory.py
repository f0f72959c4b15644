"""Freed memory stays with the process: the next step takes no fresh pages."""

import ctypes
import subprocess
import sys

import pytest

from harness.launch import memory

FAULTS = """
import resource, sys, numpy
from harness.launch.memory import keep_freed
if sys.argv[1] == "keep": assert keep_freed()
def step():
    kept = [numpy.ones(2**20, numpy.float32) for _ in range(12)]
for _ in range(3): step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(9): step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_steps_take_no_fresh_pages():
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", FAULTS, how]))
        for how in ("keep", "leave")
    }
    assert faults["keep"] < 100 < faults["leave"]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed() is False
