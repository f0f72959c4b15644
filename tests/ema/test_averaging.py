"""Averaging schedules against float64 closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from harness.ema.averaging import (
    SCHEDULES,
    Average,
    Progress,
    gamma_from_sigma_rel,
    lerp,
    power,
    ramp,
    uniform,
    warmup,
)

BATCH, STEPS = 8, 400


def trajectory():
    return np.cumsum(np.random.default_rng(0).standard_normal(STEPS)) * 0.1 + 1


def averaged(schedule, thetas):
    """Return the shadow of a one-number network that walks through ``thetas``."""
    network, shadow = nn.Linear(1, 1, bias=False).double(), nn.Linear(1, 1, bias=False).double()
    network.weight.data.fill_(0.0)
    shadow.weight.data.fill_(0.0)
    average = Average(network, shadow)
    for t, theta in enumerate(thetas):
        network.weight.data.fill_(theta)
        average.update(schedule(Progress(t, (t + 1) * BATCH, BATCH)))
    return shadow.weight.item()


def test_lerp_is_the_geometric_sum():
    thetas, m = trajectory(), 0.03
    weights = m * (1 - m) ** np.arange(STEPS - 1, -1, -1)
    assert averaged(lerp(m), thetas) == pytest.approx(float(weights @ thetas), rel=1e-12)


def test_uniform_is_the_mean():
    thetas = trajectory()
    assert averaged(uniform(), thetas) == pytest.approx(thetas.mean(), rel=1e-12)


@pytest.mark.parametrize("sigma_rel", [0.05, 0.1, 0.2])
def test_power_is_the_power_function_profile(sigma_rel):
    """arXiv 2312.02696, eq. 2: the weight of theta(tau) is proportional to tau^gamma."""
    thetas = trajectory()
    gamma = gamma_from_sigma_rel(sigma_rel)
    edges = np.arange(STEPS + 1) / STEPS
    weights = np.diff(edges ** (gamma + 1))
    assert averaged(power(sigma_rel), thetas) == pytest.approx(float(weights @ thetas), rel=1e-12)


@pytest.mark.parametrize("sigma_rel", [0.01, 0.05, 0.15, 0.25, 12**-0.5])
def test_gamma_has_the_width_asked_for(sigma_rel):
    """The standard deviation of the density (gamma + 1) tau^gamma on [0, 1], by its moments."""
    g = gamma_from_sigma_rel(sigma_rel)
    first, second = (g + 1) / (g + 2), (g + 1) / (g + 3)
    assert math.sqrt(second - first**2) == pytest.approx(sigma_rel, rel=1e-9)


def test_warmup_begins_as_a_copy_and_ends_constant():
    schedule = warmup(momentum=0.01, inv_gamma=2.0, power=0.5)
    assert schedule(Progress(0, BATCH, BATCH)) == 1.0
    assert schedule(Progress(6, 7 * BATCH, BATCH)) == pytest.approx(0.5)
    assert schedule(Progress(10**6, BATCH, BATCH)) == 0.01


def test_ramp_has_the_half_life_asked_for():
    schedule = ramp(half_life_kimg=0.8, rampup=0.05)
    assert schedule(Progress(0, BATCH, BATCH)) == 1.0  # nothing is worth keeping yet
    far = schedule(Progress(10**5, 10**6, BATCH))
    assert (1 - far) ** (800 / BATCH) == pytest.approx(0.5, rel=1e-9)
    images = 4000 + BATCH
    early = schedule(Progress(500, images, BATCH))
    assert (1 - early) ** (0.05 * 4000 / BATCH) == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("mode", SCHEDULES)
def test_weights_are_shares(mode):
    cfg = {"ramp": {"half_life_kimg": 1.0}, "power": {"sigma_rel": 0.1}}.get(mode, {})
    schedule = SCHEDULES[mode](**cfg)
    for t in range(200):
        assert 0 <= schedule(Progress(t, (t + 1) * BATCH, BATCH)) <= 1


class Mixed(nn.Module):
    """Every kind of entry that a network may have."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, dtype=dtype))
        self.narrow = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.register_buffer("mean", torch.ones(2))
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("scratch", torch.ones(2), persistent=False)


def zeroed(network):
    for entry in (*network.parameters(), *network.buffers()):
        entry.data.zero_()
    return network


def test_each_kind_of_entry_gets_its_weight():
    shadow = zeroed(Mixed())
    Average(Mixed(), shadow).update(0.25, nontrainable=0.5)
    assert shadow.weight.tolist() == [0.25, 0.25]
    assert shadow.narrow.tolist() == [0.25, 0.25]
    assert shadow.frozen.tolist() == [0.5, 0.5]
    assert shadow.mean.tolist() == [0.5, 0.5]
    assert shadow.scratch.tolist() == [0.5, 0.5]
    assert shadow.count.item() == 7


def test_a_wide_shadow_of_narrow_weights_does_not_stall():
    network = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    shadow = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)
    shadow.weight.data.fill_(0.0)
    average = Average(network, shadow)
    for _ in range(1000):
        average.update(0.001)
    assert shadow.weight.item() == pytest.approx(1 - 0.999**1000, rel=1e-4)


def test_copy_makes_equal_and_update_stays_in_place():
    network, shadow = Mixed(), zeroed(Mixed())
    places = [p.data_ptr() for p in shadow.parameters()]
    average = Average(network, shadow)
    average.update(0.5)
    assert [p.data_ptr() for p in shadow.parameters()] == places
    average.copy()
    assert torch.equal(shadow.weight, network.weight)
    assert torch.equal(shadow.scratch, network.scratch)


def test_networks_of_other_entries_are_refused():
    with pytest.raises(ValueError, match=r"differ in .*bias"):
        Average(nn.Linear(1, 1), nn.Linear(1, 1, bias=False))
