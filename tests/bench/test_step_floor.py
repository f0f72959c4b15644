"""The floor of a step: what is counted of it, and what is made of that."""

import pytest

from harness.bench import step_floor
from harness.bench.counting import CONVOLUTIONS, PRODUCTS, REST, Count, Work
from harness.bench.step_floor import Case, Floor, Step, check, measure

_WORK = {CONVOLUTIONS: Work(4000, 7, 1), PRODUCTS: Work(1000, 7, 1), REST: Work(0, 60, 3)}


def floor(device="cpu"):
    return Floor(
        {
            "PGGAN": Step(
                "32 px",
                16,
                (3.0, 2.0, 8.0),
                _WORK,
            )
        },
        device,
        1000.0,
        20.0,
    )


def test_a_floor_is_work_over_the_rates():
    found = floor()
    floors = {CONVOLUTIONS: 4.0, PRODUCTS: 1.0, REST: 3.0}
    assert found.floors(found.steps["PGGAN"]) == floors
    assert found.steps["PGGAN"].sec_per_kimg == (187.5, 125.0, 500.0)
    rows = [line.split(",") for line in found.csv().splitlines()]
    assert rows[-1][:3] == ["PGGAN", "step", "5"]
    assert [float(value) for value in rows[-1][5:]] == [8.0, 3.0, pytest.approx(8 / 3)]


def test_only_a_gpu_has_goals():
    assert floor().goals == ()
    assert [(goal.bound, goal.unit, goal.met) for goal in floor("cuda").goals] == [
        (0.15, "s/kimg", False)
    ]


def test_a_real_step_is_counted(monkeypatch):
    widths = ("model.base_channels=4", "model.min_feat_channels=4")
    cases = {"SinGAN": Case("singan-ema", 27, widths, thin=True)}
    monkeypatch.setattr(step_floor, "CASES", cases)
    found = measure("cpu")
    assert found.steps["SinGAN"].work[CONVOLUTIONS].flop > 0
    assert found.steps["SinGAN"].images == 3
    assert "times its floor" in found.sentence
    assert "| SinGAN | step |" in found.details


def test_a_count_that_misses_a_pass_is_refused(monkeypatch):
    monkeypatch.setattr("harness.bench.counting._TRANSPOSED", {"convolution": 6})
    monkeypatch.setattr(step_floor, "Count", Half)
    with pytest.raises(RuntimeError, match="are counted"):
        check()


class Half(Count):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ == "convolution_backward":
            return func(*args, **(kwargs or {}))
        return super().__torch_dispatch__(func, types, args, kwargs)
