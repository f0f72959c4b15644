"""A metric's name states its protocol, and models refuse what they have no latents or codes for."""

import pytest
from PIL import Image
from small_spec import content

from harness.errors import SpecError
from harness.plan.expand import expand
from harness.spec.checks import metric_names
from harness.spec.load import validated


def problems(**fields):
    with pytest.raises(SpecError) as caught:
        validated(content(**fields))
    return list(caught.value.problems)


STYLED = {
    "model": {
        "type": "StyleGAN2",
        "out_scale": 16,
        "base_channels": 32,
    },
    "data": {"type": "cifar10"},
    "evaluate__extractor": "inception-v3-compat",
    "evaluate__metrics": ["fid", "swd", "recall", "ppl_z", "ppl_w"],
}


def test_names_say_what_looks_and_how_far_codes_are_truncated():
    eyes = "inception-v3-compat"
    paths = [f"ppl_z[{eyes}]", f"ppl_w[{eyes}]"]
    plain = [f"fid[{eyes}]", "swd", f"recall[{eyes}]", *paths]
    for fields in ({}, {"evaluate__truncation": 1}, {"evaluate__ppl_pairs": 20}):
        assert metric_names(validated(content(**STYLED, **fields))) == plain
    said = f"[{eyes};truncation=0.7]"
    truncated = metric_names(validated(content(**STYLED, evaluate__truncation=0.7)))
    assert truncated == [f"fid{said}", "swd[truncation=0.7]", f"recall{said}", *paths]
    files = {"weights": "a.pth", "vgg16_weights": "b.pth"}
    seen = metric_names(validated(content(**STYLED, evaluate__lpips=files)))
    assert seen == [*plain[:3], "ppl_z[lpips-vgg16]", "ppl_w[lpips-vgg16]"]


def test_a_truncated_metric_is_watched_under_its_full_name():
    watched = "fid[inception-v3-compat;truncation=0.7]/raw"
    rule = {"val_metric": watched, "scheduler": {"patience": 0}}
    factors = {"reduce_lr": {"a": rule}}
    assert validated(content(**STYLED, evaluate__truncation=0.7, factors=factors))
    assert watched.replace("0.7", "0.5") not in problems(**STYLED, factors=factors)[0]


def test_a_model_of_one_image_has_no_paths(tmp_path):
    path = tmp_path / "image.png"
    Image.new("RGB", (60, 40)).save(path)
    one = {
        "model": {"type": "SinGAN", "max_size": 50},
        "data": {"type": "image", "root": str(path)},
    }
    found = problems(
        **one,
        train={},
        evaluate__metrics=["ppl_z", "ppl_w"],
        evaluate__extractor="inception-v3-compat",
        evaluate__truncation=0.5,
    )
    assert {problem for problem in found if "SinGAN has" in problem} == {
        "evaluate.truncation: is of style codes, SinGAN has none: leave it out",
        "evaluate.metrics: ppl_w walks between style codes, SinGAN has none: leave it out",
        "evaluate.metrics: ppl_z walks between latents, SinGAN has maps of noise: leave it out",
    }


def test_what_is_not_given_leaves_no_trace_in_a_runs_settings():
    settings = expand("q", "quick", validated(content())).runs[0].settings["evaluate"]
    assert not {"truncation", "ppl_pairs", "lpips"} & settings.keys()
