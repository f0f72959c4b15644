import copy
import inspect
import json
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.errors import DataError, SpecError
from harness.networks.layers import PixelNorm
from harness.networks.losses import gradient_penalty
from harness.networks.pggan import PGGANDiscriminator, PGGANGenerator
from harness.registry import MODELS

VECTORS = Path(__file__).parents[1] / "vectors"
SMALL = {"base_channels": 32, "max_channels": 8}


def _reference(name):
    """Build a network, fill it by the vectors' rule, and return it with its cases and arrays."""
    recorded = json.loads((VECTORS / f"{name}.json").read_text())
    network = MODELS.build(dict(recorded["config"])).eval()
    state = {
        key: torch.from_numpy(
            np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape) * 0.2
        ).float()
        for key, shape in recorded["state_dict"].items()
    }
    network.load_state_dict(state, strict=True)
    return network, recorded["cases"], np.load(VECTORS / f"{name}.npz")


@pytest.mark.parametrize(
    "name", ["pggan_generator", "pggan_generator_unfused", "pggan_discriminator"]
)
def test_every_recorded_answer_is_reproduced(name):
    network, cases, arrays = _reference(name)
    assert len(cases) >= 6
    for case in cases:
        given = {
            key: torch.from_numpy(arrays[value]) if isinstance(value, str) else value
            for key, value in case["inputs"].items()
        }
        with torch.no_grad():
            answer = network(**given).numpy()
        # Recorded to 1e-5; the critic's answers differ by so little that 1e-6 is needed to see it.
        np.testing.assert_allclose(answer, arrays[case["output"]], rtol=0, atol=1e-6)


def _generator(**arguments):
    return PGGANGenerator(**{"noise_size": 6, "out_scale": 16, **SMALL, **arguments})


def _critic(**arguments):
    return PGGANDiscriminator(**{"in_scale": 16, **SMALL, **arguments})


FORMS = [
    {},
    {"paper_form": True},
    {"fused": False},
    {"fused": False, "paper_form": True},
]


def _pair(fused=True, **arguments):
    return _generator(fused_upconv=fused, **arguments), _critic(fused_convdown=fused, **arguments)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [4, 8, 16])
def test_growing_is_continuous(form, scale):
    generator, critic = _pair(**form)
    noise = torch.randn(4, 6)
    images = generator(noise, curr_scale=scale)
    assert images.shape == (4, 3, scale, scale)
    assert critic(images, curr_scale=scale).shape == (4, 1)
    if scale == 4:
        return
    # At weight 0 the new level changes nothing; the answer moves on a straight line from there.
    below = generator(noise, curr_scale=scale // 2)
    faded = [generator(noise, transition_weight=w, curr_scale=scale) for w in (0.0, 0.25)]
    torch.testing.assert_close(faded[0], functional.interpolate(below, scale_factor=2))
    torch.testing.assert_close(faded[1], 0.75 * faded[0] + 0.25 * images)
    pooled = functional.avg_pool2d(images, 2)
    torch.testing.assert_close(
        critic(images, transition_weight=0.0, curr_scale=scale),
        critic(pooled, curr_scale=scale // 2),
    )


def test_unfused_critic_pools_after_the_rectifier():
    critic = _critic(fused_convdown=False)
    x = torch.randn(4, 3, 8, 8)
    slope = 0.2
    weights = {key: value for key, value in critic.state_dict().items() if "weight" in key}

    def layer(y, name, padding=1):
        weight = weights[f"{name}.conv.weight_orig"]
        scaled = weight * (2 / weight[0].numel()) ** 0.5
        return functional.leaky_relu(functional.conv2d(y, scaled, padding=padding), slope)

    y = layer(x, "fromrgb_layers.1", padding=0)
    y = functional.avg_pool2d(layer(layer(y, "conv_blocks.1"), "conv_blocks.2"), 2)
    torch.testing.assert_close(critic(x, curr_scale=8), critic.decision(critic.mbstd(y)))


def test_the_papers_critic_always_pools_after_the_rectifier():
    fused, unfused = (_critic(paper_form=True, fused_convdown=flag) for flag in (True, False))
    unfused.load_state_dict(fused.state_dict())
    x = torch.randn(4, 3, 16, 16)
    assert torch.equal(fused(x), unfused(x))
    y = fused.conv_blocks[2].conv(torch.randn(1, 8, 6, 6))
    assert y.shape == (1, 8, 6, 6)


def test_the_papers_generator_counts_inputs_and_normalises_under_the_root():
    peer, paper = _generator(out_scale=32), _generator(out_scale=32, paper_form=True)
    ratios = [
        theirs.conv.scale / ours.conv.scale
        for theirs, ours in zip(peer.conv_blocks, paper.conv_blocks, strict=True)
    ]
    # Channels by level are 8, 8, 4, 2: the two halvings are where the fan-ins differ.
    assert ratios == pytest.approx([1, 1, 1, 2**0.5, 1, 2**0.5, 1])
    norms = [module for module in paper.modules() if isinstance(module, PixelNorm)]
    assert {(norm.under_root, norm.beside_root) for norm in norms} == {(1e-8, 0.0)}
    unfused = _generator(out_scale=32, fused_upconv=False)
    assert [b.conv.scale for b in unfused.conv_blocks] == [b.conv.scale for b in paper.conv_blocks]


def test_the_papers_critic_has_table_2s_last_layers():
    paper, peer = _critic(paper_form=True), _critic()
    shapes = {key: tuple(value.shape) for key, value in paper.state_dict().items()}
    assert shapes["conv_blocks.0.conv.weight_orig"] == (8, 9, 3, 3)
    assert shapes["decision.linear0.weight_orig"] == (8, 8 * 16)
    assert list(shapes) == list(peer.state_dict())
    x = torch.randn(6, 3, 4, 4)
    features = paper.mbstd(paper.fromrgb_layers[0](x))
    deviation = paper.fromrgb_layers[0](x).var(0, correction=0).add(1e-8).sqrt().mean()
    torch.testing.assert_close(features[:, 8], deviation.expand(6, 4, 4))
    torch.testing.assert_close(
        paper(x, curr_scale=4), paper.decision(paper.conv_blocks[0](features))
    )


def test_the_group_size_is_honoured_in_both_forms():
    assert _critic().mbstd.group_size == 4
    assert _critic(paper_form=True).mbstd.group_size is None
    for paper_form in (False, True):
        critic = _critic(mbstd_cfg={"group_size": 2}, paper_form=paper_form)
        assert critic.mbstd.group_size == 2


@pytest.mark.parametrize("form", FORMS)
def test_p4_every_parameter_of_the_final_scale_learns_but_the_peers_spare_convolution(form):
    generator, critic = _pair(**form)
    images = generator(torch.randn(4, 6))
    loss = critic(images).square().mean()
    loss = loss + gradient_penalty(critic, torch.randn(4, 3, 16, 16), images, torch.rand(4))
    loss.backward()
    dead = {
        name
        for network in (generator, critic)
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    other_scales = {
        f"{name}.{level}.conv.{kind}"
        for name in ("torgb_layers", "fromrgb_layers")
        for level in (0, 1)
        for kind in ("weight_orig", "bias")
    }
    unused = {"conv_blocks.0.conv.weight_orig", "conv_blocks.0.conv.bias"}
    assert dead == other_scales | (set() if form.get("paper_form") else unused)


@pytest.mark.parametrize("form", [{}, {"fused": False, "paper_form": True}])
def test_p8_networks_are_copied_pickled_and_compiled_after_a_forward(form):
    torch._dynamo.reset()
    generator, critic = _pair(**form)
    noise = torch.randn(5, 6)
    for network, x in ((generator, noise), (critic, torch.randn(5, 3, 8, 8))):
        given = {"transition_weight": 0.5, "curr_scale": 8}
        answer = network(x, **given)
        assert torch.equal(copy.deepcopy(network)(x, **given), answer)
        assert torch.equal(pickle.loads(pickle.dumps(network))(x, **given), answer)
        compiled = torch.compile(network, backend="eager", fullgraph=True)
        assert torch.equal(compiled(x, **given), answer)


def test_p7_noise_is_given_drawn_by_a_function_or_drawn_here():
    generator = _generator(noise_size=None)
    assert generator.noise_size == 8
    assert _generator(noise_size=None, max_channels=64).noise_size == 32
    drawn = generator(lambda shape: torch.ones(shape), num_batches=3, return_noise=True)
    assert torch.equal(drawn["noise_batch"], torch.ones(3, 8))
    assert torch.equal(drawn["fake_img"], generator(torch.ones(3, 8)))
    torch.manual_seed(0)
    expected = torch.randn(3, 8)
    torch.manual_seed(0)
    assert torch.equal(generator(None, num_batches=3, return_noise=True)["noise_batch"], expected)


@pytest.mark.parametrize("paper_form", [False, True])
def test_a_zero_latent_gives_finite_gradients(paper_form):
    generator = _generator(paper_form=paper_form)
    generator(torch.zeros(2, 6)).sum().backward()
    grads = [p.grad for p in generator.parameters() if p.grad is not None]
    assert len(grads) > 10
    assert all(torch.isfinite(grad).all() for grad in grads)


def test_the_peers_pixel_norms_halve_features_as_small_as_their_constants():
    noise2feat = _generator().noise2feat
    x = torch.ones(1, 6)
    torch.testing.assert_close(noise2feat.latent_norm(1e-6 * x), x / 2)
    torch.testing.assert_close(noise2feat.norm(1e-5 * x), x / 2)


def test_weights_come_from_torchs_global_generator_alone():
    for make in (_generator, _critic):
        torch.manual_seed(3)
        first = make().state_dict()
        torch.manual_seed(3)
        second = make().state_dict()
        assert all(torch.equal(first[key], second[key]) for key in first)
        assert abs(first["conv_blocks.1.conv.weight_orig"].std() - 1) < 0.1


def test_channels_halve_as_in_table_2():
    with torch.device("meta"):
        generator, critic = PGGANGenerator(512, 1024), PGGANDiscriminator(1024, paper_form=True)
    widths = [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert [layer.conv.weight_orig.shape[1] for layer in generator.torgb_layers] == widths
    assert [layer.conv.weight_orig.shape[0] for layer in critic.fromrgb_layers] == widths
    # Table 2's totals are rounded so; the RGB layers of the other scales are far below that.
    for network in (generator, critic):
        assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 23.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _generator(out_scale=12), "out_scale is 12: give a power of two"),
        (lambda: _critic(in_scale=2), "in_scale is 2: give a power of two"),
        (lambda: _generator(label_size=10), "label_size is 10: labels are not supported"),
        (lambda: _critic(label_size=10), "label_size is 10: labels are not supported"),
        (lambda: _generator(upsample_cfg={"type": "bilinear"}), "upsample_cfg is .*bilinear"),
        (lambda: _critic(mbstd_cfg={"size": 2}), "mbstd_cfg is .*size.*give .*group_size"),
        (lambda: _critic(base_channels=4), r"channels by level are \[2, 1, 0\]: raise"),
        (lambda: _critic()(torch.zeros(1, 3, 32, 32), curr_scale=32), "curr_scale is 32: give -1"),
        (lambda: _generator()(torch.zeros(1, 6), curr_scale=12), "curr_scale is 12: give -1 or"),
        (lambda: _generator()(None), "num_batches is 0: without noise give 1"),
    ],
)
def test_what_cannot_be_built_or_run_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_all_problems_of_a_network_are_said_at_once():
    with pytest.raises(SpecError) as caught:
        _critic(in_scale=3, label_size=1, downsample_cfg={"type": "max"})
    assert len(caught.value.problems) == 3


def test_tensors_of_a_wrong_shape_are_refused():
    with pytest.raises(DataError, match=r"noise is \(2, 5\): give \(N, 6\)"):
        _generator()(torch.zeros(2, 5))
    with pytest.raises(DataError, match=r"images are \(2, 3, 8, 8\).*\(3, 16, 16\)"):
        _critic()(torch.zeros(2, 3, 8, 8))


def test_arguments_stand_in_mmagics_order():
    generator, critic = (
        list(inspect.signature(network).parameters)
        for network in (PGGANGenerator, PGGANDiscriminator)
    )
    sizes = "base_channels channel_decay max_channels"
    assert " ".join(generator[:7]) == f"noise_size out_scale label_size {sizes} fused_upconv"
    sizes = "base_channels max_channels in_channels channel_decay"
    assert " ".join(critic[:8]) == f"in_scale label_size {sizes} mbstd_cfg fused_convdown"
