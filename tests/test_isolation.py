import random

import numpy as np
import pytest
import torch

from harness.isolation import own_streams

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
