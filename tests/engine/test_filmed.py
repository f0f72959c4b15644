"""Filmed: the same latents at every evaluation and for every arm, and nothing else changed."""

import copy

import numpy as np
import pytest
import torch
from resuming import SHORT, attempt, left
from small_spec import content
from tiny_gan import NOISE_SIZE, SMALL
from tiny_singan import singan_run

from harness.data import DataSource
from harness.data.prepare import prepare
from harness.engine.evaluation import ArmsEvaluator
from harness.engine.film import Filmed, best_arm
from harness.errors import Diverged
from harness.gans.growing import ProgressiveGrowingGAN
from harness.images import to_uint8
from harness.networks.pggan import PGGANDiscriminator, PGGANGenerator
from harness.plan.expand import expand
from harness.records import film
from harness.records.film import NEIGHBOURS, find, read_frame, read_neighbours
from harness.seeding import generator
from harness.spec.growth import GrowthSchedule
from harness.spec.load import validated
from harness.spec.schema import Evaluate

CPU = torch.device("cpu")
ARMS = {"raw": "orig", "copy": "copy_ema", "other": "other_ema"}
FID = "fid[digits-cnn]"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def real(cache):
    return prepare(DataSource(type="digits", resolution=8, max_images=600), (4, 8), cache / "data")


@pytest.fixture
def gan():
    """A GAN for 8 px with a shadow equal to its generator and one that differs."""
    growth = GrowthSchedule((4, 8), (16, 80), 16, (4, 4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = PGGANGenerator(NOISE_SIZE, 8, **SMALL), PGGANDiscriminator(8, **SMALL)
    gan = ProgressiveGrowingGAN(*networks, growth, seed=0)
    gan.copy_ema = copy.deepcopy(gan.generator)
    gan.other_ema = copy.deepcopy(gan.generator)
    with torch.no_grad():
        for parameter in gan.other_ema.parameters():
            parameter.add_(0.3)
    return gan


@pytest.fixture
def filmed(real, cache, tmp_path):
    def make(folder="run", arms=ARMS, total=80, seed=0, **settings):
        usual = {
            "every_kimg": 1,
            "extractor": "digits-cnn",
            "fake_images": 60,
            "metrics": ("fid", "is"),
        }
        told = Evaluate(**(usual | settings))
        evaluator = ArmsEvaluator(told, real, arms, seed, CPU, cache / "reference")
        return Filmed(evaluator, evaluator, real, tmp_path / folder, total)

    return make


def frames(one):
    return [read_frame(path) for path in find(one.folder)]


def test_the_same_weights_give_the_same_frame_however_far_training_is(gan, filmed):
    one = filmed()
    for iteration, gan.images_shown in ((10, 40), (15, 60)):
        one.evaluate(gan, iteration)
    first, second = frames(one)
    assert (first.kimg, second.kimg) == (0.04, 0.06)
    assert list(first.arms) == list(ARMS)
    for arm in ARMS:
        assert (first.arms[arm] == second.arms[arm]).all()
        assert first.arms[arm].shape == (16, 8, 8, 3)


def test_arms_that_equal_raw_are_shown_as_raw_is_and_others_are_not(gan, filmed):
    one = filmed()
    one.evaluate(gan, 1)
    (frame,) = frames(one)
    assert (frame.arms["raw"] == frame.arms["copy"]).all()
    assert (frame.arms["raw"] != frame.arms["other"]).any()
    assert len(np.unique(frame.arms["raw"], axis=0)) == 16


def test_tiles_are_those_of_the_runs_own_latents_as_large_as_they_are_drawn(gan, filmed):
    gan.images_shown = 8
    for seed in (0, 1):
        one = filmed(f"seed{seed}", seed=seed)
        one.evaluate(gan, 2)
        latents = gan.latents(16, generator(seed, "film latents"))
        wanted = to_uint8(gan.draw(gan.generator, latents)).permute(0, 2, 3, 1).numpy()
        assert wanted.shape == (16, 4, 4, 3)
        assert (frames(one)[0].arms["raw"] == wanted).all()


def test_nothing_that_is_measured_changes_and_no_stream_moves(gan, filmed):
    one, state = filmed(), torch.get_rng_state()
    modes = [module.training for module in gan.modules()]
    for gan.images_shown in (8, 80):
        assert one.evaluate(gan, 1) == one.measured.evaluate(gan, 1)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in gan.modules()] == modes


def test_a_network_that_draws_from_the_global_stream_draws_alike_for_every_arm(gan, filmed):
    for network in (gan.generator, gan.copy_ema):
        network.register_forward_hook(lambda *given: given[-1] + 0.1 * torch.randn(()))
    one = filmed()
    one.evaluate(gan, 1)
    (frame,) = frames(one)
    assert (frame.arms["raw"] == frame.arms["copy"]).all()


def test_an_evaluation_that_is_repeated_leaves_the_same_bytes(gan, filmed):
    gan.images_shown = 80
    one, other = filmed("one"), filmed("other")
    for again in (one, other, other):
        again.evaluate(gan, 20)
    assert (len(find(one.folder)), len(find(other.folder))) == (1, 1)
    for name in ("samples/film-000000020.npz", NEIGHBOURS):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()


def test_an_image_that_is_not_finite_ends_the_run_and_leaves_no_frame(gan, filmed):
    with torch.no_grad():
        next(gan.other_ema.parameters()).fill_(torch.nan)
    one = filmed(arms={"raw": "orig"})
    one.arms.arms = {"raw": "other_ema"}
    one.measured = filmed(arms={"raw": "orig"}).measured
    with pytest.raises(Diverged, match="a generated image"):
        one.evaluate(gan, 7)
    assert find(one.folder) == []


def test_neighbours_are_looked_for_at_the_end_alone(gan, filmed):
    one = filmed()
    gan.images_shown = 76
    one.evaluate(gan, 19)
    assert not (one.folder / NEIGHBOURS).exists()
    gan.images_shown = 80
    one.evaluate(gan, 20)
    assert (one.folder / NEIGHBOURS).exists()


@pytest.mark.parametrize("shown", [8, 80])  # at 4 px and at 8 px
def test_neighbours_are_those_of_all_pairs_in_float64(gan, filmed, real, shown):
    gan.images_shown = shown
    one = filmed(total=shown)
    values = one.evaluate(gan, 20)
    found = read_neighbours(one.folder)
    assert values[f"{FID}/{found.arm}"] == min(values[f"{FID}/{arm}"] for arm in ARMS)
    assert (found.chosen_by, found.extractor) == (FID, "digits-cnn")
    latents = gan.latents(16, generator(0, "film latents"))[:8]
    images = to_uint8(gan.draw(gan.networks()[ARMS[found.arm]], latents))
    large = images.repeat_interleave(8 // images.shape[-1], 2).repeat_interleave(
        8 // images.shape[-1], 3
    )
    assert (found.samples == large.permute(0, 2, 3, 1).numpy()).all()
    look = one.arms.extractor
    theirs = look(torch.from_numpy(np.array(real.scales[8]))).features.double().numpy()
    ours = look(large).features.double().numpy()
    distances = np.sqrt(((ours[:, None] - theirs[None]) ** 2).sum(-1))
    nearest = distances.argsort(1, kind="stable")[:, :3]
    assert (found.indices == nearest).all()
    # float32 features depend a little on the batch that they were looked at in.
    np.testing.assert_allclose(
        found.distances, np.take_along_axis(distances, nearest, 1), rtol=1e-5
    )
    assert (found.images == real.scales[8][nearest].transpose(0, 1, 3, 4, 2)).all()
    between = np.sqrt(((theirs[:, None] - theirs[None]) ** 2).sum(-1))
    np.fill_diagonal(between, np.inf)
    assert found.real_count == 500
    chosen = np.linspace(0, 599, 500).round().astype(int)
    assert found.real_median == pytest.approx(np.median(between.min(1)[chosen]), rel=1e-5)


def test_neighbours_do_not_depend_on_the_size_of_batches(gan, filmed):
    gan.images_shown = 80
    files = []
    for size in (60, 7, 500):
        one = filmed(f"batch{size}", batch_size=size)
        one.evaluate(gan, 20)
        files.append((one.folder / NEIGHBOURS).read_bytes())
    assert files[0] == files[1] == files[2]


def test_a_copy_of_a_real_image_is_seen(filmed, real):
    one = filmed()
    copies = torch.from_numpy(np.array(real.scales[8][[30, 31]]))
    found = one._near(one.arms, copies, "raw", "")
    assert found.indices[:, 0].tolist() == [30, 31]
    assert (found.distances[:, 0] / found.real_median < 1e-4).all()
    assert (found.distances[:, 1] / found.real_median > 0.3).all()


@pytest.mark.parametrize(
    ("metrics", "values", "wanted"),
    [
        (("fid", "is"), {"raw": 3.0, "copy": 2.0, "other": 2.5}, ("copy", FID)),
        (("is", "fid"), {"raw": 3.0, "copy": 2.0, "other": 2.5}, ("raw", "is[digits-cnn]")),
        (("ms_ssim", "fid"), {"raw": 2.0, "copy": 2.0, "other": 2.0}, ("raw", FID)),
        (("ms_ssim",), {"raw": 0.1, "copy": 0.2, "other": 0.3}, ("copy", "")),
    ],
)
def test_the_arm_is_the_best_in_the_first_metric_with_a_direction(metrics, values, wanted):
    settings = Evaluate(every_kimg=1, extractor="digits-cnn", fake_images=60, metrics=metrics)
    named = {f"{settings.quantity(m)}/{arm}": v for m in metrics for arm, v in values.items()}
    assert best_arm(list(values), named, settings) == wanted


def test_raw_alone_is_the_arm_where_nothing_has_a_direction():
    settings = Evaluate(every_kimg=1, extractor="digits-cnn", fake_images=9, metrics=("ms_ssim",))
    assert best_arm(["raw"], {"ms_ssim/raw": 0.5}, settings) == ("raw", "")


def test_a_run_keeps_a_frame_of_each_evaluation_within_its_clock(tmp_path, cache):
    (run,) = expand(
        "test", "quick", validated(content(**SHORT | {"evaluate__every_kimg": 0.06}))
    ).runs
    keeper, _, _ = attempt(run, tmp_path / "run", cache)
    assert [path.name for path in find(tmp_path / "run")] == [
        *("film-000000003.npz", "film-000000006.npz")
    ]
    rows = keeper.folder.rows()
    kept = [read_frame(path) for path in find(tmp_path / "run")]
    assert [frame.kimg for frame in kept] == sorted({r.kimg for r in rows if r.arm == "m0.1"})
    assert read_neighbours(tmp_path / "run").arm in {"raw", "m0.1"}
    assert any("film-000000003" in name for name in left(keeper))


def test_an_image_shows_each_scale_as_large_as_it_is_and_has_no_neighbours(tmp_path):
    run, folder = singan_run(tmp_path)
    sizes = run.spec.pyramid.sizes
    kept = [read_frame(path) for path in find(folder.path)]
    assert [frame.arms["raw"].shape for frame in kept] == [(16, *size, 3) for size in sizes]
    assert all(list(frame.arms) == ["raw", "m0.5"] for frame in kept)
    assert not (folder.path / film.NEIGHBOURS).exists()
