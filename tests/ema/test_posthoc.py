"""Densities and coefficients of post-hoc EMA, against integrals, sums and real trajectories."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import nn

from harness.ema.averaging import Average, Progress, gamma_from_sigma_rel, power
from harness.ema.posthoc import inner, misfit, rebuild, solve
from harness.ema.snapshots import Profile, find, write
from harness.errors import RecordsError

BATCH, STEPS, EVERY = 8, 600, 30
IMAGES = BATCH * STEPS
TRACKS = (0.05, 0.10)
SNAPSHOTS = [Profile(s, t * BATCH) for s in TRACKS for t in range(EVERY, STEPS + 1, EVERY)]


def density(profile, time):
    gamma = gamma_from_sigma_rel(profile.sigma_rel)
    return (gamma + 1) * time**gamma / profile.images ** (gamma + 1)


def weights(profile):
    """The weight of each step in an average: its density, summed up over the step's images."""
    edges = np.minimum(np.arange(STEPS + 1) * BATCH / profile.images, 1)
    return np.diff(edges ** (gamma_from_sigma_rel(profile.sigma_rel) + 1))


def trajectory(size=20):
    """A random walk: as rough as training with a constant rate."""
    return np.cumsum(np.random.default_rng(0).standard_normal((STEPS, size)), 0) * 0.1 + 1


@pytest.mark.parametrize("a", [Profile(0.05, 40), Profile(0.15, 100), Profile(12**-0.5, 70)])
@pytest.mark.parametrize("b", [Profile(0.10, 40), Profile(0.05, 70)])
def test_inner_products_are_the_integrals(a, b):
    """By quadrature over the time that both span; the other's density is 0 beyond its own."""
    end = min(a.images, b.images)
    expected, _ = quad(lambda time: density(a, time) * density(b, time), 0, end, epsabs=1e-13)
    assert inner([a], [b])[0, 0] == pytest.approx(expected, rel=1e-8)


def test_inner_products_of_long_runs_are_finite_and_symmetric():
    profiles = [Profile(s, t) for s in (0.005, 0.25) for t in (10**3, 10**6, 10**10)]
    gram = inner(profiles, profiles)
    assert np.isfinite(gram).all()
    np.testing.assert_allclose(gram, gram.T, rtol=1e-13)


@pytest.mark.parametrize("index", [0, 7, len(SNAPSHOTS) - 1])
def test_a_snapshot_is_rebuilt_by_itself_alone(index):
    coefficients = solve(SNAPSHOTS[: index + 1], SNAPSHOTS[index])
    np.testing.assert_allclose(coefficients, np.eye(index + 1)[index], atol=1e-8)


@pytest.mark.parametrize("sigma_rel", [0.025, 0.03, 0.07, 0.15, 0.25])
def test_coefficients_add_up_to_one(sigma_rel):
    assert math.fsum(solve(SNAPSHOTS, Profile(sigma_rel, IMAGES))) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("sigma_rel", [0.07, 0.15, 0.25])
def test_coefficients_are_the_best_of_all_whose_sum_is_one(sigma_rel):
    target = Profile(sigma_rel, IMAGES)
    coefficients = solve(SNAPSHOTS, target)
    least = misfit(SNAPSHOTS, target, coefficients)
    random = np.random.default_rng(0)
    for _ in range(10):
        other = random.standard_normal(len(SNAPSHOTS)) * 1e-3
        assert misfit(SNAPSHOTS, target, coefficients + other - other.mean()) > least


def test_misfit_is_the_distance_of_the_weights_of_time():
    target = Profile(0.20, IMAGES)
    coefficients = solve(SNAPSHOTS, target)
    rebuilt = coefficients @ np.array([weights(one) for one in SNAPSHOTS])
    distance = np.linalg.norm(rebuilt - weights(target)) / np.linalg.norm(weights(target))
    assert misfit(SNAPSHOTS, target, coefficients) == pytest.approx(distance, rel=0.05)


@pytest.mark.parametrize(
    ("sigma_rel", "most"), [(0.03, 0.01), (0.06, 1e-3), (0.08, 1e-3), (0.15, 1e-3), (0.20, 0.01)]
)
def test_a_target_between_and_around_the_tracks_is_reproduced(sigma_rel, most):
    """arXiv 2312.02696, section 3.2: the rebuilt average is that of the trajectory."""
    thetas, target = trajectory(), Profile(sigma_rel, IMAGES)
    live = weights(target) @ thetas
    shadows = np.array([weights(one) @ thetas for one in SNAPSHOTS])
    rebuilt = solve(SNAPSHOTS, target) @ shadows
    difference = np.linalg.norm(rebuilt - live) / np.linalg.norm(live)
    assert difference < most
    nearest = min(np.linalg.norm(shadow - live) for shadow in shadows) / np.linalg.norm(live)
    assert difference < nearest / 5


def test_one_track_alone_does_worse_than_two():
    target = Profile(0.20, IMAGES)
    single = [one for one in SNAPSHOTS if one.sigma_rel == 0.05]
    errors = [misfit(s, target, solve(s, target)) for s in (single, SNAPSHOTS)]
    assert errors[0] > 2 * errors[1]


@pytest.mark.parametrize(
    ("snapshots", "message"),
    [
        ([], "0 given"),
        ([Profile(0.1, 10)] * 2, "no two alike"),
        ([Profile(0.1, 20)], "later than the target's 10 images"),
    ],
)
def test_what_cannot_be_solved_is_refused(snapshots, message):
    with pytest.raises(ValueError, match=message):
        solve(snapshots, Profile(0.05, 10))


class Network(nn.Module):
    """A weight that is averaged, one of another kind, and buffers."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(40))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("scale", torch.zeros(2), persistent=False)


@pytest.fixture
def trained(tmp_path):
    """Snapshots of both tracks on disk, and a live average of another width."""
    network, thetas = Network(), torch.from_numpy(trajectory(40)).float()
    shadows = {width: Network() for width in (*TRACKS, 0.07)}
    averages = {width: Average(network, shadow) for width, shadow in shadows.items()}
    for step, theta in enumerate(thetas, 1):
        network.weight.data.copy_(theta)
        network.count += 1
        network.scale.fill_(step)
        for width, average in averages.items():
            average.update(power(width)(Progress(step - 1, step * BATCH, BATCH)))
        if step % EVERY == 0:
            for width in TRACKS:
                write(tmp_path, Profile(width, step * BATCH), shadows[width])
    return tmp_path, shadows[0.07]


def test_a_rebuilt_network_is_the_live_one_with_the_last_buffers(trained):
    folder, live = trained
    state, off = rebuild(find(folder), Profile(0.07, IMAGES), {"weight"})
    error = (state["weight"] - live.weight).norm() / live.weight.norm()
    assert error < 1e-3
    assert state["weight"].dtype == torch.float64
    assert (state["count"].item(), state["scale"].tolist()) == (STEPS, [STEPS, STEPS])
    assert 0 < off < 0.01


def test_an_earlier_average_uses_snapshots_up_to_it_alone(trained):
    folder, _ = trained
    target = Profile(0.05, 10 * EVERY * BATCH)
    state, off = rebuild(find(folder), target, {"weight"})
    expected = torch.from_numpy(weights(target) @ trajectory(40))
    torch.testing.assert_close(state["weight"], expected, rtol=1e-4, atol=1e-5)
    assert off < 1e-6
    assert state["count"].item() == 10 * EVERY


def test_nothing_to_rebuild_from_is_said(tmp_path):
    with pytest.raises(RecordsError, match="nothing to rebuild"):
        rebuild({}, Profile(0.1, 100), set())
