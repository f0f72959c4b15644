"""Scoring generators beside torch-fidelity: both sides come to one value, or it is told."""

from dataclasses import replace

import pytest
import torch

from harness.bench import scoring
from harness.images import to_uint8
from harness.metrics import fid

SMALL, LOCAL, INCEPTION = scoring.CASES


def test_both_sides_look_at_the_same_images_and_agree(monkeypatch):
    small = replace(SMALL, images=300, turns=2)
    local = replace(LOCAL, images=100, turns=2, overrides=(*LOCAL.overrides, *NARROW))
    monkeypatch.setattr(scoring, "CASES", (small, local))
    found = scoring.measure("cpu")
    assert list(found.cases) == ["digits-cnn", "random-conv-64"]
    assert [goal.bound for goal in found.goals] == [1.0, 1.0]
    assert all(len(case.pairs) == 2 for case in found.cases.values())
    assert found.csv().count("\n") == 1 + 4
    assert found.details.count("\n") == 3


NARROW = ("model.base_channels=64", "model.max_channels=8")


def test_kid_takes_the_place_of_fid_where_features_are_many(tmp_path):
    case = replace(SMALL, metric="kid", images=300)
    ours, theirs = scoring.sides(case, tmp_path, "cpu")
    assert ours() == pytest.approx(theirs(), rel=1e-9)
    assert theirs() != 0


@pytest.mark.parametrize("fault", ["rounding", "formula", "latents"])
def test_sides_that_disagree_are_told(fault, tmp_path, monkeypatch):
    if fault == "rounding":  # of the images that torch-fidelity is given
        monkeypatch.setattr(scoring, "to_uint8", lambda images: to_uint8(images * 0.99))
    elif fault == "formula":
        exact = fid.StatisticsAccumulator.compute
        monkeypatch.setattr(
            fid.StatisticsAccumulator,
            "compute",
            lambda self: replace(found := exact(self), cov=found.cov * (1 + 1e-4)),
        )
    else:
        monkeypatch.setattr(
            scoring._Evaluator, "latents", lambda self, model, _, n, fresh: torch.randn(n, 64)
        )
    with pytest.raises(RuntimeError, match=r"^fid\[digits-cnn\] is .* by torch-fidelity"):
        scoring._case(replace(SMALL, images=300), tmp_path, "cpu")


def test_an_untrained_inception_has_features_and_a_digest(tmp_path):
    """The file is shaped as the published one, and an image reaches its features."""
    weights = scoring._untrained(tmp_path / "random.pth")
    state = torch.load(weights["weights"])
    assert sum(value.numel() for value in state.values()) > 23e6
    assert all(value.isfinite().all() for value in state.values())
