"""Cost over the number of shadows: what is drawn beside it, and that a wrong shadow is seen."""

import csv
import io

import pytest
import torch
from torch import nn

from harness.bench import shadows
from harness.bench.shadows import Growth, Timing, measure
from harness.ema.averaging import Average


@pytest.fixture
def _tiny(monkeypatch):
    monkeypatch.setattr(shadows, "NETWORKS", {"PGGAN-128": lambda: nn.Conv2d(3, 5, 3)})
    monkeypatch.setattr(shadows, "COUNTS", (0, 1, 3))
    monkeypatch.setattr(shadows, "_TURNS", 2)


@pytest.mark.usefixtures("_tiny")
def test_both_ways_are_timed_at_each_number():
    found = measure("cpu")
    rows = list(csv.DictReader(io.StringIO(found.csv())))
    assert len(rows) == 3 * 2 * 2
    assert {(row["way"], row["shadows"]) for row in rows} == {
        (way, count) for way in ("in one pass", "each by itself") for count in "013"
    }
    assert found.numbers == 3 * 5 * 9 + 5
    (name,) = found.pictures
    assert name == "shadows.png"
    assert found.pictures[name][1].startswith(b"\x89PNG")


def test_the_slope_is_a_further_shadows():
    def timings(way, each):
        return [Timing(way, k, ((0.5 + each * k, 1.0),) * 3) for k in (0, 1, 2, 32)]

    found = Growth((*timings("in one pass", 0.7), *timings("each by itself", 1.1)), 1, 2**18, 1.25)
    assert "costs 0.70 of one flat lerp in one pass" in found.sentence
    assert "and 1.10 in passes of their own" in found.sentence
    assert "1.2 MiB measured, 1.0 MiB of numbers" in found.sentence
    assert "| 32 | in one pass | 22.90 | 22.90 to 22.90 | 21.67 |" in found.details
    assert "| 2 | each by itself | 2.70 | 2.70 to 2.70 | 2.00 |" in found.details


@pytest.mark.usefixtures("_tiny")
def test_a_wrong_shadow_is_seen(monkeypatch):
    lerp = torch._foreach_lerp_

    def faulty(old, new, weight):
        lerp(old, new, weight)
        if isinstance(weight, list):
            old[2].view(-1)[0] += 1e-3

    monkeypatch.setattr(torch, "_foreach_lerp_", faulty)
    with pytest.raises(RuntimeError, match="in one pass: shadow 2 of 3 is wrong in weight"):
        measure("cpu")


@pytest.mark.usefixtures("_tiny")
def test_a_wrong_update_of_one_is_seen(monkeypatch):
    update = Average.update
    monkeypatch.setattr(Average, "update", lambda self, w, rest: update(self, 2 * w, rest))
    with pytest.raises(RuntimeError, match="each by itself: shadow 0 of 3 is wrong"):
        measure("cpu")
