"""Checks of how much a spec asks for: a few lines of levels can stand for millions of runs."""

import math
from collections.abc import Iterator

from harness.spec.schema import Spec
from harness.spec.wording import Problem

_MOST_RUNS = 100_000
_LONGEST_LEVEL = 200
"""A run's folder is called by its level; file systems take 255 bytes."""


def size_problems(spec: Spec) -> Iterator[Problem]:
    """Say where levels and seeds make too many runs, or names too long for a folder."""
    factors = spec.factors
    runs = math.prod(map(len, factors.values())) * len(spec.seeds)
    if runs > _MOST_RUNS:
        at = "factors" if factors else "seeds"
        yield (at,), f"makes {runs:.4g} runs, {_MOST_RUNS} at most: ask less in one spec"
    longest = sum(
        len(path) + max(map(len, levels), default=0) + 2 for path, levels in factors.items()
    )
    if longest > _LONGEST_LEVEL:
        text = f"gives runs names of {longest} characters, {_LONGEST_LEVEL} at most"
        yield ("factors",), f"{text}: shorten the levels' names"
