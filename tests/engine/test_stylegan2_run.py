"""StyleGAN2 from a spec: what it builds, and a whole run of it on digits."""

import math

import pytest
import torch
from keepers import keeper_of
from safetensors.torch import load_file

from harness.engine.build import train
from harness.engine.families import gan, optimizers
from harness.plan.expand import expand
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.spec.load import apply_override, validated

SPEC = {
    "question": "Does a whole run work?",
    "model": {
        "type": "StyleGAN2",
        "noise_size": 8,
        "out_scale": 8,
        "num_mlps": 2,
        "base_channels": 32,
        "max_channels": 8,
        "mapping_lr": 0.02,
        "mixing_prob": 0.25,
    },
    "data": {"type": "digits", "max_images": 200},
    "train": {
        "kimg": 0.6,
        "batch_size": 20,
        "log_every_kimg": 0.2,
        "optimizer": {"lr": 0.004, "betas": [0.0, 0.99]},
        "loss": {"type": "logistic", "r1_gamma": 2, "r1_interval": 16, "path_weight": 3},
        "augment": {"type": "ada", "initial_p": 0.5, "adjust_kimg": 1},
    },
    "evaluate": {
        "every_kimg": 0.3,
        "extractor": "digits-cnn",
        "fake_images": 100,
        "metrics": ["fid"],
    },
    "seeds": [0],
    "observers": {
        "ema": {
            "ramp": {"interp_mode": "ramp", "interp_cfg": {"half_life_kimg": 1, "rampup": 0.05}}
        }
    },
}


def planned(**overrides):
    content = SPEC
    for path, value in overrides.items():
        content = apply_override(content, path.replace("__", "."), value)
    return expand("test", "quick", validated(content, "test.yaml")).runs[0]


def test_the_spec_decides_networks_losses_and_augmentation():
    model = gan(planned().spec, 0)
    generator = model.generator
    assert (generator.noise_size, generator.out_size, generator.mix_prob) == (8, 8, 0.25)
    assert [layer.lr_mul for layer in list(generator.style_mapping)[1:]] == [0.02] * 2
    assert generator.style_mapping[0].under_root == 1e-8  # the paper's form
    assert generator.convs[0].conv.weight_orig.shape == (1, 8, 8, 3, 3)
    assert model.discriminator.group_size == 4
    assert (model.mixing_prob, model.r1_gamma, model.r1_interval) == (0.25, 2, 16)
    assert (model.path_weight, model.path_interval, model.path_batch_shrink) == (3, 4, 2)
    assert (model.augment.p, model.augment.adjust_images) == (0.5, 1000)
    assert gan(planned(train__augment=None).spec, 0).augment is None


@pytest.mark.parametrize(
    ("loss", "generator", "discriminator"),
    [
        ({}, 4 / 5, 16 / 17),
        ({"path_weight": 0}, 1, 16 / 17),
        ({"r1_interval": 1}, 4 / 5, 1),
        ({"r1_gamma": 0, "path_interval": 8}, 8 / 9, 1),
    ],
)
def test_adam_knows_of_every_lazy_term_and_of_no_other(loss, generator, discriminator):
    spec = planned(train__loss=SPEC["train"]["loss"] | loss).spec
    wrappers = optimizers(spec, gan(spec, 0))
    for name, share in (("generator", generator), ("discriminator", discriminator)):
        (group,) = wrappers[name].param_groups
        assert group["lr"] == group["initial_lr"] == pytest.approx(0.004 * share)
        assert group["betas"] == pytest.approx((0.0, 0.99**share))


def test_a_run_leaves_rows_and_weights_that_go_on(tmp_path):
    run = planned()
    folder = RunFolder(tmp_path / "run")
    folder.begin(run.settings, {})
    assert train(run, keeper_of(run, folder), torch.device("cpu"), tmp_path / "cache") == 30
    folder.end(Outcome(Status.FINISHED))
    rows = folder.rows()
    for name in ("loss/d", "loss/g", "loss/penalty", "loss/path", "train/ada_p"):
        assert [row.kimg for row in rows if row.quantity == name] == [0.2, 0.4, 0.6]
    assert all(math.isfinite(row.value) for row in rows)
    fid = [(row.arm, row.kimg) for row in rows if row.quantity == "fid[digits-cnn]"]
    assert fid == [("real", 0), ("raw", 0.3), ("ramp", 0.3), ("raw", 0.6), ("ramp", 0.6)]
    weights = load_file(folder.path / "weights.safetensors")
    kept = {name for name in gan(run.spec, 0).state_dict() if "_extra_state" not in name}
    assert kept <= set(weights)
    assert weights["path_mean"] > 0
