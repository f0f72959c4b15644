"""Two processes beside one, tiny: both are real runs, and have to have the same losses."""

import os

import pytest

from harness.bench import ranks
from harness.bench.peer.asked import NotHereError


@pytest.fixture
def _small(monkeypatch):
    narrow = {"noise_size": 8, "base_channels": 32, "max_channels": 8}
    tiny = {"_BATCH": 4, "_IMAGES": 12, "_TURNS": 2, "_WARM": 3, "_LAST": 5}
    models = {"PGGAN": {**ranks._MODELS["PGGAN"], **narrow}}
    for name, value in {**tiny, "_MODELS": models}.items():
        monkeypatch.setattr(ranks, name, value)


@pytest.mark.usefixtures("_small")
def test_steps_of_both_sides_are_timed():
    found = ranks.measure("cpu")
    assert [*found.cases] == ["PGGAN, 32 px"]
    assert all(0 < sec < 60 for pair in found.cases["PGGAN, 32 px"].pairs for sec in pair)
    assert [goal.bound for goal in found.goals] == [pytest.approx(2 / 3)]
    assert "with 4 images in 2 processes take" in found.sentence


@pytest.mark.usefixtures("_small")
def test_other_losses_than_those_of_one_process_stop_the_benchmark(monkeypatch):
    times = iter([(0.1, 0.7, 2.0), (0.1, 0.7, 2.001)])
    monkeypatch.setattr(ranks, "_trained", lambda *_: next(times))
    with pytest.raises(RuntimeError, match=r"PGGAN: 2 processes have losses \[0\.7, 2\.001\]"):
        ranks.measure("cpu")


def test_one_core_has_no_second_process(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with pytest.raises(NotHereError, match="this machine has one core"):
        ranks.measure("cpu")
