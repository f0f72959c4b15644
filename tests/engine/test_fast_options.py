"""`train.fast`: options compute what the plain step does, resume exactly, are in the name."""

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from resuming import SHORT, attempt, differences, left, stopped_and_resumed
from small_spec import content, spec
from tiny_gan import tiny_gan

from harness.engine.families import gan as gan_of
from harness.errors import SpecError
from harness.gans import growing
from harness.networks.layers import PixelNorm
from harness.plan.expand import expand
from harness.spec.load import validated

OPTIONS = ["channels_last", "shared_pass", "written_gradients"]
AT_4, FADING_TO_8, AT_8, FADING_TO_16, AT_16 = 4, 20, 32, 44, 60


def _weights_after_a_step(monkeypatch, shown, dtype, option=None, one_latent=False):
    """Return all weights after one step of SGD, which moves them by their gradients."""
    given = {option: True} if option in {"shared_pass", "written_gradients"} else {}
    gan = tiny_gan(seed=1, **given).to(dtype)
    gan.generator.channels_last = gan.discriminator.channels_last = option == "channels_last"
    for module in gan.generator.modules():
        if isinstance(module, PixelNorm):
            module.written = option == "written_gradients"
    gan.images_shown = shown
    gan._scale = side = gan.stage.scale
    draw = gan._latents
    purpose = {"generator latents": "critic latents"} if one_latent else {}
    gan._latents = lambda name, count: draw(purpose.get(name, name), count).to(dtype)
    pixels = torch.randint(
        0, 256, (4, 3, side, side), generator=torch.Generator().manual_seed(2), dtype=torch.uint8
    )
    wrappers = OptimWrapperDict(
        **{
            name: OptimWrapper(torch.optim.SGD(network.parameters(), lr=1.0))
            for name, network in (
                ("generator", gan.generator),
                ("discriminator", gan.discriminator),
            )
        }
    )
    with monkeypatch.context() as patch:
        patch.setattr(growing, "to_float", lambda images: images.to(dtype).div(127.5).sub(1))
        rand = torch.rand
        patch.setattr(torch, "rand", lambda *a, **k: rand(*a, **k).to(dtype))
        gan.train_step({"inputs": pixels}, wrappers)
    return {name: p.detach().double() for name, p in gan.named_parameters()}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("shown", [AT_4, FADING_TO_8, AT_8, FADING_TO_16, AT_16])
def test_a_step_is_that_of_the_plain_path_in_float64(monkeypatch, option, shown):
    # Shared images are those of shared latents, on the plain path.
    shared = option == "shared_pass"
    exact = _weights_after_a_step(monkeypatch, shown, torch.float64, one_latent=shared)
    fast = _weights_after_a_step(monkeypatch, shown, torch.float32, option)
    for name, weight in exact.items():
        torch.testing.assert_close(fast[name], weight, rtol=1e-4, atol=1e-5, msg=name)
    if shared:
        own = _weights_after_a_step(monkeypatch, shown, torch.float64)
        apart = max(float((own[name] - exact[name]).abs().max()) for name in exact)
        assert apart > 1e-3  # latents of its own would be seen


@pytest.mark.parametrize("fading", [0.3, 1.0])
def test_channels_last_holds_in_every_convolution(fading):
    gan = tiny_gan()
    seen = []

    def look(module, inputs, output):
        features = inputs[0]
        if features.shape[1] > 1 and features.shape[-1] > 1:
            seen.append(features.is_contiguous(memory_format=torch.channels_last))

    for network in (gan.generator, gan.discriminator):
        network.channels_last = True
        for name, module in network.named_modules():
            if name.endswith(".conv"):
                module.register_forward_hook(look)
    images = gan.generator(torch.randn(4, 6), transition_weight=fading)
    gan.discriminator(images, transition_weight=fading)
    gan.discriminator(torch.randn(4, 3, 16, 16), transition_weight=fading)
    assert len(seen) > 15
    assert all(seen)


def test_options_reach_the_networks_and_the_step():
    plain, fast = (
        gan_of(spec(train__fast=value), 0) for value in (None, dict.fromkeys(OPTIONS, True))
    )
    for model, on in ((plain, False), (fast, True)):
        assert model.generator.channels_last is on
        assert model.discriminator.channels_last is on
        assert model.shared_pass is on
        assert model.written_gradients is on
        assert model.generator.conv_blocks[0].norm.written is on


def _run(fast):
    return expand("test", "quick", validated(content(**SHORT, train__fast=fast))).runs[0]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("option", OPTIONS)
def test_a_run_with_an_option_resumes_exactly(option, tmp_path, cache):
    run = _run({option: True})
    keeper, _, _ = attempt(run, tmp_path / "straight", cache)
    resumed, ended = stopped_and_resumed(run, tmp_path / "broken", cache, [2, 2])
    assert len(ended) == 2
    assert differences(left(keeper), left(resumed)) == []


def test_an_option_is_part_of_a_runs_name_and_none_leaves_it():
    plain = expand("test", "quick", validated(content(**SHORT))).runs[0]
    assert _run(None).name == plain.name
    assert "fast" not in plain.settings["train"]
    named = {_run({option: True}).name for option in OPTIONS}
    assert len(named | {plain.name}) == 4


def test_another_model_has_no_such_options():
    style = {
        "type": "StyleGAN1",
        "noise_size": 8,
        "out_scale": 8,
        "base_channels": 32,
        "max_channels": 8,
        "nkimgs_per_scale": {4: 0.2, 8: 0.4},
        "transition_kimgs": 0.1,
    }
    fields = content(model=style, train__fast={"channels_last": True})
    fields["train"].pop("loss", None)
    with pytest.raises(SpecError, match=r"train.fast: is for PGGAN, not for StyleGAN1"):
        validated(fields)
