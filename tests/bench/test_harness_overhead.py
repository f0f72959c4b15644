"""The loop by hand is the harness's training, to the bit; times are not judged here."""

from itertools import islice

import pytest

from harness.bench import harness_overhead
from harness.bench.harness_overhead import Case, differing, measure, sides
from harness.bench.steps import step

_NARROW = ("model.base_channels=32", "model.max_channels=8", "train.batch_size=4")
TINY = {
    "PGGAN": Case("pggan-ema", 8, _NARROW),
    "StyleGAN1": Case("stylegan1-ema", 8, _NARROW),
    "StyleGAN2": Case("stylegan2-ema", 8, _NARROW),
    "SinGAN": Case("singan-ema", 39, ("model.base_channels=4", "model.min_feat_channels=4")),
}


@pytest.mark.parametrize("name", TINY)
def test_both_sides_take_the_same_steps(name, tmp_path):
    """Seventeen are past both of StyleGAN2's lazy terms."""
    runner, loop = sides(TINY[name], tmp_path / tmp_path.name, "cpu")
    before = {key: value.clone() for key, value in loop.generator.state_dict().items()}
    for _ in range(17 if name == "StyleGAN2" else 3):
        step(runner)
        loop.step()
    assert differing(runner, loop) == []
    after = loop.generator.state_dict()
    assert any(not before[key].equal(after[key]) for key in before)


def test_what_is_found_has_a_goal_for_each_case(monkeypatch):
    monkeypatch.setattr(harness_overhead, "CASES", dict(islice(TINY.items(), 1)))
    monkeypatch.setattr(harness_overhead, "_SEC", 0.0)
    found = measure("cpu")
    assert list(found.cases) == ["PGGAN"]
    assert [goal.bound for goal in found.goals] == [pytest.approx(1.0309, abs=1e-4)]
    assert all(ours > 0 and theirs > 0 for ours, theirs in found.cases["PGGAN"].pairs)


def test_sides_that_differ_are_refused(monkeypatch):
    monkeypatch.setattr(harness_overhead, "CASES", dict(islice(TINY.items(), 1)))
    monkeypatch.setattr(harness_overhead, "_SEC", 0.0)
    monkeypatch.setattr(harness_overhead, "_MOMENTUM", 0.0011)  # of the loop, not of the spec
    with pytest.raises(RuntimeError, match=r"PGGAN: shadow\..* is not what a loop by hand makes"):
        measure("cpu")
