"""StyleGAN's networks; G-numbers are faults of MMagic's that they must not have."""

import copy
import inspect
import json
import pickle
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.networks.stylegan1 import StyleGAN1Discriminator, StyleGAN1Generator
from harness.registry import MODELS

VECTORS = Path(__file__).parents[1] / "vectors"
SMALL = {"base_channels": 32, "max_channels": 8}
FORMS = [{}, {"paper_form": True}]


def _reference(name):
    """Build a network, fill it by the vectors' rule, and return it with its cases and arrays."""
    recorded = json.loads((VECTORS / f"{name}.json").read_text())
    network = MODELS.build(dict(recorded["config"])).eval()
    own = network.state_dict()
    assert {key: list(value.shape) for key, value in own.items()} == recorded["state_dict"]
    drawn = {
        key: torch.from_numpy(
            np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape) * 0.2
        ).float()
        for key, shape in recorded["state_dict"].items()
        if not key.endswith("kernel")
    }
    network.load_state_dict(own | drawn, strict=True)
    return network, recorded["cases"], np.load(VECTORS / f"{name}.npz")


def _value(given, arrays):
    if isinstance(given, list):
        return [_value(each, arrays) for each in given]
    return torch.from_numpy(arrays[given]) if isinstance(given, str) else given


# The discriminator's answers differ by 1e-5 among images; the generator's by about 1.
@pytest.mark.parametrize(
    ("name", "atol"), [("stylegan1_generator", 5e-6), ("stylegan1_discriminator", 1e-7)]
)
def test_every_recorded_answer_is_reproduced(name, atol):
    network, cases, arrays = _reference(name)
    assert len(cases) >= 3
    for case in cases:
        given = {key: _value(value, arrays) for key, value in case["inputs"].items()}
        with torch.no_grad():
            answer = network(**given).numpy()
        np.testing.assert_allclose(answer, arrays[case["output"]], rtol=0, atol=atol)


def _generator(**arguments):
    torch.manual_seed(0)
    return StyleGAN1Generator(**{"out_size": 16, "style_channels": 6, **SMALL, **arguments})


def _trained(**arguments):
    """A generator whose noise has weights, and whose codes differ from image to image."""
    generator = _generator(**arguments)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if "noise_injector" in name or "affine.weight" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(zlib.crc32(b"w")))
    return generator


def _critic(**arguments):
    torch.manual_seed(0)
    return StyleGAN1Discriminator(**{"in_size": 16, **SMALL, **arguments})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [4, 8, 16])
def test_g3_every_scale_works_from_4x4_and_growing_is_continuous(form, scale):
    generator, critic = _trained(**form), _critic(**form)
    latents = torch.randn(4, 6)

    def images(scale, weight=1.0):
        return generator(latents, curr_scale=scale, transition_weight=weight, randomize_noise=False)

    new = images(scale)
    assert new.shape == (4, 3, scale, scale)
    assert critic(new, curr_scale=scale).shape == (4, 1)
    if scale == 4:
        return
    old = functional.interpolate(images(scale // 2), scale_factor=2)
    torch.testing.assert_close(images(scale, 0.0), old)
    torch.testing.assert_close(images(scale, 0.25), 0.75 * old + 0.25 * new)
    torch.testing.assert_close(
        critic(new, transition_weight=0.0, curr_scale=scale),
        critic(functional.avg_pool2d(new, 2), curr_scale=scale // 2),
    )


def test_g3_a_discriminator_without_mbstd_settings_groups_four_images():
    assert _critic(mbstd_cfg=None).mbstd.group_size == 4
    assert _critic(mbstd_cfg={"group_size": None}).mbstd.group_size is None


def test_g4_the_mean_style_is_that_of_the_weights_as_they_are():
    generator = _trained(num_mlps=2)
    keys = set(generator.state_dict())
    before = generator.mean_style()
    with torch.no_grad():
        generator.style_mapping[2].bias += 100
    after = generator.mean_style()
    torch.testing.assert_close(after, before + 2**0.5, atol=0.5, rtol=0)
    latents = torch.randn(4096, 6, generator=torch.Generator().manual_seed(1))
    mean = generator.style_mapping(latents).mean(0)
    torch.testing.assert_close(after[0], mean, atol=0.1, rtol=0)
    assert torch.equal(generator.mean_style(), after)
    assert set(generator.state_dict()) == keys


def test_g4_the_papers_mean_style_follows_training_and_is_kept_with_the_weights():
    generator = _trained(paper_form=True)
    codes = torch.randn(50, 6)
    for batch in codes.split(10):
        generator.follow_mean(batch)
    expected = torch.zeros(6)
    for batch in codes.split(10):
        expected = 0.995 * expected + 0.005 * batch.mean(0)
    torch.testing.assert_close(generator.mean_latent[0], expected)
    other = _generator(paper_form=True)
    other.load_state_dict(generator.state_dict())
    assert torch.equal(other.mean_style(), generator.mean_latent)


@pytest.mark.parametrize("form", FORMS)
def test_truncation_draws_styles_to_the_mean(form):
    generator = _trained(**form)
    generator.follow_mean(torch.full((1, 6), 60.0))
    latents = torch.randn(5, 6)
    mean = generator.mean_style()

    def codes(psi, **more):
        made = generator(latents, truncation=psi, return_latents=True, **more)
        return made["latent"], made["fake_img"]

    whole, _ = codes(1)
    half, _ = codes(0.5)
    torch.testing.assert_close(half, mean + 0.5 * (whole - mean))
    none, images = codes(0.0, randomize_noise=False)
    torch.testing.assert_close(none, mean.expand_as(none))
    torch.testing.assert_close(images, images[:1].expand_as(images))
    given, _ = codes(0.0, truncation_latent=torch.ones(1, 6))
    torch.testing.assert_close(given, torch.ones_like(given))


def test_g5_fixed_noise_leaves_the_global_stream_alone_and_follows_the_device():
    state = torch.get_rng_state()
    generator = _trained().to("meta")
    assert generator.injected_noise_3.device.type == "meta"
    generator = _trained()
    torch.set_rng_state(state)
    images = [generator(torch.ones(2, 6), randomize_noise=False) for _ in range(2)]
    assert torch.equal(*images)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(generator(torch.ones(2, 6)), images[0])


def _slopes(network, name, x):
    """The share of a negative feature that is left behind the layer called ``name``."""
    seen = {}
    layer = network.get_submodule(name)
    layer.adain1.register_forward_hook(lambda _, given, __: seen.update(after=given[0]))
    layer.noise_injector1.register_forward_hook(lambda *given: seen.update(before=given[2]))
    network(x)
    negative = seen["before"] < 0
    return (seen["after"] / seen["before"])[negative]


def test_g6_the_papers_form_rectifies_once_with_a_noise_weight_for_each_channel():
    paper, peer = _trained(paper_form=True), _trained()
    slopes = _slopes(paper, "convs.1", torch.randn(3, 6))
    torch.testing.assert_close(slopes, torch.full_like(slopes, 0.2))
    assert not paper.convs[1].conv1[0].activate
    assert peer.convs[1].conv1[0].activate
    assert paper.convs[1].noise_injector1.weight.shape == (8,)
    assert peer.convs[1].noise_injector1.weight.shape == (1,)
    ratio = peer.to_rgbs[0].conv.scale / paper.to_rgbs[0].conv.scale
    assert ratio == pytest.approx(2**0.5)
    x = torch.randn(1, 8, 4, 4)
    noise = torch.randn(1, 1, 4, 4)
    injector = paper.convs[0].noise_injector1
    expected = x + injector.weight.view(1, 8, 1, 1) * noise
    torch.testing.assert_close(injector(x, noise), expected)


def test_g7_no_compiled_operations_are_needed():
    _critic()(_trained()(torch.randn(2, 6)))
    assert not [name for name in sys.modules if name.partition(".")[0] == "mmcv"]


def test_g8_switching_between_training_and_evaluation_is_silent(capsys, caplog):
    generator = _generator()
    with caplog.at_level("DEBUG"):
        generator.eval().train().eval()
    assert not caplog.records
    assert capsys.readouterr() == ("", "")


def test_adain_gives_features_the_mean_and_spread_of_their_style():
    adain = _trained(paper_form=True).convs[1].adain1
    style = torch.randn(3, 6)
    y = adain(torch.randn(3, 8, 8, 8) * 5 + 2, style)
    scale, shift = adain.affine(style).chunk(2, 1)
    torch.testing.assert_close(y.mean((2, 3)), shift)
    torch.testing.assert_close(y.std((2, 3), correction=0), scale.abs(), rtol=1e-4, atol=1e-5)
    assert torch.equal(_generator().convs[0].adain1.affine.bias[:8], torch.ones(8))


def test_two_styles_meet_at_each_images_own_layer():
    generator = _trained()
    first, second = torch.randn(2, 3, 6)
    start = torch.tensor([1, 4, 6])
    codes = generator([first, second], inject_index=start, return_latents=True)["latent"]
    w = [generator.style_mapping(z) for z in (first, second)]
    for image, begin in enumerate(start):
        for layer in range(6):
            assert torch.equal(codes[image, layer], w[int(layer >= begin)][image])


def test_latents_drawn_here_are_mixed_in_training_mode_only():
    generator = _generator()
    drawn = {
        training: generator.train(training)(None, num_batches=400, return_latents=True)
        for training in (True, False)
    }
    assert [len(made["noise_batch"]) for made in drawn.values()] == [2, 1]
    mixed = [float((made["inject_index"] < 6).float().mean()) for made in drawn.values()]
    assert mixed == [pytest.approx(0.9, abs=0.05), 0.0]
    made = generator(lambda shape: torch.ones(shape), num_batches=2, return_noise=True)
    assert torch.equal(made["noise_batch"][0], torch.ones(2, 6))


def test_codes_of_the_mapping_network_may_be_given():
    generator = _trained()
    latents = torch.randn(2, 6)
    fixed = {"randomize_noise": False}
    expected = generator(latents, **fixed)
    codes = generator.style_mapping(latents)
    laid = codes.unsqueeze(1).expand(-1, 6, -1)
    assert torch.equal(generator(codes, input_is_latent=True, **fixed), expected)
    assert torch.equal(generator(laid, input_is_latent=True, **fixed), expected)


@pytest.mark.parametrize("form", FORMS)
def test_every_parameter_of_the_final_scale_learns(form):
    generator, critic = _trained(**form), _critic(**form)
    images = generator(torch.randn(4, 6))
    critic(images).square().mean().backward()
    dead = {
        name.rsplit(".", 2)[0]
        for network in (generator, critic)
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all()
    }
    assert dead == {"to_rgbs.0", "to_rgbs.1", "from_rgb.1", "from_rgb.2"}


@pytest.mark.parametrize("form", FORMS)
def test_networks_are_copied_and_pickled_after_a_forward(form):
    for network, x in ((_trained(**form), torch.randn(2, 6)), (_critic(), torch.ones(2, 3, 8, 8))):
        given = {"transition_weight": 0.5, "curr_scale": 8}
        if isinstance(network, StyleGAN1Generator):
            given["randomize_noise"] = False
        answer = network(x, **given)
        assert torch.equal(copy.deepcopy(network)(x, **given), answer)
        assert torch.equal(pickle.loads(pickle.dumps(network))(x, **given), answer)


def test_channels_halve_as_in_the_paper():
    with torch.device("meta"):
        generator = StyleGAN1Generator(1024, 512, paper_form=True)
        critic = StyleGAN1Discriminator(1024, paper_form=True)
    widths = [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert [layer.conv.weight_orig.shape[1] for layer in generator.to_rgbs] == widths
    assert [layer.conv.weight_orig.shape[0] for layer in critic.from_rgb] == widths[::-1]
    # Section 2: 26.2 million trainable parameters; the RGB layers of other scales are small.
    assert round(sum(p.numel() for p in generator.parameters()) / 1e6, 1) == 26.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _generator(out_size=12), "out_size is 12: give a power of two"),
        (lambda: _critic(in_size=2), "in_size is 2: give a power of two"),
        (lambda: _generator(eval_style_mode="both"), "eval_style_mode is 'both': give 'mix' or"),
        (lambda: _generator(base_channels=4), r"channels by level are \[2, 1, 0\]: raise"),
        (lambda: _generator(blur_kernel=[]), r"blur_kernel is \[\]: give numbers"),
        (lambda: _critic(mbstd_cfg={"size": 2}), "mbstd_cfg is .*size.*give .*group_size"),
        (lambda: _generator()(torch.zeros(1, 6), curr_scale=12), "curr_scale is 12: give -1 or"),
        (lambda: _generator()(None), "num_batches is -1: without styles give 1"),
    ],
)
def test_what_cannot_be_built_or_run_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_tensors_of_a_wrong_shape_are_refused():
    generator = _generator()
    with pytest.raises(DataError, match=r"styles are \(2, 5\): give \(N, 6\)"):
        generator(torch.zeros(2, 5))
    with pytest.raises(DataError, match=r"injected noise is .*H = \[4, 4\]"):
        generator(torch.zeros(2, 6), injected_noise=[torch.zeros(1, 1, 8, 8)] * 2, curr_scale=4)
    with pytest.raises(DataError, match=r"3 styles: give one or two"):
        generator([torch.zeros(2, 6)] * 3)
    with pytest.raises(DataError, match=r"images are \(2, 3, 8, 8\): give \(N, 3, 16, 16\)"):
        _critic()(torch.zeros(2, 3, 8, 8))


def test_arguments_stand_in_mmagics_order_with_its_defaults():
    def listed(function):
        kinds = inspect.signature(function).parameters.values()
        return [p.name for p in kinds if p.kind is not p.KEYWORD_ONLY and p.name != "self"]

    assert " ".join(listed(StyleGAN1Generator)) == (
        "out_size style_channels num_mlps blur_kernel lr_mlp default_style_mode eval_style_mode "
        "mix_prob"
    )
    assert " ".join(listed(StyleGAN1Discriminator)) == "in_size blur_kernel mbstd_cfg"
    assert " ".join(listed(StyleGAN1Generator.forward)) == (
        "styles num_batches return_noise return_latents inject_index truncation truncation_latent "
        "input_is_latent injected_noise randomize_noise transition_weight curr_scale"
    )
