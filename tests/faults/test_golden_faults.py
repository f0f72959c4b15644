"""Faults of one per cent and of one step, planted in a golden run: the gate closes on each."""

from pathlib import Path

import golden_runs
import pandas as pd
import pytest

import harness.engine.build
from harness.data.order import ShownImages

GOLDEN = pd.read_csv(
    Path(__file__).parents[1] / "golden" / "test_golden_runs" / "pggan.csv", index_col=0
)
FAULTS = {
    "momentum 1 % off": ("observers__ema__m0.1__interp_cfg__momentum", 0.101, "m0.1"),
    "start one late": ("observers__ema__late__start_iter", 7, "late"),
    "rate 1 % off": ("train__optimizer__lr", 0.00202, "raw"),
}


@pytest.mark.parametrize(("field", "value", "arm"), FAULTS.values(), ids=FAULTS)
def test_a_setting_that_is_a_little_off_is_found(field, value, arm, tmp_path):
    found = golden_runs.outside(
        "pggan", golden_runs.run("pggan", tmp_path, **{field: value}), GOLDEN
    )
    assert found
    if arm != "raw":  # an observer changes nothing but itself
        assert {name.partition("/")[0] for name in found} == {arm}


def test_images_in_another_order_are_found(tmp_path, monkeypatch):
    def other(count, batch_size, seed, divided):
        return ShownImages(count, batch_size, seed + 1, divided=divided)

    monkeypatch.setattr(harness.engine.build, "ShownImages", other)
    found = golden_runs.outside("pggan", golden_runs.run("pggan", tmp_path), GOLDEN)
    assert {"run/loss/d", "run/loss/penalty"} <= {*found}
