"""Levels are ranked as if the best were taken out one by one, and in the time of one look."""

import math
import random

import pytest

from harness.report.answer import best_of, ranking
from harness.report.tabular import table_text


def one_by_one(values, better):
    left, found = dict(values), []
    while finite := {name: value for name, value in left.items() if math.isfinite(value)}:
        best = (min if better == "lower" else max)(finite.values())
        name = next(name for name, value in finite.items() if value == best)
        found.append(name)
        del left[name]
    return found


@pytest.mark.parametrize(("metric", "better"), [("fid[x]", "lower"), ("is[x]", "higher")])
def test_a_ranking_takes_the_best_out_one_by_one(metric, better):
    draws = random.Random(0)
    odd = [math.nan, math.inf, -math.inf, 0.0, -0.0]
    for _ in range(200):
        pool = [*odd, *(float(draws.randrange(4)) for _ in range(8))]
        values = {str(number): draws.choice(pool) for number in range(draws.randrange(9))}
        assert ranking(values, metric) == one_by_one(values, better)
        assert best_of(values, metric) == next(iter(ranking(values, metric)), None)


def test_without_a_direction_there_is_none():
    assert ranking({"a": 1.0}, "diversity") == []
    assert best_of({"a": 1.0}, "diversity") is None


@pytest.mark.parametrize(
    "column",
    [
        [0.0, -0.0] * 50,
        [1.5, math.nan, math.inf, 1.5] * 50,
        [1, 2, 3] * 50,
        [1, 1.0, True] * 50,
        [1e-5, 1e16, 0.1 + 0.2] * 50,
        [float(n) for n in range(3000)],
        [1.0] * 1500 + [2.0, -0.0, 0.0, 7.25],
        [],
    ],
    ids=lambda column: repr(column[:4]),
)
def test_numbers_that_repeat_are_written_as_each_by_itself(column):
    assert table_text({"a": column}) == "".join(f"{text}\n" for text in ["a", *map(repr, column)])
