"""Every metric on a real Runner against the pure numbers; M-numbers are MMagic's faults."""

import hashlib
import shutil
import socket

import pytest
import torch
from drawn import Images, evaluation, grown_gan, loader, metric, styled_gan
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from harness.errors import DataError, SpecError, WeightsError
from harness.gen_metrics import InceptionScore
from harness.gen_metrics.batches import latents
from harness.images import to_uint8
from harness.metrics.digits_cnn import SHA256, WEIGHTS
from harness.metrics.features import load_extractor, upscale_to
from harness.metrics.fid import frechet_distance, statistics_of
from harness.metrics.inception import ENVIRONMENT_VARIABLE
from harness.metrics.inception_score import inception_score
from harness.metrics.kid import kid
from harness.metrics.ms_ssim import ms_ssim
from harness.metrics.path_length import path_ends
from harness.metrics.perceptual import load_distance
from harness.metrics.precision_recall import precision_recall
from harness.metrics.swd import patches, swd
from harness.registry import METRICS, register_all
from harness.seeding import generator

DIGITS = load_extractor("digits-cnn")
NAMES = {
    "FrechetInceptionDistance": ["FID", "FID-Full"],
    "InceptionScore": ["IS"],
    "KernelInceptionDistance": ["KID"],
    "SlicedWassersteinDistance": ["SWD"],
    "MultiScaleStructureSimilarity": ["MS_SSIM"],
    "PrecisionAndRecall": ["PR"],
    "PerceptualPathLength": ["PPL"],
}


@pytest.fixture(autouse=True)
def _registered():
    register_all()


def measured(make_runner, *metrics, gan=None, data=None):
    gan = gan or grown_gan()
    values = make_runner(**evaluation(gan, list(metrics), data)).val()
    return values, to_uint8(torch.cat(gan.answered))


def test_types_are_known_by_mmagics_names():
    for name, aliases in NAMES.items():
        assert all(METRICS.get(alias) is METRICS.get(name) for alias in aliases)
        assert METRICS.get(name).__name__ == name


def test_m2_m8_m15_feature_metrics_equal_the_pure_numbers_on_exactly_the_images(
    make_runner, tmp_path
):
    more = {"cache_dir": str(tmp_path)}
    given = (
        metric("FID", 30, real_nums=35, **more),
        metric("IS", 30, splits=3),
        metric("KID", 30, subsets=4, subset_size=20, **more),
        metric("PR", 30, k=2, row_batch_size=7, **more),
    )
    values, fake = measured(make_runner, *given)
    assert len(fake) == 30
    seen, real = DIGITS(fake), DIGITS(Images().images).features
    pr = precision_recall(seen.features, real, k=2)
    fid = frechet_distance(statistics_of(seen.features), statistics_of(real[:35]))
    assert values == pytest.approx(
        {
            "fid[digits-cnn]": fid,
            "is[digits-cnn]": inception_score(seen.logits, splits=3),
            "kid[digits-cnn]": kid(seen.features, real, subsets=4, subset_size=20),
            "precision[digits-cnn]": pr.precision,
            "recall[digits-cnn]": pr.recall,
        },
        rel=1e-5,
    )


def test_m2_a_metric_takes_its_own_number_from_a_longer_sampler(make_runner, tmp_path):
    short = metric("FID", 11, cache_dir=str(tmp_path))
    alone, _ = measured(make_runner, short, metric("MS_SSIM", 11))
    beside, fake = measured(make_runner, short, metric("MS_SSIM", 11), metric("IS", 29, splits=3))
    assert len(fake) == 29
    # Features depend a little, in float32, on the batch they are computed in.
    assert {name: beside[name] for name in alone} == pytest.approx(alone, rel=1e-6)


def test_m10_swd_is_the_pure_number_level_by_level(make_runner):
    gan = grown_gan()
    given = metric("SWD", 11, image_shape=(3, 32, 32), seed=3)
    values, fake = measured(make_runner, given, gan=gan, data=loader(side=32))
    fake, real = upscale_to(fake, 32), Images(40, 32).images[:11]
    expected = swd(
        patches(fake, generator(3, "fake patches 0")),
        patches(real, generator(3, "real patches")),
        generator(3, "swd directions"),
    )
    assert values == pytest.approx(
        {"swd/32": expected[0], "swd/16": expected[1], "swd/avg": sum(expected) / 2}, rel=1e-6
    )


@pytest.mark.parametrize("shown", [0, 4, 16])
def test_m10_images_below_the_final_scale_are_enlarged(make_runner, tmp_path, shown):
    gan = grown_gan(shown)
    values, _ = measured(
        make_runner, metric("FID", 12, cache_dir=str(tmp_path)), metric("MS_SSIM", 12), gan=gan
    )
    seen = DIGITS(to_uint8(torch.cat([upscale_to(images, 8) for images in gan.answered])))
    real = DIGITS(Images().images)
    expected = frechet_distance(statistics_of(seen.features), statistics_of(real.features))
    assert values["fid[digits-cnn]"] == pytest.approx(expected, rel=1e-5)


def test_m10_m11_what_cannot_be_compared_is_refused(make_runner):
    with pytest.raises(DataError, match=r"real images are \(3, 8, 8\), image_shape is"):
        measured(make_runner, metric("SWD", 4, image_shape=(3, 64, 64)))
    with pytest.raises(DataError, match="50 real images are wanted, the data set has 40"):
        measured(make_runner, metric("SWD", 50), data=loader(side=16))
    with pytest.raises(DataError, match="a pair needs 2"):
        measured(make_runner, metric("MS_SSIM", 1))


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_m11_pairs_go_over_odd_batches_and_images_are_rounded(make_runner, batch_size):
    data = loader(batch_size=batch_size)
    values, fake = measured(make_runner, metric("MS_SSIM", 11), data=data)
    expected = ms_ssim(fake[0:10:2], fake[1:10:2]).mean()
    assert values["ms-ssim/avg"] == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(("space", "sampling"), [("W", "end"), ("W", "full"), ("Z", "full")])
def test_m12_m13_path_length_equals_its_definition(make_runner, space, sampling):
    gan = styled_gan()
    given = {"space": space, "sampling": sampling, "epsilon": 0.01, "crop": False}
    values, _ = measured(make_runner, metric("PPL", 9, extractor="digits-cnn", **given), gan=gan)
    network, z = gan.generator, latents(18, 6, 0, "path latents")
    with torch.no_grad():
        ends = (network.style_mapping(z) if space == "W" else z).unflatten(0, (-1, 2))
        share = torch.rand(9, generator=generator(0, "path places"), dtype=torch.float64).float()
        share = share if sampling == "full" else torch.zeros(9)
        images = network(path_ends(ends, share, 0.01, space), input_is_latent=space == "W")
    lengths = load_distance("digits-cnn")(images[::2], images[1::2]) / 0.01**2
    assert values == {"ppl_score[digits-cnn]": pytest.approx(float(lengths.mean()), rel=1e-3)}


def test_m7_no_network_and_one_clear_error_at_construction(tmp_path, monkeypatch):
    def refused(*_):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "no.pth"))
    for kind in ("FID", "IS", "KID", "PR"):
        with pytest.raises(WeightsError, match=r"no\.pth.*nothing is downloaded"):
            METRICS.build({"type": kind, "fake_nums": 10, "inception_style": "StyleGAN"})
    with pytest.raises(WeightsError, match="nothing is downloaded"):
        METRICS.build({"type": "PPL", "fake_nums": 10})


def test_m7_every_metric_draws_from_the_average_unless_told(make_runner, tmp_path):
    for kind in ("FID", "IS", "KID", "SWD", "MS_SSIM", "PR"):
        assert METRICS.build(metric(kind)).sample_model == "ema"
    gan = grown_gan()
    gan.generator_ema = styled_gan().generator
    measured(
        make_runner,
        metric("MS_SSIM", 8),
        metric("MS_SSIM", 8, sample_model="orig", prefix="o"),
        gan=gan,
    )
    with torch.no_grad():
        noise = gan.asked[0]["inputs"]["noise"]
        torch.testing.assert_close(gan.answered[0], gan.generator_ema(noise))
        torch.testing.assert_close(gan.answered[1], gan.generator(noise, curr_scale=8))


class Untrained(FeatureExtractorInceptionV3):
    def load_state_dict(self, state_dict):
        """Keep the random weights that the layers start with."""


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save({}, path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Untrained("x", ["2048"], feature_extractor_weights_path=str(path))
    torch.save(network.state_dict(), path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_mmagics_arguments_name_inception_and_the_folder_of_its_features(
    make_runner, tmp_path, inception
):
    given = {
        "type": "FrechetInceptionDistance",
        "prefix": "FID-Full-50k",
        "fake_nums": 3,
        "inception_style": "StyleGAN",
        "inception_path": str(inception[0]),
        "weights_sha256": inception[1],
        "inception_pkl": str(tmp_path / "work" / "digits.pkl"),
        "sample_model": "ema",
    }
    values, _ = measured(make_runner, given, data=loader(4, 4))
    assert list(values) == ["FID-Full-50k/fid[inception-v3-compat]", "FID-Full-50k/fid"]
    assert len(set(values.values())) == 1
    assert [path.suffix for path in (tmp_path / "work").glob("inception*s")] == [".features"]


def test_m5_m7_what_inception_arguments_cannot_be():
    with pytest.raises(SpecError, match="inception_style is 'PyTorch': only StyleGAN"):
        METRICS.build(metric("FID", inception_style="PyTorch"))
    with pytest.raises(SpecError, match=r"inception_pkl is http.*give a local path"):
        METRICS.build(metric("FID", inception_pkl="http://x/y.pkl"))
    with pytest.raises(SpecError, match="unknown extractor 'vgg'"):
        METRICS.build(metric("FID", extractor="vgg"))


def test_m9_inception_score_has_a_whole_default_and_uses_every_image(make_runner):
    assert InceptionScore(extractor="digits-cnn").fake_nums == 50000
    assert isinstance(METRICS.build(metric("IS", 5e4)).fake_nums, int)
    values, fake = measured(make_runner, metric("IS", 23, splits=10))
    expected = inception_score(DIGITS(fake).logits, splits=10)
    assert values["is[digits-cnn]"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("wrong", [0, -1, 2.5])
def test_m9_numbers_of_images_that_are_none_are_refused(wrong):
    with pytest.raises(SpecError, match="give a whole number, 1 or more"):
        METRICS.build(metric("FID", wrong))


def test_m8_m3_images_that_are_not_finite_or_missing_are_one_clear_error(make_runner, tmp_path):
    gan = grown_gan()
    runner = make_runner(**evaluation(gan, metric("FID", 8, cache_dir=str(tmp_path))))
    fid = runner.val_evaluator.metrics[0]
    fid.prepare(gan, loader())
    with pytest.raises(DataError, match="0 of 8 generated images reached it"):
        fid.evaluate()
    with pytest.raises(DataError, match="NaN or infinite"):
        fid.process(None, {"fake_img": torch.full((2, 3, 8, 8), torch.nan)})
    fid.process(None, {"fake_img": torch.zeros(2, 3, 8, 8)})
    with pytest.raises(DataError, match="2 of 8"):
        fid.evaluate()
    # What was interrupted leaves nothing to the next evaluation.
    fid.process(None, {"fake_img": torch.zeros(2, 3, 8, 8)})
    assert runner.val()["fid[digits-cnn]"] == runner.val()["fid[digits-cnn]"]


def test_m14_collect_device_is_a_word_not_a_device(make_runner, tmp_path):
    given = metric("PR", 9, k=2, cache_dir=str(tmp_path))
    values, _ = measured(make_runner, given | {"collect_device": "gpu"})
    assert values == measured(make_runner, given)[0]
    with pytest.raises(SpecError, match="collect_device is 'cuda': give cpu or gpu"):
        METRICS.build(given | {"collect_device": "cuda"})


def test_m14_weights_given_by_path_are_those_that_are_read(tmp_path):
    copy = tmp_path / "copy.safetensors"
    shutil.copy(WEIGHTS, copy)
    METRICS.build(metric("PR", weights=str(copy), weights_sha256=SHA256))
    copy.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"copy\.safetensors have sha256"):
        METRICS.build(metric("PR", weights=str(copy), weights_sha256=SHA256.upper()))


def test_images_are_named_by_key_or_by_network():
    fid = METRICS.build(metric("FID", fake_key="other"))
    a, b = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    assert fid._selected({"fake_img": a, "other": b}) is b
    assert fid._selected({"orig": a, "ema": b}) is b
    assert fid._selected({"orig.other": a, "ema.other": b}) is b
    with pytest.raises(DataError, match="answer has orig, neither other nor ema: name one as"):
        fid._selected({"orig": a})
