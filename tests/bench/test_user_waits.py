"""Benchmarks of a user's wait, tiny: what they find, and what stops them."""

import numpy as np
import pytest

from harness.bench import command_times, preparation, run_start
from harness.bench.commands import seconds_of
from harness.data.prepare import Prepared


def test_commands_are_timed_beside_python_itself(monkeypatch):
    monkeypatch.setattr(command_times, "_TURNS", 2)
    found = command_times.measure("cpu")
    assert [line.count(",") for line in found.csv().splitlines()] == [2, 2, 2]
    [goal] = found.goals
    assert (goal.bound, goal.unit) == (0.3, "s")
    assert min(found.seconds["harness plan"]) > min(found.seconds["python -c pass"])
    assert "(1.0 times)" in found.sentence


def test_a_command_that_fails_is_not_timed(tmp_path):
    with pytest.raises(RuntimeError, match=r"no\.yaml"):
        seconds_of(tmp_path, "plan", "no.yaml")


def test_starts_are_read_from_records_of_real_runs(monkeypatch):
    cases = {name: case for name, case in run_start._CASES.items() if "digits" in name}
    monkeypatch.setattr(run_start, "_CASES", cases)
    monkeypatch.setattr(run_start, "_SPEC", {**run_start._SPEC, "seeds": [0, 1, 2]})
    found = run_start.measure("cpu")
    [times] = found.seconds.values()
    assert len(times) == 2
    assert all(0 < sec < 60 for sec in times)
    assert [goal.bound for goal in found.goals] == [1.0]


def test_a_run_that_fails_stops_the_benchmark(tmp_path):
    spec = run_start._spec(8, {"type": "zip", "root": "nothing.zip"}, "digits-cnn")
    with pytest.raises(RuntimeError, match="ended before"):
        run_start._starts(tmp_path, spec, "cpu")


@pytest.fixture
def _few(monkeypatch):
    monkeypatch.setattr(preparation, "_IMAGES", 3)
    monkeypatch.setattr(preparation, "_TURNS", 2)


@pytest.mark.usefixtures("_few")
def test_preparation_is_timed_beside_pil():
    found = preparation.measure("cpu")
    assert [*found.cases] == ["a folder of JPEG", "a zip of PNG"]
    assert [goal.bound for goal in found.goals] == [1.1, 1.1]


@pytest.mark.usefixtures("_few")
def test_other_pixels_than_pils_stop_the_benchmark(monkeypatch):
    real = preparation.prepare

    def off_by_one(*arguments):
        found = real(*arguments)
        largest = max(found.scales)
        other = np.where(found.scales[largest] > 0, found.scales[largest] - 1, 1).astype(np.uint8)
        scales = {**found.scales, largest: other}
        return Prepared(found.name, found.digest, found.skipped, scales)

    monkeypatch.setattr(preparation, "prepare", off_by_one)
    with pytest.raises(RuntimeError, match="128 px: 1 apart"):
        preparation.measure("cpu")
