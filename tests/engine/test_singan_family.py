"""A spec's SinGAN: its settings arrive, and its one optimizer a network trains every scale."""

import torch
from tiny_singan import singan_run, singan_spec

from harness.engine.families import gan, optimizers
from harness.engine.weights import trained


def test_every_setting_reaches_the_model():
    spec = singan_spec(
        model__generator_steps=4,
        model__noise_weight_init=0.3,
        model__lr_milestone=0.6,
        model__base_channels=6,
        model__paper_form=False,
        train__loss={"penalty_weight": 0.2, "recon_weight": 5.0},
    )
    model = gan(spec, 7)
    assert (model.seed, model.generator_steps, model.noise_weight_init) == (7, 4, 0.3)
    assert (model.lr_milestone, model.penalty_weight, model.recon_weight) == (0.6, 0.2, 5.0)
    assert len(model.generator.blocks) == len(spec.pyramid.sizes) == len(spec.growth.scales)
    assert len(model.discriminator.blocks) == len(model.generator.blocks)
    assert model.generator.blocks[0].head.conv.out_channels == 6
    assert not model.generator.paper_form
    for _, wrapper in optimizers(spec, model).items():
        assert wrapper.optimizer.defaults["lr"] == 0.01
        assert wrapper.optimizer.defaults["betas"] == (0.5, 0.999)


def test_weights_are_a_function_of_the_seed():
    spec = singan_spec()
    one, twin, other = (gan(spec, seed).generator.blocks[0].head.conv.weight for seed in (0, 0, 1))
    assert torch.equal(one, twin)
    assert not torch.equal(one, other)


def test_a_run_trains_every_scale_and_certifies_its_shadow(tmp_path):
    _, folder = singan_run(tmp_path)
    spec, model = trained(folder.path, torch.device("cpu"))
    first = gan(spec, 0)
    assert model.sizes == spec.pyramid.sizes
    for scale, block in enumerate(model.generator.blocks):
        begun = first.generator.blocks[scale].head.conv.weight
        assert not torch.equal(block.head.conv.weight, begun)
    errors = [row.value for row in folder.rows() if row.quantity == "ema_error"]
    assert len(errors) == 1
    assert errors[0] < 1e-5
