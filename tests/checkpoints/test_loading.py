"""A checkpoint's generator is found, built from its shapes, and loaded whole or not at all."""

import pytest
import torch
from published import NETWORKS, checkpoint, network, published, state

from harness.checkpoints.families import FAMILIES
from harness.checkpoints.loading import choose, entries, load
from harness.checkpoints.reading import read
from harness.errors import DataError, SpecError

PGGAN = FAMILIES["pggan"]


def loaded(path, family="pggan", wanted=None, **given):
    held = read(path)
    name, _ = choose(held, FAMILIES[family], wanted)
    return load(FAMILIES[family], entries(held, name), given, path)


def saved(tmp_path, entries):
    torch.save(checkpoint(entries), tmp_path / "a.pth")
    return tmp_path / "a.pth"


def refusal(path, error=DataError, **options):
    with pytest.raises(error) as caught:
        loaded(path, **options)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("family", NETWORKS)
def test_the_averaged_generator_is_taken_bit_for_bit(tmp_path, family):
    path, ema = published(tmp_path, family)
    arguments, found = loaded(path, family)
    wanted = {name: value for name, value in NETWORKS[family].items() if name != "type"}
    if family == "stylegan2":  # 512 and more at few levels may be said in two ways
        wanted.pop("base_channels")
    assert arguments | wanted == arguments
    assert not found.training
    ours, theirs = found.state_dict(), ema.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_raw_generator_is_taken_where_it_is_asked_for_or_alone(tmp_path):
    path, ema = published(tmp_path, "pggan")
    raw = network("pggan", 1)
    assert choose(read(path), PGGAN, None) == ("generator_ema", ["generator", "generator_ema"])
    for where, wanted in ((path, "generator"), (saved(tmp_path, state(raw, "generator")), None)):
        _, found = loaded(where, wanted=wanted)
        assert torch.equal(found.noise2feat.bias, raw.noise2feat.bias)
        assert not torch.equal(found.noise2feat.bias, ema.noise2feat.bias)


@pytest.mark.parametrize("wanted", [None, "generator"])
def test_a_generator_saved_alone_needs_no_name(tmp_path, wanted):
    alone = network("pggan")
    _, found = loaded(saved(tmp_path, alone.state_dict()), wanted=wanted)
    assert torch.equal(found.noise2feat.bias, alone.noise2feat.bias)


def test_a_network_that_is_not_there_is_named_with_those_that_are(tmp_path):
    path = saved(tmp_path, state(network("pggan"), "generator"))
    assert refusal(path, wanted="generator_ema").endswith(
        "holds no network 'generator_ema'; it holds generator"
    )


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("other", FAMILIES)
def test_a_checkpoint_of_another_architecture_is_recognised(tmp_path, family, other):
    path, _ = published(tmp_path, family)
    if other != family:
        told = refusal(path, family=other)
        assert told == f"{path}: looks like {family}, not like {other}"


def test_a_checkpoint_of_no_generator_says_what_its_entries_are(tmp_path):
    path = saved(tmp_path, {"backbone.conv.weight": torch.ones(1), "head.bias": torch.ones(1)})
    assert "its entries are those of no generator here (backbone, head)" in refusal(path)


def test_missing_and_unexpected_entries_are_all_named(tmp_path):
    held = state(network("pggan"), "generator")
    gone = ["conv_blocks.1.conv.bias", "conv_blocks.3.conv.weight_orig", "noise2feat.bias"]
    for name in gone:
        del held[f"generator.{name}"]
    held |= {"generator.more": torch.ones(1), "generator.yet.more": torch.ones(1)}
    told = refusal(saved(tmp_path, held))
    assert f"3 missing: {', '.join(sorted(gone, key=told.find))}; 2 unexpected: " in told
    assert told.endswith("more, yet.more")
    assert "PGGANGenerator(noise_size=6, out_scale=16," in told


def test_many_missing_entries_are_counted(tmp_path):
    held = {k: v for k, v in state(network("singan"), "generator").items() if "blocks.1." not in k}
    told = refusal(saved(tmp_path, held), family="singan")
    assert "26 missing: blocks.1.head.conv.weight, " in told
    assert told.endswith(" and 18 more")


def test_wrong_shapes_are_named_with_the_right_ones(tmp_path):
    held = state(network("pggan"), "generator")
    held["generator.conv_blocks.1.conv.bias"] = torch.zeros(7)
    told = refusal(saved(tmp_path, held))
    assert told.endswith("1 of another shape: conv_blocks.1.conv.bias (7,) for (8,)")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_entries_that_are_not_finite_are_named(tmp_path, value):
    held = state(network("pggan"), "generator")
    held["generator.torgb_layers.2.conv.bias"][1] = value
    assert refusal(saved(tmp_path, held)).endswith("1 not finite: torgb_layers.2.conv.bias")


def test_the_other_networks_do_not_matter(tmp_path):
    held = state(network("pggan"), "generator") | state(network("pggan"), "generator_ema")
    held["generator.noise2feat.bias"] = torch.full((1, 8, 1, 1), float("nan"))
    path = saved(tmp_path, held)
    loaded(path)
    assert refusal(path, wanted="generator").endswith("1 not finite: noise2feat.bias")


def test_given_arguments_go_before_what_the_shapes_say(tmp_path):
    path = saved(tmp_path, state(network("pggan", fused_upconv=False, max_channels=4), "generator"))
    arguments, found = loaded(path, fused_upconv=False)  # 4 channels at every level: not to be seen
    assert arguments["fused_upconv"] is False
    latent = torch.ones(1, 6)
    assert not torch.equal(found(latent), loaded(path)[1](latent))
    told = refusal(path, out_scale=32)
    assert "6 missing: torgb_layers.3.conv.weight_orig" in told
    assert "out_scale=32" in told


def test_unknown_and_impossible_arguments_are_refused(tmp_path):
    path = saved(tmp_path, state(network("pggan"), "generator"))
    told = refusal(path, error=SpecError, out_size=16)
    assert told.startswith("out_size: no argument of PGGANGenerator; it has noise_size, out_scale")
    assert "power of two" in refusal(path, error=SpecError, out_scale=12)


def test_half_precision_becomes_float32(tmp_path):
    held = {k: v.half() for k, v in state(network("pggan"), "generator").items()}
    _, found = loaded(saved(tmp_path, held))
    assert found.noise2feat.bias.dtype == torch.float32
    assert torch.equal(found.noise2feat.bias, held["generator.noise2feat.bias"].float())


def test_loading_leaves_the_global_stream_alone(tmp_path):
    path, _ = published(tmp_path, "pggan")
    torch.manual_seed(3)
    loaded(path)
    drawn = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(2))
