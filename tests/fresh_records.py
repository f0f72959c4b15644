"""Rows on fresh latents for the small world of ``report_records``, with stated noise."""

from report_records import FID

from harness.records.quantities import fresh
from harness.records.types import Row

APART = {"raw": 0.3, "paper": 0.1}
"""How far an arm's two fresh sets lie above and below its usual one; 0.3 for others."""


def measured_again(level, seed, rows):
    """Measure each arm's FID at the end on two fresh sets: a standard deviation of ``APART``."""
    end = max(row.kimg for row in rows)
    more = [
        Row(fresh(row.quantity, number), row.arm, row.value + sign * off, *_when(row))
        for row in rows
        if row.quantity == FID and row.arm != "real" and row.kimg == end
        for off in [APART.get(row.arm, 0.3)]
        for number, sign in ((1, 1), (2, -1))
    ]
    return [*rows, *more]


def lucky(level, seed, rows):
    """Let raw be best at 90 kimg, by luck: 2 + seed, and 6 + seed on fresh latents."""
    at = (90.0, 1800, 1.0)
    more = [Row(FID, "raw", 2.0 + seed, *at), Row(fresh(FID, 1), "raw", 6.0 + seed, *at)]
    return [*measured_again(level, seed, rows), *more]


def _when(row):
    return row.kimg, row.iteration, row.sec
