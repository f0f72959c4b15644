"""What the plan says that a checkpoint takes is what it takes."""

import copy

import pytest
import torch
from tiny import ROOT

from harness.engine import checkpoints
from harness.engine.families import gan, optimizers
from harness.plan.expand import expand
from harness.plan.keeping import checkpoint_gib
from harness.spec.load import load


def written(spec, folder):
    """Write a checkpoint as at the end of training, when all weights have moments."""
    model = gan(spec, 0)
    wrappers = optimizers(spec, model)
    for _, wrapper in wrappers.items():
        for group in wrapper.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        wrapper.optimizer.step()
    averages = len(spec.observers.ema) + (2 if spec.observers.posthoc else 0)
    for index in range(averages):
        setattr(model, f"shadow{index}_ema", copy.deepcopy(model.generator))
    state = {"state_dict": model.state_dict(), "optimizer": wrappers.state_dict()}
    checkpoints.save(folder, 1, state, 1)
    return checkpoints.find(folder)[0].stat().st_size / 2**30


@pytest.mark.parametrize("name", ["pggan-ema", "stylegan1", "stylegan2", "singan"])
def test_a_checkpoint_is_as_large_as_the_plan_says(name, tmp_path):
    found = next(iter(sorted((ROOT / "experiments").glob(f"{name}*.yaml"))))
    spec = expand(found.stem, "quick", load(found)).runs[0].spec
    assert checkpoint_gib(spec) == pytest.approx(written(spec, tmp_path), rel=0.1)
