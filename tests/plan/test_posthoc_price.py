"""What a post-hoc EMA adds to a plan."""

import pytest
from small_spec import spec
from tiny import ROOT

from harness.cli import main
from harness.plan.disk import snapshots, snapshots_gib, weights_gib

POSTHOC = {"every_kimg": 0.05, "rebuild": [0.03, 0.08, 0.25]}


def with_posthoc(**fields):
    return {"observers__posthoc": POSTHOC | fields}


@pytest.mark.parametrize(
    ("every_kimg", "count"),
    [(0.05, 12), (0.07, 9), (0.002, 30)],  # the last: no more than one an iteration
)
def test_snapshots_are_at_each_multiple_and_at_the_end(every_kimg, count):
    assert snapshots(spec(**with_posthoc(every_kimg=every_kimg))) == count
    assert snapshots(spec()) == 0


def test_the_disk_holds_every_snapshot_and_both_tracks():
    bare, more = spec(), spec(**with_posthoc())
    one = snapshots_gib(more) / 24
    assert one > 0
    assert snapshots_gib(bare) == 0
    assert weights_gib(more) - weights_gib(bare) == pytest.approx(2 * one)


def test_the_plan_says_what_is_rebuilt_and_its_disk(capsys):
    assert main(["plan", str(ROOT / "experiments" / "pggan-posthoc.yaml")]) == 0
    text = capsys.readouterr().out
    assert "12 averages rebuilt from sigma_rel 0.05 and 0.1: 28 snapshots of each, 12.9 MiB" in text
    assert main(["plan", str(ROOT / "experiments" / "pggan-ema.yaml")]) == 0
    assert "post-hoc" not in capsys.readouterr().out
