"""A run's protocols: every fact that decides a number moves its fingerprint, and nothing else."""

import copy
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from keepers import keeper_of
from PIL import Image
from resuming import SHORT, attempt
from small_spec import content
from tiny_gan import tiny_gan
from tiny_singan import singan_spec
from tiny_stylegan2 import tiny_stylegan2

from harness.data import DataSource, digest
from harness.data.photograph import prepare as photograph
from harness.data.prepare import Prepared, prepare
from harness.engine.build import train
from harness.engine.evaluation import ArmsEvaluator
from harness.engine.families import gan
from harness.engine.protocols import protocols
from harness.engine.single_image import SingleImageEvaluator
from harness.errors import RecordsError
from harness.metrics import digits_cnn
from harness.metrics.statistics_file import write_statistics
from harness.plan.expand import expand
from harness.records.protocols import FILE, differing, read
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.spec.load import validated
from harness.spec.photographs import located
from harness.spec.schema import Evaluate, Fast

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
USUAL = {
    "every_kimg": 1,
    "extractor": "digits-cnn",
    "fake_images": 60,
    "metrics": ("fid", "is", "kid", "recall", "coverage", "ppl_z"),
    "kid_subsets": 3,
    "kid_subset_size": 40,
    "ppl_pairs": 30,
}
FID, IS, KID, RECALL, COVERAGE, PPL = (f"{name}[digits-cnn]" for name in USUAL["metrics"])
EVERY = {FID, IS, KID, RECALL, COVERAGE, PPL}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def real(cache):
    return prepare(DataSource(type="digits", resolution=8, max_images=600), (4, 8), cache / "data")


@pytest.fixture(scope="module")
def measured(real, cache):
    """Return what measures by the usual settings, but for some."""

    def made(images=real, arms=None, seed=0, **settings):
        asked = Evaluate(**(USUAL | settings))
        folder = cache / "reference"
        return ArmsEvaluator(asked, images, arms or {"raw": "orig"}, seed, CPU, folder)

    return made


@pytest.fixture(scope="module")
def usual(measured):
    return protocols(measured(), tiny_gan(), CPU, None)


def changed(usual, others):
    """Return the quantities whose fingerprints differ."""
    assert usual.keys() == others.keys()
    return {name for name in usual if usual[name].fingerprint != others[name].fingerprint}


def test_every_metric_has_its_facts(usual):
    assert set(usual) == EVERY
    facts = usual[FID].facts
    assert list(facts)[:2] == ["metric", "form"]
    expected = {
        "extractor": "digits-cnn",
        "extractor_sha256": digits_cnn.SHA256,
        "features": 64,
        "extractor_batch": 250,
        "real_images": 600,
        "real_px": 8,
        "fake_images": 60,
        "truncation": 1,
        "latents": "standard normal",
        "weights": "of the row's arm",
        "generator_dtype": "float32",
        "generator_tf32": "off",
    }
    assert {name: facts[name] for name in expected} == expected
    assert usual[KID].facts["kid_subset_size"] == 40
    assert (usual[RECALL].facts["k"], usual[COVERAGE].facts["k"]) == (3, 5)
    assert "real_sha256" not in usual[PPL].facts
    assert usual[PPL].facts["rounding"] == "none"


def test_the_digest_of_the_real_images_is_of_the_pixels_that_are_compared(usual, real):
    assert usual[FID].facts["real_sha256"] == digest(np.array(real.scales[8]))


@pytest.mark.parametrize(
    ("settings", "moved"),
    [
        ({"fake_images": 61}, EVERY - {PPL}),
        ({"kid_subsets": 4}, {KID}),
        ({"kid_subset_size": 39}, {KID}),
        ({"ppl_pairs": 31}, {PPL}),
        ({"batch_size": 7}, {PPL}),
        ({"every_kimg": 2, "first_kimg": 0.5}, set()),
        ({"truncation": 1.0}, set()),
        ({"seed": 9}, set()),
        ({"arms": {"raw": "orig", "mean": "mean_ema"}}, set()),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_move_the_metrics_that_they_decide(measured, usual, settings, moved):
    assert changed(usual, protocols(measured(**settings), tiny_gan(), CPU, None)) == moved


def edited(real: Prepared) -> Prepared:
    """Return the set with one pixel of one image changed by one level, as ``prepare`` gives it."""
    pixels = np.array(real.scales[8])
    pixels[17, 1, 3, 4] ^= 1
    return replace(real, digest=digest(pixels), scales={8: pixels})


def test_one_pixel_of_one_image_moves_what_is_compared_with_it(measured, usual, real):
    found = protocols(measured(edited(real)), tiny_gan(), CPU, None)
    assert changed(usual, found) == EVERY - {PPL}
    assert differing(usual[FID], found[FID]) == ["real_sha256"]


def test_fewer_images_and_where_they_lie(measured, usual, real, cache):
    source = DataSource(type="digits", resolution=8, max_images=599)
    fewer = prepare(source, (4, 8), cache / "data")
    found = protocols(measured(fewer), tiny_gan(), CPU, None)
    assert differing(usual[FID], found[FID]) == ["real_images", "real_sha256"]
    elsewhere = replace(real, name="a folder's name", skipped=("broken.png",))
    assert changed(usual, protocols(measured(elsewhere), tiny_gan(), CPU, None)) == set()


def test_another_file_of_weights_moves_what_looks_through_it(measured, usual, tmp_path):
    state = safetensors.torch.load_file(digits_cnn.WEIGHTS)
    state["hidden.bias"] += 1e-3
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file(state, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    extractor = {"type": "digits-cnn", "weights": str(path), "weights_sha256": sha256}
    found = protocols(measured(extractor=extractor), tiny_gan(), CPU, None)
    assert changed(usual, found) == EVERY
    assert differing(usual[FID], found[FID]) == ["extractor_sha256"]


def test_what_an_extractor_does_is_told_by_itself(measured, usual, monkeypatch):
    other = {**digits_cnn.DigitsExtractor.sight, "layer": "conv3"}
    monkeypatch.setattr(digits_cnn.DigitsExtractor, "sight", other)
    assert changed(usual, protocols(measured(), tiny_gan(), CPU, None)) == EVERY


def test_statistics_of_a_file_move_fid_alone(measured, usual, tmp_path):
    one = measured()
    write_statistics(tmp_path / "a.npz", one.reference.statistics, {"real_images": 600})
    metrics = ("fid", "is")
    plain = protocols(measured(metrics=metrics), tiny_gan(), CPU, None)
    path = str(tmp_path / "a.npz")
    given = protocols(measured(metrics=metrics, reference=path), tiny_gan(), CPU, None)
    assert changed(plain, given) == {FID}
    statistics = replace(one.reference.statistics, mean=one.reference.statistics.mean + 1e-12)
    write_statistics(tmp_path / "b.npz", statistics, {"real_images": 600})
    path = str(tmp_path / "b.npz")
    other = protocols(measured(metrics=metrics, reference=path), tiny_gan(), CPU, None)
    assert differing(given[FID], other[FID]) == ["reference_sha256"]


def test_tf32_and_precision_of_the_generator(measured, usual, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    off = protocols(measured(), tiny_gan(), CUDA, None)
    assert changed(usual, off) == set()  # a GPU is another kind of machine, no other protocol
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    on = protocols(measured(), tiny_gan(), CUDA, None)
    assert changed(usual, on) == EVERY
    assert differing(usual[FID], on[FID]) == ["generator_tf32"]
    assert changed(usual, protocols(measured(), tiny_gan(), CPU, None)) == set()
    assert changed(usual, protocols(measured(), tiny_gan().double(), CPU, None)) == EVERY


def test_faster_paths_that_images_are_drawn_by(measured, usual):
    def fast(**options):
        return changed(usual, protocols(measured(), tiny_gan(), CPU, Fast(**options)))

    assert fast() == fast(shared_pass=True) == set()
    assert fast(channels_last=True) == fast(written_gradients=True) == EVERY


def test_what_a_model_draws_from(measured, usual):
    styled = protocols(measured(), tiny_stylegan2(), CPU, None)
    assert changed(usual, styled) == EVERY - {PPL}
    assert differing(usual[FID], styled[FID]) == ["injected_noise"]


def test_truncation_is_no_part_of_path_lengths(measured):
    whole = protocols(measured(), tiny_stylegan2(), CPU, None)
    half = protocols(measured(truncation=0.5), tiny_stylegan2(), CPU, None)
    name = "fid[digits-cnn;truncation=0.5]"
    assert differing(whole[FID], half[name]) == ["truncation"]
    assert whole[PPL].fingerprint == half[PPL].fingerprint


# Models of one image.


def of_one_image(root="shipped:coffee", **settings):
    spec = singan_spec(**{f"evaluate__{name}": value for name, value in settings.items()})
    real = photograph(root, spec.pyramid)
    evaluator = SingleImageEvaluator(spec.evaluate, real, {"raw": "orig"}, 0, CPU)
    return protocols(evaluator, gan(spec, 0), CPU, None)


def test_samples_of_one_image_have_protocols_too(tmp_path):
    usual = of_one_image()
    name = "sifid[random-conv-64]"
    assert {name, "diversity"} < set(usual)
    assert differing(usual[name], usual["sifid_low[random-conv-64]"]) == ["over_samples"]
    assert changed(usual, of_one_image(fake_images=9)) == set(usual)
    assert changed(usual, of_one_image(batch_size=3)) == set()
    pixels = np.array(Image.open(located("shipped:coffee")))
    Image.fromarray(pixels).save(tmp_path / "same.png")
    assert changed(usual, of_one_image(str(tmp_path / "same.png"))) == set()
    pixels[:40, :40, 0] ^= 64
    Image.fromarray(pixels).save(tmp_path / "other.png")
    other = of_one_image(str(tmp_path / "other.png"))
    assert changed(usual, other) == set(usual)
    assert differing(usual["diversity"], other["diversity"]) == ["real_sha256"]


# Runs.


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    draws = np.random.default_rng(0)
    for index in range(24):
        pixels = draws.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
    return folder


def planned(images):
    data = {"type": "image_folder", "root": str(images)}
    return expand("test", "quick", validated(content(**SHORT, data=data))).runs[0]


class Watching(RunFolder):
    """Notes whether the protocols were on the disk before each append of rows."""

    def __init__(self, path):
        super().__init__(path)
        self.there = []

    def append(self, rows):
        self.there.append((self.path / FILE).is_file())
        super().append(rows)


def test_a_run_writes_its_protocols_before_its_first_row(images, tmp_path, cache):
    run, folder = planned(images), Watching(tmp_path / "run")
    folder.begin(run.settings, {})
    train(run, keeper_of(run, folder), CPU, cache)
    folder.end(Outcome(Status.FINISHED))
    assert folder.there
    assert all(folder.there)
    held = read(folder.path / FILE)
    assert {row.quantity for row in folder.rows() if "[" in row.quantity} == set(held) == {FID}
    assert held[FID].facts["real_images"] == 24


def test_a_resumed_run_is_refused_where_its_images_changed(images, tmp_path, cache):
    run, path = planned(images), tmp_path / "run"
    keeper, _, finished = attempt(run, path, cache, stop=4)
    assert not finished
    before = (path / FILE).read_bytes()
    kept = copy.copy((images / "03.png").read_bytes())
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(images / "03.png")
    with pytest.raises(RecordsError) as caught:
        attempt(run, path, cache)
    (line,) = caught.value.lines
    assert "the run would go on by another protocol: fid[digits-cnn]: real_sha256 is " in line
    assert (path / FILE).read_bytes() == before
    (images / "03.png").write_bytes(kept)
    assert attempt(run, path, cache)[2]
    assert keeper.folder.outcome().status is Status.FINISHED
