"""Values, defaults and ranges; the published JSON schema says the same ranges."""

import math
from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError
from small_spec import content, spec

from harness.spec import ranges
from harness.spec.load import validated
from harness.spec.schema import Ema, Extractor, Spec
from harness.spec.yaml_text import dump, parse

LIMITS = {
    "Fraction": (0, 1, False, False),
    "Share": (0, 1, True, True),
    "Beta": (0, 1, True, False),
    "Positive": (0, None, False, None),
    "NotNegative": (0, None, True, None),
    "Kimg": (0.001, 1e9, True, True),
    "KimgOrZero": (0, 1e9, True, True),
    "RelativeWidth": (0, 12**-0.5, False, True),
    "Count": (1, 2**31 - 1, True, True),
    "Natural": (0, 2**31 - 1, True, True),
    "Interval": (-1, 2**31 - 1, True, True),
    "Seed": (0, 2**63 - 1, True, True),
    "Scale": (4, 1024, True, True),
}


def accepts(kind, value):
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", LIMITS)
def test_ranges_are_open_and_closed_where_they_say(name):
    low, high, low_in, high_in = LIMITS[name]
    kind = getattr(ranges, name)
    whole = get_args(kind)[0] is int
    assert accepts(kind, low) is low_in
    assert not accepts(kind, low - 1 if whole else math.nextafter(low, -math.inf))
    if high is not None:
        assert accepts(kind, high) is high_in
        assert not accepts(kind, high + 1 if whole else math.nextafter(high, math.inf))
    published = TypeAdapter(kind).json_schema()
    assert published.get("minimum" if low_in else "exclusiveMinimum") == low
    if name != "Seed":  # 2^63 - 1 is no number of JavaScript's
        assert published.get("maximum" if high_in else "exclusiveMaximum") == high


@pytest.mark.parametrize("value", [True, "3", None, [], "abc", float("nan")])
def test_what_is_no_number_is_not_taken_for_one(value):
    for name in LIMITS.keys() - {"Scale"}:
        assert not accepts(getattr(ranges, name), value)


def test_nought_is_not_an_interval_and_six_is_not_a_scale():
    assert not accepts(ranges.Interval, 0)
    assert not accepts(ranges.Scale, 6)


def test_a_spec_cannot_be_changed():
    with pytest.raises(ValidationError):
        spec().seeds = (3,)


def test_a_dumped_spec_reads_back_the_same():
    whole = spec(
        factors={"train.optimizer.lr": {"1e-3": 1e-3, "off": 2e-8}, "reduce_lr": {"none": None}},
        hooks=[{"type": "VisualizationHook", "vis_kwargs_list": {"type": "GAN", "name": "010"}}],
        train__lr_per_scale={8: 0.1},
    )
    assert validated(parse(dump(whole.model_dump(mode="json")))[0]) == whole


def test_the_paper_s_rates_are_the_defaults():
    optimizer, loss = spec().train.optimizer, spec().train.loss
    assert (optimizer.lr, optimizer.betas, optimizer.eps) == (0.001, (0.0, 0.99), 1e-8)
    assert (loss.penalty_weight, loss.drift_weight, loss.drift) == (10.0, 0.001, "real")


def test_an_extractor_s_name_stands_for_its_defaults():
    assert spec().evaluate.extractor_spec == Extractor(type="digits-cnn")
    assert spec(evaluate__extractor={"type": "digits-cnn"}).evaluate.extractor_spec == Extractor(
        type="digits-cnn"
    )


@pytest.mark.parametrize(
    ("ema", "expected"),
    [
        ({"interp_cfg": {"momentum": 0.25}}, {"momentum": 0.25}),
        ({"interp_cfg": {"decay": 0.75}}, {"momentum": 0.25}),
        ({"interp_cfg": {"half_life_kimg": 0.02}}, {"momentum": 0.5}),
        ({"interp_cfg": {"half_life_kimg": 0.02}, "interval": 2}, {"momentum": 0.75}),
        ({"interp_cfg": {"half_life_kimg": 0.02}, "interval": -1}, {"momentum": 0.5}),
        (
            {"interp_mode": "ramp", "interp_cfg": {"half_life_kimg": 2, "rampup": 0.1}},
            {"half_life_kimg": 2, "rampup": 0.1},
        ),
        ({"interp_mode": "uniform"}, {}),
    ],
)
def test_an_average_s_settings_as_the_hook_takes_them(ema, expected):
    """A batch of 20: a half-life of 20 images is one update."""
    assert Ema.model_validate(ema).hook_cfg(20) == pytest.approx(expected)


def test_images_are_whole():
    assert spec(train__kimg=0.6004).total_images == 600
    assert spec().growth.images == (200, 400)


def test_the_schema_names_every_section_and_refuses_unknown_fields():
    published = Spec.model_json_schema()
    assert published["additionalProperties"] is False
    assert set(published["properties"]) == set(content()) | {"factors", "hooks"}
