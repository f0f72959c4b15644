import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from harness.errors import DataError, SpecError
from harness.metrics.density_coverage import density_coverage
from harness.metrics.digits_cnn import digits_split
from harness.metrics.evaluation import METRICS, Evaluation, neighbours, quantity
from harness.metrics.extractor import Features
from harness.metrics.features import load_extractor
from harness.metrics.ms_ssim import consecutive_pairs, ms_ssim
from harness.metrics.precision_recall import precision_recall
from harness.metrics.reference import EXTRACT_BATCH, Reference, load_reference

DIGITS_CNN = load_extractor("digits-cnn")
OF_BALLS = ("precision", "recall", "density", "coverage")
OF_DIGITS = ("fid", "is", "kid", "ms_ssim")


class Corners:
    """The digits' extractor on a corner of larger images, which swd needs."""

    name = "corners"
    digest = "c" * 64
    device = torch.device("cpu")
    num_features, num_classes = 64, 10

    def __call__(self, images: Tensor) -> Features:
        return DIGITS_CNN(images[..., :8, :8])


@pytest.fixture(scope="module")
def real() -> Tensor:
    return torch.cat([images for images, _ in digits_split()])


@pytest.fixture(scope="module")
def reference(real: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("cache")
    return load_reference(real, DIGITS_CNN, cache_dir=folder, neighbours=neighbours(OF_BALLS))


@pytest.fixture(scope="module")
def corners(real: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    large = real[:300].repeat(1, 1, 4, 4)
    folder = tmp_path_factory.mktemp("cache")
    return load_reference(large, Corners(), cache_dir=folder, swd_images=20, neighbours=5)


def noisy(images: Tensor, deviation: float) -> Tensor:
    draws = torch.Generator().manual_seed(0)
    disturbed = images + deviation * torch.randn(images.shape, generator=draws)
    return disturbed.round().clamp(0, 255).to(torch.uint8)


def scores(
    images: Tensor,
    reference: Reference,
    sizes: int | list[int] = 500,
    metrics: tuple[str, ...] = OF_DIGITS,
) -> dict[str, float]:
    evaluation = Evaluation(
        metrics, reference=reference, extractor=DIGITS_CNN, kid_subsets=10, kid_subset_size=500
    )
    for batch in images.split(sizes):
        evaluation.update(batch)
    return evaluation.compute()


class Images(Dataset[Tensor]):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


class Wrapped(FeatureExtractorBase):
    """The digits' extractor in torch-fidelity; in float64, for its own sums to be exact."""

    def __init__(self, name: str, features_list: list[str], **settings: object) -> None:
        super().__init__(name, features_list)  # every setting of the metrics is passed along

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        seen = DIGITS_CNN(images)._asdict()
        return tuple(seen[name].double() for name in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"


def test_agrees_with_torch_fidelity(real: Tensor, reference: Reference) -> None:
    if "wrapped" not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor("wrapped", Wrapped)
    fake = noisy(real, 30)[:1203]
    ours = scores(fake, reference)
    theirs = calculate_metrics(
        input1=Images(fake),
        input2=Images(real),
        isc=True,
        fid=True,
        kid=True,
        feature_extractor="wrapped",
        kid_subsets=10,
        kid_subset_size=500,
        batch_size=EXTRACT_BATCH,
        cuda=False,
        cache=False,
        save_cpu_ram=True,  # no worker processes
        verbose=False,
    )
    assert ours["fid[digits-cnn]"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-9)
    assert ours["is[digits-cnn]"] == pytest.approx(theirs["inception_score_mean"], rel=1e-9)
    assert ours["kid[digits-cnn]"] == pytest.approx(
        theirs["kernel_inception_distance_mean"], rel=1e-9
    )


def test_the_usual_kid_protocol_is_torch_fidelitys() -> None:
    defaults = inspect.signature(Evaluation).parameters
    assert defaults["kid_subsets"].default == 100
    assert defaults["kid_subset_size"].default == 1000
    assert defaults["seed"].default == 2020


def test_the_same_bits_for_any_batch_size(real: Tensor, reference: Reference) -> None:
    fake = noisy(real, 20)[:701]
    every = (*OF_DIGITS, *OF_BALLS)
    whole = scores(fake, reference, 701, every)
    assert whole == scores(fake, reference, 37, every)
    assert whole == scores(fake, reference, [1, 249, 1, 0, 450], every)


def test_swd_does_not_depend_on_the_batch_size_either(real: Tensor, corners: Reference) -> None:
    fake = noisy(real[300:400].repeat(1, 1, 4, 4), 10)
    found = []
    for size in (100, 7):
        evaluation = Evaluation(["swd"], reference=corners, extractor=Corners())
        for batch in fake.split(size):
            evaluation.update(batch)
        found.append(evaluation.compute())
    assert found[0] == found[1]
    assert 0 < found[0]["swd"] < 1000


def test_real_images_reach_the_reference(real: Tensor, reference: Reference) -> None:
    found = scores(real, reference)
    assert abs(found["fid[digits-cnn]"]) < 1e-8
    assert found["is[digits-cnn]"] == pytest.approx(reference.inception_score, rel=1e-12)
    assert found["kid[digits-cnn]"] < 0.05 * scores(noisy(real, 60), reference)["kid[digits-cnn]"]


def test_noisier_images_score_worse(real: Tensor, reference: Reference) -> None:
    found = [scores(noisy(real, deviation), reference) for deviation in (10, 40, 120)]
    for name, worse in (("fid", 1), ("kid", 1), ("is", -1)):
        values = [worse * each[f"{name}[digits-cnn]"] for each in found]
        assert values == sorted(values)


def test_ms_ssim_pairs_neighbours_over_all_batches(real: Tensor, reference: Reference) -> None:
    fake = real[:601]
    expected = float(ms_ssim(*consecutive_pairs(fake)).mean())
    assert scores(fake, reference, 99)["ms_ssim"] == pytest.approx(expected, rel=1e-12)


def test_all_metrics_in_one_pass(real: Tensor, corners: Reference) -> None:
    looked = []

    class Counting(Corners):
        def __call__(self, images: Tensor) -> Features:
            looked.append(len(images))
            return super().__call__(images)

    evaluation = Evaluation(
        METRICS, reference=corners, extractor=Counting(), kid_subsets=2, kid_subset_size=50
    )
    evaluation.update(real[300:720].repeat(1, 1, 4, 4))
    found = evaluation.compute()
    assert list(found) == [
        *("fid[corners]", "fid_inf[corners]", "is[corners]", "kid[corners]", "swd", "ms_ssim"),
        *("precision[corners]", "recall[corners]", "density[corners]", "coverage[corners]"),
    ]
    assert np.isfinite(list(found.values())).all()
    assert looked == [250, 170]


def test_balls_are_those_of_3_and_of_5_neighbours(real: Tensor, reference: Reference) -> None:
    fake = noisy(real, 40)[:700]
    found = scores(fake, reference, 37, OF_BALLS)
    seen = torch.cat([DIGITS_CNN(batch).features for batch in fake.split(EXTRACT_BATCH)])
    three = precision_recall(seen, reference.features, k=3)
    five = density_coverage(seen, reference.features, k=5)
    expected = dict(zip(OF_BALLS, [*three, *five], strict=True))
    assert {name: found[f"{name}[digits-cnn]"] for name in OF_BALLS} == expected
    assert len(set(expected.values())) == 4
    assert min(expected.values()) > 0


def test_metrics_of_balls_change_no_other_and_are_changed_by_none(
    real: Tensor, reference: Reference
) -> None:
    fake, whole = noisy(real, 20)[:501], {}
    for metrics in (("fid", "is"), OF_BALLS, ("density",)):
        evaluation = Evaluation(metrics, reference=reference, extractor=DIGITS_CNN)
        evaluation.update(fake)
        whole |= (found := evaluation.compute())
        assert list(found) == [quantity(name, "digits-cnn") for name in metrics]
    together = scores(fake, reference, metrics=(*OF_DIGITS, *OF_BALLS))
    assert whole == {name: together[name] for name in whole}


def test_only_metrics_of_balls_need_neighbours() -> None:
    assert [neighbours([name]) for name in METRICS] == [0] * 6 + [5] * 4


def test_a_reference_without_neighbours_is_refused(real: Tensor, tmp_path: Path) -> None:
    plain = load_reference(real[:100], DIGITS_CNN, cache_dir=tmp_path)
    with pytest.raises(SpecError, match="make the reference with neighbours=5"):
        Evaluation(["fid", "coverage"], reference=plain, extractor=DIGITS_CNN)
    assert Evaluation(["fid"], reference=plain, extractor=DIGITS_CNN)


def test_full_names_state_the_protocol() -> None:
    assert quantity("fid", "digits-cnn") == "fid[digits-cnn]"
    assert quantity("swd", "digits-cnn") == "swd"


def test_all_problems_of_a_request_are_told_at_once(reference: Reference) -> None:
    with pytest.raises(SpecError) as caught:
        Evaluation(
            ["lpips", "swd", "kid"],
            reference=reference,
            extractor=Corners(),
            kid_subset_size=5000,
        )
    problems = caught.value.problems
    assert len(problems) == 4
    for part, problem in zip(["lpips", "digits-cnn", "swd", "5000"], problems, strict=True):
        assert part in problem


@pytest.mark.parametrize("metric", [*OF_DIGITS, *OF_BALLS])
def test_no_images_give_no_score(metric: str, reference: Reference) -> None:
    with pytest.raises(DataError):
        Evaluation([metric], reference=reference, extractor=DIGITS_CNN).compute()


def test_swd_wants_as_many_fake_as_real_images(real: Tensor, corners: Reference) -> None:
    evaluation = Evaluation(["swd"], reference=corners, extractor=Corners())
    evaluation.update(real[:19].repeat(1, 1, 4, 4))
    with pytest.raises(DataError, match="20 fake with 20 real images, got 19"):
        evaluation.compute()


def test_float_images_are_refused(reference: Reference) -> None:
    evaluation = Evaluation(["fid"], reference=reference, extractor=DIGITS_CNN)
    with pytest.raises(DataError, match="convert with to_uint8"):
        evaluation.update(torch.zeros(2, 3, 8, 8))
