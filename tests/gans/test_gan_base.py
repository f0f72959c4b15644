"""What every GAN shares; P- and C-numbers are faults of MMagic's."""

import copy
import importlib
import inspect
from enum import Enum
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, OptimWrapperDict
from pydantic import BaseModel
from tiny_gan import GROWTH, NOISE_SIZE, SMALL, adams, gan_settings, same_bits, tiny_gan

import harness
from harness.hooks import PGGANFetchDataHook, RecordHook
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.registry import MODELS, register_all

register_all()
PACKAGE = Path(harness.__file__).parent


def images(gan):
    """Return the batch that is due."""
    pixels = torch.arange(gan.next_batch_size * 3 * gan.next_scale**2).remainder(256)
    return {"inputs": pixels.byte().view(-1, 3, gan.next_scale, gan.next_scale)}


def test_p9_each_network_has_its_own_loss_and_all_are_detached_scalars():
    gan = tiny_gan()
    losses = gan.train_step(images(gan), adams(gan))
    assert set(losses) == {"loss", "loss_d", "loss_g", "loss_penalty"}
    for value in losses.values():
        assert value.shape == ()
        assert value.dtype == torch.float32
        assert not value.requires_grad
    assert losses["loss"] == losses["loss_d"] != losses["loss_g"]


def test_p9_the_generators_loss_is_minus_the_critics_mean_score():
    gan = tiny_gan()
    losses = gan.train_step(images(gan), adams(gan, lr=0.0))
    gan.images_shown = 0
    with torch.no_grad():
        fake = gan.draw(gan.generator, gan._latents("generator latents", 4))
        scores = gan.discriminator(fake, curr_scale=4)
    assert float(losses["loss_g"]) == pytest.approx(-float(scores.mean()), rel=1e-5)


def test_p9_records_hold_both_losses(make_runner, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.begin({}, {})
    gan = tiny_gan()
    make_runner([PGGANFetchDataHook(), RecordHook(folder, 8)], **gan_settings(gan, 16)).train()
    folder.end(Outcome(Status.FINISHED))
    text = folder.rows_file.read_text()
    assert '"loss/d"' in text
    assert '"loss/g"' in text
    assert '"loss/penalty"' in text


def described():
    """Return a GAN as a config writes it."""
    return {
        "type": "ProgressiveGrowingGAN",
        "generator": {"type": "PGGANGenerator", "noise_size": NOISE_SIZE, "out_scale": 16, **SMALL},
        "discriminator": {"type": "PGGANDiscriminator", "in_scale": 16, **SMALL},
        "growth": GROWTH,
        "lr_per_scale": {8: 0.1},
        "data_preprocessor": {"type": "BaseDataPreprocessor", "non_blocking": True},
    }


def test_c1_a_model_leaves_no_trace_in_the_next_one_or_in_its_config():
    config = described()
    before = copy.deepcopy(config)
    first = MODELS.build(config)
    first.lr_per_scale[16] = 7.0
    first.lr_schedule["generator"] = {4: 7.0}
    assert config == before
    second = MODELS.build(described())
    assert second.lr_per_scale == {8: 0.1}
    assert second.lr_schedule == {}
    assert second.data_preprocessor is not first.data_preprocessor


def classes():
    for path in sorted(PACKAGE.rglob("[a-z]*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = importlib.import_module(".".join(parts))
        for _, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__ == module.__name__:
                yield found


MADE_BY_LIBRARIES = {"yaml_implicit_resolvers", "yaml_constructors", "_instance_dict", "_abc_impl"}
"""What PyYAML, mmengine and abc give each class of its own."""


def test_c1_no_class_has_anything_that_one_instance_could_change_for_the_others():
    """Fields of data classes and of pydantic's models are made anew for each instance."""
    shared = [
        f"{found.__module__}.{found.__qualname__}.{name}"
        for found in classes()
        if not issubclass(found, BaseModel | Enum | tuple)
        for name, value in vars(found).items()
        if isinstance(value, list | dict | set | bytearray | torch.Tensor)
        and not name.startswith("__")
        and name not in MADE_BY_LIBRARIES
    ]
    assert shared == []


def with_shadow():
    gan = tiny_gan()
    gan.shadow_ema = copy.deepcopy(gan.generator)
    return gan


def test_c2_networks_asked_for_together_answer_the_same_latents():
    gan = with_shadow()
    both = gan.val_step({"inputs": {"num_batches": 3, "sample_model": "ema/orig"}})
    assert torch.equal(both["ema"], both["orig"])
    again = gan.val_step({"inputs": {"num_batches": 3, "sample_model": "orig/ema"}})
    assert torch.equal(again["orig"], both["orig"])
    with torch.no_grad():
        next(gan.shadow_ema.parameters()).add_(1)
    other = gan.val_step({"inputs": {"num_batches": 3, "sample_model": "ema/orig"}})
    assert torch.equal(other["orig"], both["orig"])
    assert not torch.equal(other["ema"], both["ema"])


def test_c2_noise_that_is_given_is_what_is_drawn_from():
    gan = with_shadow()
    noise = torch.randn(2, NOISE_SIZE, generator=torch.Generator().manual_seed(0))
    for latent in (None, torch.zeros(9)):  # nothing but ``noise`` decides
        inputs = {"noise": noise, "num_batches": 7, "sample_model": "ema/orig", "latent": latent}
        both = gan.val_step({"inputs": inputs})
        assert torch.equal(both["orig"], gan.draw(gan.generator, noise))
        assert torch.equal(both["ema"], both["orig"])


def test_c2_drawing_moves_no_random_stream_and_no_counter():
    gan, state = with_shadow(), torch.get_rng_state()
    first = gan.val_step({"inputs": {"num_batches": 3}})
    assert torch.equal(gan.val_step({"inputs": {"num_batches": 3}})["fake_img"], first["fake_img"])
    assert torch.equal(torch.get_rng_state(), state)
    assert gan.images_shown == 0


def accumulating(gan, counts):
    return OptimWrapperDict(
        **{
            name: OptimWrapper(wrapper.optimizer, accumulative_counts=counts)
            for name, wrapper in adams(gan).items()
        }
    )


def trained_at(gan, optimizers, steps):
    """Return at which steps the generator and the critic changed."""
    changed = []
    for _ in range(steps):
        before = copy.deepcopy(gan)
        gan.train_step(images(gan), optimizers)
        pairs = zip(
            (gan.generator, gan.discriminator),
            (before.generator, before.discriminator),
            strict=True,
        )
        changed.append(tuple(not same_bits(now, then) for now, then in pairs))
    return changed


@pytest.mark.parametrize("shown", [0, 4, 20, 42])
@pytest.mark.parametrize("iteration", [0, 1, 7])
def test_c3_every_step_trains_both_networks_whatever_the_iteration(shown, iteration):
    gan = tiny_gan()
    gan.images_shown = shown
    MessageHub.get_current_instance().update_info("iter", iteration)
    assert trained_at(gan, adams(gan), 3) == [(True, True)] * 3


@pytest.mark.parametrize("shown", [0, 4, 8])
@pytest.mark.parametrize("counts", [2, 3])
def test_c3_a_resume_with_another_accumulation_keeps_the_networks_in_step(shown, counts):
    gan = tiny_gan()
    trained_at(gan, accumulating(gan, 5 - counts), 1)
    gan.images_shown = shown
    both = [step % counts == 0 for step in range(1, 7)]
    assert trained_at(gan, accumulating(gan, counts), 6) == [(each, each) for each in both]
