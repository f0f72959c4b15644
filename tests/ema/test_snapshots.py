"""Snapshots on disk: what is kept, and files that are not snapshots."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from harness.ema.snapshots import Profile, find, tensors, write
from harness.errors import RecordsError


@pytest.fixture
def network():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    network.register_buffer("kernel", torch.ones(3, 2).T, persistent=False)
    network[0].weight.data.fill_(1 / 3)
    return network


def test_a_snapshot_comes_back_as_float32_with_its_buffers(network, tmp_path):
    write(tmp_path / "new", Profile(0.1, 4000), network)
    (path,) = (tmp_path / "new").iterdir()
    kept = dict(tensors(path))
    entries = dict(network.named_parameters()) | dict(network.named_buffers())
    assert kept.keys() == entries.keys()
    for name, value in kept.items():
        expected = entries[name].detach()
        kind = torch.float32 if expected.is_floating_point() else expected.dtype
        assert value.dtype == kind
        assert torch.equal(value, expected.to(kind))


def test_a_file_says_what_it_is(network, tmp_path):
    for width, images in ((0.1, 4000), (1 / 30, 8032)):
        write(tmp_path, Profile(width, images), network)
    assert find(tmp_path).keys() == {Profile(0.1, 4000), Profile(1 / 30, 8032)}
    path = tmp_path / "sigma-0.1-images-000004000.safetensors"
    assert find(tmp_path)[Profile(0.1, 4000)] == path
    with safe_open(path, framework="np") as file:
        assert file.metadata() == {"sigma_rel": "0.1", "images": "4000"}


def test_a_cut_write_leaves_nothing_that_is_found(network, tmp_path):
    write(tmp_path, Profile(0.1, 4000), network)
    (path,) = tmp_path.iterdir()
    path.rename(path.with_name(f".{path.name}.17.tmp"))
    assert find(tmp_path) == {}
    assert find(tmp_path / "missing") == {}


def test_a_torn_file_is_named(network, tmp_path):
    write(tmp_path, Profile(0.1, 4000), network)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RecordsError, match=r"sigma-0.1.*cannot be read as a snapshot"):
        find(tmp_path)


def test_foreign_weights_are_named(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(RecordsError, match="is not a snapshot: its header names no average"):
        find(tmp_path)
