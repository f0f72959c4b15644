"""Statistics in files: what other tools read and write, and FID against them."""

import json
import pickle

import numpy as np
import pytest
import scipy.linalg
import torch

from harness.metrics.features import load_extractor
from harness.metrics.fid import covariance_root, frechet_distance, statistics_of
from harness.metrics.statistics_file import read_statistics, write_statistics

FACTS = {"extractor": "digits-cnn", "real_images": 500}


@pytest.fixture(scope="module")
def extractor():
    return load_extractor("digits-cnn")


def features(seed, count=500):
    """Correlated features with a mean, as an extractor's are."""
    draws = torch.Generator().manual_seed(seed)
    mix = torch.randn(64, 64, generator=torch.Generator().manual_seed(9)) / 8
    return torch.randn(count, 64, generator=draws) @ mix + seed / 10


@pytest.fixture(scope="module")
def real():
    return statistics_of(features(0))


@pytest.fixture(scope="module")
def fake():
    return statistics_of(features(1))


@pytest.fixture
def path(real, tmp_path):
    write_statistics(tmp_path / "real.npz", real, FACTS)
    return tmp_path / "real.npz"


def pytorch_fid(mu1, sigma1, mu2, sigma2):
    """pytorch-fid's formula: the root of the product itself, by Schur's decomposition."""
    root = scipy.linalg.sqrtm(sigma1 @ sigma2)
    return ((mu1 - mu2) ** 2).sum() + np.trace(sigma1 + sigma2 - 2 * root.real)


def test_what_is_written_gives_other_tools_our_fid(path, real, fake):
    with np.load(path) as held:  # as pytorch-fid does
        mu, sigma = held["mu"][:], held["sigma"][:]
        assert json.loads(str(held["protocol"])) == FACTS
    assert (mu.dtype, sigma.dtype) == (np.float64, np.float64)
    theirs = pytorch_fid(fake.mean.numpy(), fake.cov.numpy(), mu, sigma)
    assert theirs == pytest.approx(frechet_distance(fake, real), rel=1e-6)


def test_read_back_it_gives_the_same_bits(path, real, fake, extractor):
    given = read_statistics(path, extractor)
    assert torch.equal(given.statistics.mean, real.mean)
    assert torch.equal(given.statistics.cov, real.cov)
    assert torch.equal(given.root, covariance_root(real.cov))
    ours = frechet_distance(fake, given.statistics, given.root)
    assert ours == frechet_distance(fake, real, covariance_root(real.cov))
    assert given.statistics.count == 500


def test_the_same_statistics_are_the_same_bytes(path, real, tmp_path):
    write_statistics(tmp_path / "again.npz", real, FACTS)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_the_digest_is_of_the_numbers_alone(path, real, tmp_path, extractor):
    usual = read_statistics(path, extractor).facts["reference_sha256"]
    mu, sigma = real.mean.numpy(), real.cov.numpy()

    def digest(**arrays):
        np.savez_compressed(tmp_path / "other.npz", **arrays)
        return read_statistics(tmp_path / "other.npz", extractor).facts["reference_sha256"]

    assert digest(mu=mu, sigma=sigma) == usual
    assert digest(sigma=np.asfortranarray(sigma), mu=mu.astype(">f8"), more=np.zeros(3)) == usual
    assert digest(mu=np.nextafter(mu, 9), sigma=sigma) != usual
    assert digest(mu=mu, sigma=sigma * (1 + 1e-15)) != usual


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_of_edm2_is_read_without_running_it(real, fake, tmp_path, extractor, protocol):
    own = {"mu": real.mean.numpy(), "sigma": real.cov.numpy()}
    other = {"mu": np.zeros(3), "sigma": np.eye(3)}
    path = tmp_path / "img512.pkl"
    path.write_bytes(pickle.dumps({"fd_dinov2": other, "fid": own}, protocol))
    given = read_statistics(path, extractor)
    assert torch.equal(given.statistics.cov, real.cov)
    assert given.facts["reference_images"] == "not stated"


def test_float32_and_a_covariance_of_few_images_are_sound(tmp_path, extractor, fake):
    few = statistics_of(features(2, 20))  # of rank 19: eigenvalues of 0, but for rounding
    np.savez(tmp_path / "a.npz", mu=few.mean.float().numpy(), sigma=few.cov.float().numpy())
    given = read_statistics(tmp_path / "a.npz", extractor)
    ours = frechet_distance(fake, given.statistics, given.root)
    assert ours == pytest.approx(frechet_distance(fake, few), rel=1e-3)  # roots of rounding


def test_rounding_of_another_tool_s_sums_is_taken_out(tmp_path, real, extractor):
    sigma = real.cov.numpy() * (1 + 1e-9 * np.triu(np.ones((64, 64)), 1))
    np.savez(tmp_path / "a.npz", mu=real.mean.numpy(), sigma=sigma)
    cov = read_statistics(tmp_path / "a.npz", extractor).statistics.cov
    assert torch.equal(cov, cov.T)
