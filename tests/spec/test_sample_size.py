"""Sets of images that are too small for FID, and the counts that this is judged by."""

import numpy as np
import pytest
from small_spec import plan, spec

from harness.data import DataSource
from harness.data.prepare import prepare
from harness.errors import SpecError
from harness.metrics.digits_cnn import DigitsExtractor
from harness.metrics.features import EXTRACTORS
from harness.metrics.inception import InceptionExtractor
from harness.metrics.random_conv import RandomConvExtractor
from harness.plan.remarks import fresh, warnings
from harness.spec.sample_size import TooFew, too_few
from harness.spec.vocabulary import FEATURES, NATIVE_IMAGES, NATIVE_RESOLUTION

INCEPTION = {
    "data": {"type": "cifar10"},
    "evaluate__extractor": "inception-v3-compat",
}


def test_features_are_those_of_the_extractors():
    kinds = (DigitsExtractor, InceptionExtractor, RandomConvExtractor)
    assert tuple(FEATURES) == EXTRACTORS
    assert set(FEATURES.values()) == {kind.num_features for kind in kinds}
    assert FEATURES["digits-cnn"] == DigitsExtractor.num_features
    assert FEATURES["inception-v3-compat"] == InceptionExtractor.num_features
    assert FEATURES["random-conv-64"] == RandomConvExtractor.num_features


def test_real_images_are_as_many_as_the_sets_have(tmp_path):
    real = prepare(DataSource(type="digits", resolution=8), (8,), tmp_path)
    assert NATIVE_IMAGES["digits"] == len(np.array(real.scales[8]))
    assert NATIVE_IMAGES.keys() == NATIVE_RESOLUTION.keys()


@pytest.mark.parametrize(("images", "few"), [(2047, True), (2048, True), (2049, False)])
def test_generated_images_have_to_be_more_than_the_features(images, few):
    found = too_few(spec(**INCEPTION, evaluate__fake_images=images))
    assert found == ((TooFew("generated", images, 2048, "inception-v3-compat"),) if few else ())


def test_real_images_have_to_be_more_too():
    digits = too_few(spec(evaluate__fake_images=5000, evaluate__extractor="inception-v3-compat"))
    assert digits == (TooFew("real", 1797, 2048, "inception-v3-compat"),)
    assert too_few(spec()) == ()
    assert too_few(spec(data__max_images=64))[0].images == 64
    assert too_few(spec(data__max_images=65)) == ()


def test_a_folder_s_images_are_known_by_its_limit_or_by_who_counted_them():
    folder = {"data": {"type": "image_folder", "root": "somewhere"}}
    assert too_few(spec(**folder)) == ()
    assert [few.which for few in too_few(spec(**folder), real_images=60)] == ["real"]
    folder["data"]["max_images"] = 50
    assert [few.images for few in too_few(spec(**folder))] == [50]
    assert too_few(spec(**folder), real_images=65) == ()


def test_other_metrics_need_no_covariance():
    assert too_few(spec(evaluate__metrics=["kid"], evaluate__kid_subset_size=9)) == ()


def test_the_plan_warns_of_each_set_once():
    few = plan(data__max_images=30, evaluate__fake_images=40)
    generated, real = warnings(few)
    assert generated == (
        "  warning    FID of 40 generated images, which is not more than the 64 features of "
        "digits-cnn: their covariance is singular and FID is far off; raise evaluate.fake_images, "
        "or read KID, which needs no covariance."
    )
    assert "FID of 30 real images" in real
    assert warnings(plan()) == []
    factors = {"data.max_images": {"small": 20, "smaller": 10, "all": None}}
    assert len(warnings(plan(factors=factors))) == 2


def test_the_plan_says_what_is_measured_on_fresh_latents():
    assert fresh(plan()) == ""
    assert fresh(plan(evaluate__fresh=4)).startswith(", on 4 more sets of latents")


@pytest.mark.parametrize("count", [0, -1, 1.5, "many"])
def test_a_count_of_sets_is_a_whole_number_from_one_on(count):
    with pytest.raises(SpecError, match=r"^evaluate\.fresh: "):
        spec(evaluate__fresh=count)


def test_extrapolating_needs_four_images_a_feature():
    fields = {"evaluate__metrics": ["fid_inf"], "evaluate__fake_images": 255}
    with pytest.raises(SpecError, match="255 is too few for fid_inf: at least 256, 4 a feature"):
        spec(**fields)
    assert spec(**fields | {"evaluate__fake_images": 256})
