import random

import numpy as np
import pytest
import torch
from torch import nn

from harness.isolation import frozen, own_streams

CPU = torch.device("cpu")


def draws():
    return torch.rand(2).tolist(), np.random.rand(2).tolist(), [random.random() for _ in range(2)]


def test_all_streams_go_on_where_they_were_and_begin_at_the_seed_inside():
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    expected = draws()
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    with own_streams(2**62 + 1, CPU):
        first = draws()
    with pytest.raises(ZeroDivisionError), own_streams(2**62 + 1, CPU):
        1 / (draws() != first)
    with own_streams(1, CPU):
        assert draws() != first
    assert draws() == expected


@pytest.mark.gpu
def test_the_devices_stream_is_kept_apart_too():
    device = torch.device("cuda:0")
    torch.cuda.manual_seed(0)
    expected = torch.rand(2, device=device)
    torch.cuda.manual_seed(0)
    with own_streams(3, device):
        first = torch.rand(2, device=device)
    with own_streams(3, device):
        assert torch.equal(torch.rand(2, device=device), first)
    assert torch.equal(torch.rand(2, device=device), expected)


def test_a_frozen_network_passes_gradients_on_and_keeps_what_was_frozen():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    network[0].weight.requires_grad_(False)
    x = torch.ones(1, 2, requires_grad=True)
    with pytest.raises(RuntimeError), frozen(network):
        network(x).backward(torch.ones(7))
    with frozen(network):
        network(x).sum().backward()
    assert x.grad is not None
    assert all(weight.grad is None for weight in network.parameters())
    assert [weight.requires_grad for weight in network.parameters()] == [False, True, True, True]
