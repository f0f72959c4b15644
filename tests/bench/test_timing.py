"""Benchmarks: what their sentences say, and that both sides are taken in turns."""

import csv

import pytest

from harness.bench.ema_overhead import measure
from harness.bench.suite import run
from harness.bench.timing import Comparison, Comparisons, in_turns
from harness.errors import SpecError


def test_the_ratio_is_the_median_of_pairs():
    pairs = tuple((value, 1.0) for value in (1.0, 1.1, 1.2, 1.3, 9.0))
    comparison = Comparison("a", "b", "a step", pairs, bound=1.1)
    assert comparison.ratio[0] == 1.2
    assert "1.200 times" in comparison.sentence
    assert "missed" in comparison.sentence
    assert len(comparison.csv().splitlines()) == 6


def test_a_case_stays_one_column_whatever_its_name():
    pair = (0.0123456789012345678, 0.002)
    found = Comparisons({"PGGAN, 8 px": Comparison("a", "b", "a step", (pair,))})
    header, row = csv.reader(found.csv().splitlines())
    assert header == ["case", "first_ms", "second_ms"]
    assert row == ["PGGAN, 8 px", repr(1000 * pair[0]), "2.0"]


def test_sides_are_taken_in_turns():
    calls = []
    pairs = in_turns(lambda: calls.append("a"), lambda: calls.append("b"), turns=4, calls=2)
    assert "".join(calls) == "aabbbbaaaabbbbaa"
    assert len(pairs) == 4


def test_an_unknown_benchmark_is_named(tmp_path):
    with pytest.raises(SpecError, match="'speed' is not a benchmark; known: ema_update"):
        run(["speed"], tmp_path, "cpu")


def test_shadows_leave_training_as_it_is(monkeypatch):
    """The benchmark's own check of both sides, on real runners; its times are not judged here."""
    monkeypatch.setattr("harness.bench.ema_overhead._TURNS", 2)
    monkeypatch.setattr("harness.bench.ema_overhead._CALLS", 1)
    comparison = measure("cpu")
    assert "9 EMA shadows" in comparison.first
    assert all(a > 0 and b > 0 for a, b in comparison.pairs)
