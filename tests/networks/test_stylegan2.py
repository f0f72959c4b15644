import copy
import inspect
import json
import pickle
import zlib

import numpy as np
import pytest
import torch
from tiny import TESTS

from harness.errors import DataError, SpecError
from harness.networks.minibatch_stddev import minibatch_stddev
from harness.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from harness.registry import MODELS

VECTORS = TESTS / "vectors"
SMALL = {"base_channels": 32, "max_channels": 8}


def _filled(key, value):
    """Fill an entry by the vectors' rule; kernels keep what they are built with."""
    if key.endswith("kernel"):
        return value
    random = np.random.default_rng(zlib.crc32(key.encode()))
    return torch.from_numpy(random.standard_normal(value.shape) * 0.2).float()


def _given(value, arrays):
    if isinstance(value, list):
        return [torch.from_numpy(arrays[name]) for name in value]
    return torch.from_numpy(arrays[value]) if isinstance(value, str) else value


@pytest.mark.parametrize("name", ["stylegan2_generator", "stylegan2_discriminator"])
def test_every_recorded_answer_is_reproduced(name):
    recorded = json.loads((VECTORS / f"{name}.json").read_text())
    arrays = np.load(VECTORS / f"{name}.npz")
    network = MODELS.build(dict(recorded["config"])).eval()
    state = network.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == recorded["state_dict"]
    network.load_state_dict({key: _filled(key, value) for key, value in state.items()})
    for case in recorded["cases"]:
        given = {key: _given(value, arrays) for key, value in case["inputs"].items()}
        with torch.no_grad():
            answer = network(**given).numpy()
        np.testing.assert_allclose(answer, arrays[case["output"]], rtol=0, atol=1e-6)


def _generator(size=16, **settings):
    torch.manual_seed(0)
    return StyleGAN2Generator(size, 6, 2, **{**SMALL, **settings})


def _discriminator(size=16, **settings):
    torch.manual_seed(0)
    return StyleGAN2Discriminator(size, **{**SMALL, **settings})


@pytest.mark.parametrize("size", [4, 8, 32])
def test_any_power_of_two_is_built_and_all_parameters_learn(size):
    generator, discriminator = _generator(size), _discriminator(size)
    images = generator(torch.randn(4, 6))
    assert images.shape == (4, 3, size, size)
    scores = discriminator(images)
    assert scores.shape == (4, 1)
    scores.square().mean().backward()
    for network in (generator, discriminator):
        dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert dead == []


def test_channels_are_those_of_published_checkpoints():
    with torch.device("meta"):
        generator, discriminator = StyleGAN2Generator(1024, 512), StyleGAN2Discriminator(1024)
        small = StyleGAN2Generator(256, 512, channel_multiplier=1)
        ours = StyleGAN2Generator(1024, 512, base_channels=16384)
    wide = [512] * 4 + [512, 256, 128, 64, 32]
    rgb = [generator.to_rgb1, *generator.to_rgbs]
    assert [layer.conv.weight_orig.shape[2] for layer in rgb] == wide
    assert [layer.conv.weight_orig.shape[2] for layer in small.to_rgbs][-3:] == [256, 128, 64]
    assert [tuple(p.shape) for p in ours.parameters()] == [
        tuple(p.shape) for p in generator.parameters()
    ]
    # 30.0 and 29.0 million, as the paper's repository prints of configuration F.
    counts = [sum(p.numel() for p in n.parameters()) / 1e6 for n in (generator, discriminator)]
    assert counts == pytest.approx([30.37, 29.01], abs=0.4)
    assert len(generator.noise_sides) == 17
    assert generator.num_latents == 18


def test_two_styles_share_the_layers_at_each_images_own_crossover():
    generator = _generator()
    first, second = torch.randn(2, 3, 6)
    fixed = {"randomize_noise": False}
    start = torch.tensor([1, 4, 6])
    mixed = generator([first, second], inject_index=start, **fixed)
    for image, index in enumerate(start.tolist()):
        pair = [first[image : image + 1], second[image : image + 1]]
        alone = generator(pair, inject_index=index, **fixed)
        torch.testing.assert_close(mixed[image : image + 1], alone)
    torch.testing.assert_close(mixed[2:], generator(first[2:], **fixed))  # L layers: not mixed
    assert not torch.allclose(mixed[:1], generator(first[:1], **fixed))
    answer = generator([first, second], inject_index=2, return_latents=True, **fixed)
    w = generator.style_mapping(first)
    torch.testing.assert_close(answer["latent"][:, 1], w)
    torch.testing.assert_close(answer["latent"][:, 2], generator.style_mapping(second))
    again = generator(answer["latent"], input_is_latent=True, **fixed)
    torch.testing.assert_close(again, answer["fake_img"])
    torch.testing.assert_close(
        generator(w, input_is_latent=True, **fixed), generator(first, **fixed)
    )


def test_each_convolution_takes_its_own_layers_style():
    """Told apart by hand: the vectors' styles hardly change their images."""
    generator, met = _generator(), {}
    for name, module in generator.named_modules():
        if name.endswith("style_modulation"):
            module.register_forward_pre_hook(
                lambda _, given, name=name: met.update({name: given[0][0, 0].item()})
            )
    styles = torch.arange(6.0).view(1, 6, 1).expand(1, 6, 6)
    generator(styles, input_is_latent=True)
    layers = ["conv1", "to_rgb1", "convs.0", "convs.1", "to_rgbs.0", "convs.2", "convs.3"]
    layers.append("to_rgbs.1")
    assert list(met) == [f"{layer}.conv.style_modulation" for layer in layers]
    # The RGB layer of a resolution shares its style with the next one's first convolution.
    assert list(met.values()) == [0, 1, 1, 2, 3, 3, 4, 5]


def test_truncation_pulls_styles_to_their_mean():
    generator = _generator()
    z, fixed = torch.randn(3, 6), {"randomize_noise": False, "return_latents": True}
    mean, w = generator.style_mapping.mean_style(), generator.style_mapping(z)
    half = generator(z, truncation=0.5, **fixed)["latent"]
    torch.testing.assert_close(half[:, 0], (mean + w) / 2)
    none = generator(z, truncation=0, truncation_latent=w[:1], **fixed)["latent"]
    torch.testing.assert_close(none, w[:1].expand(6, 3, 6).transpose(0, 1))


def test_noise_is_drawn_given_or_registered():
    generator = _generator()
    for layer in (generator.conv1, *generator.convs):
        layer.noise_injector.weight.data.fill_(0.3)
    z = torch.randn(2, 6)
    registered = [generator.get_buffer(f"injected_noise_{index}") for index in range(5)]
    fixed = generator(z, randomize_noise=False)
    torch.testing.assert_close(generator(z, injected_noise=registered), fixed)
    assert not torch.allclose(generator(z), fixed)
    with pytest.raises(DataError, match=r"injected noise is .*give \(N, 1, H, H\) with H = \[4, 8"):
        generator(z, injected_noise=registered[:3])


def test_styles_are_drawn_by_a_function_or_from_the_global_stream():
    generator = _generator(mix_prob=1.0)
    drawn = []

    def draw(shape):
        drawn.append(torch.randn(shape))
        return drawn[-1]

    answer = generator(draw, num_batches=3, return_noise=True)
    assert len(drawn) == 2  # mixed while training
    assert torch.equal(answer["noise_batch"][1], drawn[1])
    assert set(answer["inject_index"].tolist()) <= set(range(1, 6))
    generator.eval()
    assert len(generator(None, num_batches=3, return_noise=True)["noise_batch"]) == 1
    never = _generator(mix_prob=0.0)(None, num_batches=3, return_noise=True)
    assert never["inject_index"].tolist() == [6, 6, 6]


def test_the_papers_form_normalises_under_the_root():
    tiny = torch.full((1, 6), 1e-6)
    peer, paper = (_generator(paper_form=form).style_mapping[0] for form in (False, True))
    torch.testing.assert_close(peer(tiny), torch.full((1, 6), 0.5))
    torch.testing.assert_close(paper(tiny), tiny * 1e4, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("cfg", "size", "groups"),
    [
        (None, 4, 1),
        ({"group_size": 2}, 2, 1),
        ({"group_size": None}, None, 1),
        ({"group_size": 3, "channel_groups": 2}, 3, 2),
    ],
)
def test_the_minibatch_stddev_is_of_groups_and_channel_groups(cfg, size, groups):
    network = _discriminator(mbstd_cfg=cfg)
    met = []
    network.final_conv.register_forward_pre_hook(lambda module, given: met.append(given[0]))
    images = torch.randn(6, 3, 16, 16)
    network(images)
    features = network.convs(images)
    spread = [minibatch_stddev(part, size)[:, -1:] for part in features.chunk(groups, 1)]
    torch.testing.assert_close(met[0], torch.cat([features, *spread], 1))


def test_networks_are_copied_and_pickled_after_a_forward():
    generator, discriminator = _generator().eval(), _discriminator()
    z = torch.randn(2, 6)
    images = generator(z, randomize_noise=False)
    for twin in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert torch.equal(twin(z, randomize_noise=False), images)
    scores = discriminator(images)
    assert torch.equal(pickle.loads(pickle.dumps(discriminator))(images), scores)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _generator(12), "out_size is 12: give a power of two, 4 or more"),
        (lambda: _discriminator(2), "in_size is 2: give a power of two"),
        (lambda: _generator(64, base_channels=16), r"channels by resolution are .*raise base"),
        (lambda: _generator(default_style_mode="blend"), "style_mode is 'blend': give 'mix' or"),
        (lambda: _generator(blur_kernel=[1, -1]), r"blur_kernel is \[1, -1\]: give numbers"),
        (lambda: _discriminator(mbstd_cfg={"size": 4}), "mbstd_cfg is .*size.*: give group_size"),
        (lambda: _discriminator(mbstd_cfg={"group_size": 0}), "give group_size of 1 or more"),
        (lambda: _discriminator(mbstd_cfg={"channel_groups": 3}), "that divide 8 channels"),
        (lambda: _generator()(None), "num_batches is -1: without styles give 1 or more"),
    ],
)
def test_what_cannot_be_built_or_run_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_tensors_of_a_wrong_shape_are_refused():
    with pytest.raises(DataError, match=r"styles are \(2, 5\): give \(N, 6\)"):
        _generator()(torch.zeros(2, 5))
    with pytest.raises(DataError, match=r"images are \(2, 3, 8, 8\).*\(3, 16, 16\)"):
        _discriminator()(torch.zeros(2, 3, 8, 8))


def test_arguments_stand_in_mmagics_order():
    generator = " ".join(inspect.signature(StyleGAN2Generator).parameters)
    assert generator.startswith(
        "out_size style_channels num_mlps channel_multiplier blur_kernel lr_mlp "
        "default_style_mode eval_style_mode mix_prob"
    )
    forward = " ".join(inspect.signature(StyleGAN2Generator.forward).parameters)
    assert forward == (
        "self styles num_batches return_noise return_latents inject_index truncation "
        "truncation_latent input_is_latent injected_noise randomize_noise"
    )
    discriminator = " ".join(inspect.signature(StyleGAN2Discriminator).parameters)
    assert discriminator.startswith("in_size channel_multiplier blur_kernel mbstd_cfg")
