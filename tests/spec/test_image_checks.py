"""A question on one image: what it may ask, and what is wrong with the image it names."""

import pytest
from PIL import Image

from harness.errors import SpecError
from harness.spec.load import apply_override, validated
from harness.spec.schema import Spec
from harness.spec.yaml_text import parse

TEXT = """\
question: Does an average of SinGAN's weights help?
model: {type: SinGAN, max_size: 100}
data: {type: image, root: "shipped:coffee"}
train: {}
evaluate: {every_kimg: 6, extractor: random-conv-64, fake_images: 8, metrics: [sifid, diversity]}
seeds: [0]
"""


def spec(**fields) -> Spec:
    content = parse(TEXT)[0]
    for name, value in fields.items():
        content = apply_override(content, name.replace("__", "."), value)
    return validated(content)


def problems(**fields):
    with pytest.raises(SpecError) as caught:
        spec(**fields)
    return list(caught.value.problems)


def test_the_schedule_follows_from_the_image():
    one = spec()
    assert one.growth.scales == one.pyramid.scales
    assert one.growth.scales[-1] == 100
    assert one.total_images == 2000 * 3 * len(one.growth.scales)
    assert one.growth.iterations(one.total_images) == 2000 * len(one.growth.scales)


def test_mmagics_form_keeps_the_image_s_size():
    assert spec(model__paper_form=False).growth.scales[-1] == 600


def test_an_unknown_shipped_image_is_named_with_the_known_ones():
    (problem,) = problems(data__root="shipped:tea")
    assert problem.startswith("data.root: no image 'tea' is shipped; known are astronaut, ")


def test_an_image_too_small_for_the_pyramid_is_refused_in_one_line(tmp_path):
    Image.new("RGB", (90, 24)).save(tmp_path / "a.png")
    (problem,) = problems(data__root=str(tmp_path / "a.png"))
    assert problem.startswith("model.min_size: 25 is not in (0, 24), for an image of 90 x 24 px")
    assert "take a larger image" in problem


def test_a_spec_can_be_read_where_its_image_is_not():
    assert spec(data__root="elsewhere/fish.jpg").data.root == "elsewhere/fish.jpg"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"evaluate__metrics": ["sifid", "fid"]},
            "evaluate.metrics.1: 'fid' compares sets of images: SinGAN, which has one, takes "
            "diversity, sifid",
        ),
        (
            {"data__crop": "center"},
            "data.crop: is for sets of images, not for data.type image: leave it out",
        ),
        (
            {"evaluate__fake_images": 1},
            "evaluate.fake_images: 1 has no diversity: give at least 2",
        ),
        (
            {"evaluate__extractor": {"type": "random-conv-64", "weights": "a.pth"}},
            "evaluate.extractor.weights: random-conv-64 is untrained and takes none",
        ),
    ],
)
def test_what_one_image_cannot_be_asked_is_refused(fields, problem):
    assert problem in problems(**fields)


def test_a_set_of_images_has_no_sifid():
    from small_spec import content

    found = content(evaluate__metrics=["sifid"], evaluate__extractor="random-conv-64")
    with pytest.raises(
        SpecError, match="'sifid' compares samples with one image: it is for SinGAN"
    ):
        validated(found)
