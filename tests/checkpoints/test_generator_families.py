"""Shapes say what a generator is: those of the vectors, and those of MMagic's published ones."""

import json
from pathlib import Path

import pytest
import torch

from harness.checkpoints.families import FAMILIES, channels, prefixes
from harness.errors import DataError
from harness.registry import MODELS, register_all

VECTORS = Path(__file__).parents[1] / "vectors"
RECORDED = [
    ("pggan", "pggan_generator"),
    ("pggan", "pggan_generator_unfused"),
    ("stylegan1", "stylegan1_generator"),
    ("stylegan2", "stylegan2_generator"),
    ("singan", "singan_generator"),
]
STYLE = {"style_channels": 512, "num_mlps": 8}
PUBLISHED = [
    ("pggan", {"noise_size": 512, "out_scale": 128}),
    ("pggan", {"noise_size": 512, "out_scale": 1024}),
    ("stylegan1", {"out_size": 256, **STYLE}),
    ("stylegan1", {"out_size": 1024, **STYLE}),
    ("stylegan1", {"out_size": 64, **STYLE, "base_channels": 1024, "paper_form": True}),
    ("stylegan2", {"out_size": 256, **STYLE}),
    ("stylegan2", {"out_size": 1024, **STYLE}),
    ("stylegan2", {"out_size": 256, **STYLE, "channel_multiplier": 1}),
    ("stylegan2", {"out_size": 128, **STYLE, "channel_multiplier": 0.5}),
    ("stylegan2", {"out_size": 64, **STYLE, "base_channels": 2048, "max_channels": 96}),
    ("singan", {"in_channels": 3, "out_channels": 3, "num_scales": 8}),
    ("singan", {"in_channels": 3, "out_channels": 3, "num_scales": 10}),
    (
        "singan",
        {
            "in_channels": 1,
            "out_channels": 1,
            "num_scales": 5,
            "kernel_size": 5,
            "num_layers": 4,
            "base_channels": 64,
            "min_feat_channels": 24,
        },
    ),
]


def shapes_of(family, arguments):
    """Return the shapes of a family's entries; nothing is allocated."""
    register_all()
    with torch.device("meta"):
        network = MODELS.get(FAMILIES[family].type)(**arguments)
    return {name: tuple(entry.shape) for name, entry in network.state_dict().items()}


@pytest.mark.parametrize(("family", "name"), RECORDED)
def test_the_recorded_shapes_give_a_network_of_these_shapes(family, name):
    recorded = json.loads((VECTORS / f"{name}.json").read_text())
    shapes = {name: tuple(shape) for name, shape in recorded["state_dict"].items()}
    assert [f for f in FAMILIES if prefixes(shapes, FAMILIES[f])] == [family]
    assert FAMILIES[family].type == recorded["config"]["type"]
    arguments = FAMILIES[family].arguments(shapes)
    assert shapes_of(family, arguments) == shapes


@pytest.mark.parametrize(("family", "arguments"), PUBLISHED)
def test_published_sizes_are_read_from_their_shapes(family, arguments):
    shapes = shapes_of(family, arguments)
    found = FAMILIES[family].arguments(shapes)
    assert found | arguments == found
    assert shapes_of(family, found) == shapes


def test_fused_and_unfused_layers_are_told_apart_where_channels_change():
    for fused in (True, False):
        shapes = shapes_of("pggan", {"noise_size": 8, "out_scale": 32, "fused_upconv": fused})
        assert "fused_upconv" not in FAMILIES["pggan"].arguments(shapes)  # 512 at every level
        shapes = shapes_of("pggan", {"noise_size": 8, "out_scale": 64, "fused_upconv": fused})
        assert FAMILIES["pggan"].arguments(shapes)["fused_upconv"] is fused


def test_every_network_of_a_family_is_found_by_what_stands_before_its_entries():
    shapes = shapes_of("pggan", {"noise_size": 8, "out_scale": 8})
    names = [f"{prefix}{name}" for prefix in ("", "generator.", "a.b.") for name in shapes]
    assert prefixes(names, FAMILIES["pggan"]) == ["", "a.b", "generator"]
    assert prefixes([*names, "pre_noise2feat.bias"], FAMILIES["singan"]) == []


def test_channels_that_no_arguments_give_are_refused():
    assert channels([8, 8, 4], 8192) == {"base_channels": 32, "max_channels": 8}
    with pytest.raises(DataError, match="no base_channels and max_channels give 8, 4, 5 channels"):
        channels([8, 4, 5], 8192)


@pytest.mark.parametrize(("family", "arguments"), [*PUBLISHED[:3], PUBLISHED[5]])
def test_one_missing_entry_leaves_the_rest_to_tell(family, arguments):
    """So that it is named among those that are missing, beside all others."""
    shapes = shapes_of(family, arguments)
    whole = FAMILIES[family].arguments(shapes)
    needed = "noise2feat.linear.weight_orig"
    for name in shapes.keys() - {needed}:
        found = FAMILIES[family].arguments({k: v for k, v in shapes.items() if k != name})
        assert found | {"fused_upconv": None} == whole | {"fused_upconv": None}


@pytest.mark.parametrize(
    ("family", "entry", "told"),
    [
        ("singan", "blocks.999999999.tail.conv.weight", "has 1000000000 layers or scales"),
        ("singan", "blocks.0.tail.conv.weight", "lacks blocks.0.head.conv.weight"),
        ("pggan", "noise2feat.bias", "lacks noise2feat.linear.weight_orig"),
        ("pggan", "torgb_layers.0.conv.bias", "lacks torgb_layers.0.conv.weight_orig, conv_blocks"),
    ],
)
def test_entries_that_no_network_has_are_refused(family, entry, told):
    with pytest.raises(DataError, match=told):
        FAMILIES[family].arguments({entry: (1, 1, 3, 3)})
