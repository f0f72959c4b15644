"""The trajectories: trained, the same each time, and walked to the bit."""

import pytest
import torch

from harness.conformance.cases import CASES
from harness.conformance.trajectory import entries, make_network, record

BY_NAME = {case.name: case for case in CASES}


def test_names_are_unique_and_there_are_about_twenty():
    assert len(BY_NAME) == len(CASES) >= 20


@pytest.mark.parametrize("name", ["tied-buffers-averaged", "buffers-averaged", "frozen-parameter"])
def test_every_entry_is_really_trained(name):
    trajectory = record(BY_NAME[name])
    for entry in trajectory.groups:
        values = trajectory.values[entry]
        assert values.shape[0] == BY_NAME[name].iterations + 1
        assert (abs(values[-1] - values[0]) > 1e-4).any(), entry


def test_a_recording_is_the_same_each_time_and_leaves_the_global_stream():
    case, before = BY_NAME["batch-norm"], torch.get_rng_state()
    first, second = record(case), record(case)
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(first.states, second.states, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_walk_puts_a_network_there_in_place():
    case = BY_NAME["frozen-phases"]
    trajectory, network = record(case), make_network(case)
    places = [p.data_ptr() for p in network.parameters()]
    switched = []
    for iteration in range(12):
        trajectory.walk(network, iteration + 1)
        assert trajectory.untouched(network, iteration + 1)
        switched.append(network.inner.weight.requires_grad)
    assert [p.data_ptr() for p in network.parameters()] == places
    assert switched == [True] * 5 + [False] * 5 + [True] * 2
    entries(network)["inner.bias"].data.add_(1e-6)
    assert not trajectory.untouched(network, 12)
