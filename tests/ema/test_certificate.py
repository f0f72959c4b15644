"""Certificates of averages that are walked by hand: what is an error, and what is rounding."""

import pytest
import torch
from torch import nn

from harness.ema.averaging import Average
from harness.ema.certificate import LIMIT, certify
from harness.ema.closed_form import Setting
from harness.ema.trajectory import Trajectory


def network(dtype=torch.float32, layout=torch.contiguous_format):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 50, 3), nn.BatchNorm2d(50), nn.Linear(5, 700))
    return net.to(dtype).to(memory_format=layout)


def certificate(
    folder,
    net,
    momentum,
    moves,
    *,
    shadow=None,
    iterations=300,
    block=64,
    stated=None,
    images=10,
    skipped=None,
):
    """Walk an average along a network that ``moves`` and return its certificate."""
    shadow = shadow or network(next(net.parameters()).dtype)
    average = Average(net, shadow)
    average.copy()
    trajectory = Trajectory(net, {"net_ema": shadow}, folder, block=block)
    assert trajectory.begin(0)
    random = torch.Generator().manual_seed(1)
    for iteration in range(iterations):
        with torch.no_grad():
            moves(net, random)
        if iteration != skipped:
            average.update(momentum)
        trajectory.observe(images)
    trajectory.check()
    setting = Setting("lerp", {"momentum": stated or momentum})
    return certify(folder, {"net_ema": setting})["net_ema"]


def walk(net, random):
    for value in net.parameters():
        value.add_(torch.randn(value.shape, generator=random), alpha=0.01)
    for value in net.buffers():
        value.add_(1)


def step_then_rest(net, random):
    """Move once, then never again, as a layer that growth has left behind."""
    if int(net[1].num_batches_tracked) == 0:
        walk(net, random)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_weights_that_move_are_derived_to_float32s_rounding(tmp_path, layout):
    net = network(layout=layout)
    found = certificate(tmp_path, net, 0.01, walk, shadow=network(layout=layout))
    assert 1e-9 < found.error < 1e-6


def test_a_shadow_in_another_memory_layout_is_read_entry_by_entry(tmp_path):
    assert certificate(tmp_path, network(layout=torch.channels_last), 0.01, walk).error < 1e-6


def test_float64_is_derived_to_its_own_rounding(tmp_path):
    assert 0 < certificate(tmp_path, network(torch.float64), 0.01, walk).error < 1e-14


@pytest.mark.parametrize("block", [1, 7, 300, 1000])
def test_checks_do_not_depend_on_each_other(tmp_path, block):
    found = certificate(tmp_path, network(), 0.01, walk, block=block)
    assert found.checks == -(-300 // block)
    assert found.error < 1e-6


def test_a_weight_at_rest_is_not_an_error_where_float32_cannot_get_nearer(tmp_path):
    resting = {"iterations": 20_000, "momentum": 2e-4, "moves": step_then_rest, "block": 1000}
    assert certificate(tmp_path / "sound", network(), **resting).error < 1e-6
    # The allowance is for float32's last place alone: another momentum still shows at rest.
    resting |= {"iterations": 5_000}
    wrong = certificate(tmp_path / "wrong", network(), stated=2.4e-4, **resting)
    assert wrong.error > 10 * LIMIT


@pytest.mark.parametrize("skipped", [None, 2970])
def test_one_skipped_update_of_a_slow_average_is_an_error_where_weights_move(tmp_path, skipped):
    found = certificate(tmp_path, network(), 2e-4, walk, iterations=3000, skipped=skipped)
    assert (found.error > LIMIT) == (skipped is not None)


def test_a_tensor_of_noughts_has_to_stay_nought(tmp_path):
    class Drifting(Average):
        def update(self, weight, nontrainable=1.0):
            super().update(weight, nontrainable)
            next(iter(self._all.values()))[1].detach().view(-1)[0] = 1e-30

    net, shadow = nn.Linear(2, 2), nn.Linear(2, 2)
    nn.init.zeros_(net.weight)
    average = Drifting(net, shadow)
    average.copy()
    trajectory = Trajectory(net, {"net_ema": shadow}, tmp_path)
    trajectory.begin(0)
    average.update(0.5)
    trajectory.observe(1)
    trajectory.check()
    assert certify(tmp_path, {"net_ema": Setting()})["net_ema"].error == float("inf")


def test_every_tensor_has_entries_and_large_ones_have_more(tmp_path):
    net = network()
    trajectory = Trajectory(net, {}, tmp_path)
    counts = {entry.name: entry.count for entry in trajectory.entries}
    assert counts.keys() == dict(net.named_parameters()).keys() | dict(net.named_buffers()).keys()
    assert counts["1.num_batches_tracked"] == 1
    assert counts["2.weight"] > 4 * counts["2.bias"] > 4 * counts["0.bias"] >= 16
    assert 900 < sum(counts.values()) < 1200


def test_a_tensor_that_is_replaced_is_noticed(tmp_path):
    net = network()
    trajectory = Trajectory(net, {"net_ema": network()}, tmp_path)
    trajectory.begin(0)
    net[0].weight = nn.Parameter(torch.zeros_like(net[0].weight))
    trajectory.observe(1)
    with pytest.raises(AssertionError, match="was replaced"):
        trajectory.check()
