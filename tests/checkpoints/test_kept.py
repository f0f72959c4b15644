"""A generator's own file says what to build, and gives the same network back."""

import json

import pytest
import torch
from published import NETWORKS, network
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from harness.checkpoints.kept import Generator, from_file, to_bytes
from harness.errors import DataError

PGGAN = {name: value for name, value in NETWORKS["pggan"].items() if name != "type"}
SINGAN = {name: value for name, value in NETWORKS["singan"].items() if name != "type"}


def test_a_generator_comes_back_bit_for_bit(tmp_path):
    maps = tuple(torch.randn(1, 1, 4 + n, 5 + n) for n in range(3))
    source = {"file": "a.pth", "sha256": "0" * 64, "network": "generator"}
    kept = Generator("singan", SINGAN, network("singan"), {}, source, (1.0, 0.1, 1 / 3), maps)
    (tmp_path / "g.safetensors").write_bytes(to_bytes(kept))
    again = from_file(tmp_path / "g.safetensors")
    assert (again.family, again.source, again.noise_weights) == (
        "singan",
        source,
        kept.noise_weights,
    )
    assert again.arguments | SINGAN == again.arguments
    assert all(torch.equal(a, b) for a, b in zip(again.fixed_noises, maps, strict=True))
    ours, theirs = again.network.state_dict(), kept.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert to_bytes(kept) == (tmp_path / "g.safetensors").read_bytes()


def test_the_file_is_plain_safetensors_with_json_beside(tmp_path):
    stage = {"curr_scale": 8, "transition_weight": 0.5}
    kept = Generator("pggan", PGGAN, network("pggan"), stage)
    (tmp_path / "g.safetensors").write_bytes(to_bytes(kept))
    assert load_file(tmp_path / "g.safetensors").keys() == kept.network.state_dict().keys()
    with safe_open(tmp_path / "g.safetensors", "pt") as file:
        about = json.loads(file.metadata()["gan_harness"])
    assert about["type"] == "PGGANGenerator"
    assert (about["arguments"], about["stage"]) == (PGGAN, stage)
    assert from_file(tmp_path / "g.safetensors").stage == stage


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (None, "does not say which network it is: `harness import` it first"),
        ({"gan_harness": json.dumps({"format": 9, "family": "pggan"})}, "is of format 9 and holds"),
        ({"gan_harness": json.dumps({"format": 1, "family": "vae"})}, "holds 'vae'; this harness"),
        ({"gan_harness": "{"}, "is damaged"),
        ({"gan_harness": "[]"}, "is damaged"),
        ({"gan_harness": json.dumps({"format": 1, "family": "pggan"})}, "is damaged"),
    ],
)
def test_other_safetensors_are_refused(tmp_path, metadata, told):
    save_file({"a": torch.ones(1)}, tmp_path / "g.safetensors", metadata)
    with pytest.raises(DataError, match=told):
        from_file(tmp_path / "g.safetensors")


def test_a_truncated_file_is_refused(tmp_path):
    content = to_bytes(Generator("pggan", PGGAN, network("pggan")))
    (tmp_path / "g.safetensors").write_bytes(content[:-100])
    with pytest.raises(DataError, match="cannot be read as safetensors"):
        from_file(tmp_path / "g.safetensors")
