"""Problems that only several fields together make, and that nothing but a Spec or they come out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_spec import RULE, TEXT, content

from harness.errors import SpecError
from harness.plan.expand import expand
from harness.plan.price import Place, price
from harness.spec.checks import metric_names
from harness.spec.load import apply_override, validated


def problems(**fields):
    with pytest.raises(SpecError) as caught:
        validated(content(**fields))
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"model__nkimgs_per_scale": {4: 1}},
            "model.nkimgs_per_scale: [4] has to name every scale up to out_scale: [4, 8]",
        ),
        (
            {"model__base_channels": 3},
            "model.base_channels: 3 is below 4: no channel is left at out_scale",
        ),
        ({"data": {"type": "zip"}}, "data.root: is missing: data.type zip needs the images' path"),
        (
            {"data__root": "a"},
            "data.root: is not used by data.type digits, which ships with scikit-learn",
        ),
        (
            {"train__batch_size": {16: 1}},
            "train.batch_size.16: is not a scale of the model; scales: 4, 8",
        ),
        (
            {"train__lr_per_scale": {32: 1}},
            "train.lr_per_scale.32: is not a scale of the model; scales: 4, 8",
        ),
        (
            {"evaluate__extractor": {"type": "digits-cnn", "weights": "a"}},
            "evaluate.extractor.weights: digits-cnn ships with its weights",
        ),
        (
            {"evaluate__metrics": ["swd"]},
            "evaluate.metrics: swd needs model.out_scale of at least 16",
        ),
        (
            {"evaluate__metrics": ["ms_ssim"]},
            "evaluate.metrics: ms_ssim needs model.out_scale of at least 16",
        ),
        (
            {"evaluate__metrics": ["fid", "ppl_w"]},
            "evaluate.metrics: ppl_w walks between style codes, PGGAN has none: leave it out",
        ),
        (
            {"evaluate__truncation": 0.7},
            "evaluate.truncation: is of style codes, PGGAN has none: leave it out",
        ),
        (
            {"evaluate__lpips": {"weights": "a.pth", "vgg16_weights": "b.pth"}},
            "evaluate.lpips: needs model.out_scale of at least 16",
        ),
        (
            {"evaluate__metrics": ["recall"], "evaluate__fake_images": 3},
            "evaluate.fake_images: precision and recall need at least 4",
        ),
        (
            {"evaluate__metrics": ["fid", "fid"]},
            "evaluate.metrics: ['fid', 'fid'] names a metric twice",
        ),
        (
            {"evaluate__metrics": ["kid"]},
            "evaluate.kid_subset_size: 1000 is above evaluate.fake_images 600",
        ),
        ({"evaluate__every_kimg": 2}, "evaluate.every_kimg: 2 is above train.kimg 0.6"),
        ({"seeds": [3, 3]}, "seeds: [3, 3] names a seed twice"),
        (
            {"observers__ema": {"raw": {}}},
            "observers.ema.raw: is not a name for a shadow: up to 40 letters, digits, '_', '-' and "
            "'.', first a letter or digit, not raw, real, run",
        ),
        (
            {"observers__ema": {"a": {"interp_mode": "uniform", "interp_cfg": {"power": 1}}}},
            "observers.ema.a.interp_cfg.power: interp_mode 'uniform' takes momentum_nontrainable",
        ),
        (
            {"observers__ema": {"a": {"interp_mode": "ramp"}}},
            "observers.ema.a.interp_cfg.half_life_kimg: is missing: interp_mode 'ramp' needs it",
        ),
        (
            {"observers__ema": {"a": {"interp_cfg": {"momentum": 0.1, "decay": 0.9}}}},
            "observers.ema.a.interp_cfg: momentum, decay and half_life_kimg are one setting: "
            "give one",
        ),
        (
            {"observers__ema": {"a": {"interp_cfg": {"half_life_kimg": 0.001}, "interval": 9}}},
            "observers.ema.a.interp_cfg: comes to a momentum of 1, not in (0, 1)",
        ),
        (
            {"observers__reduce_lr": {"a": RULE}},
            "observers.reduce_lr: a ReduceLR rule changes training: name it under factors",
        ),
        (
            {"factors": {"ema": {"a": {}}}},
            "factors.ema: does not change training: name it under observers, evaluate or hooks",
        ),
        (
            {"factors": {"evaluate.fake_images": {"a": 1}}},
            "factors.evaluate.fake_images: does not change training: name it under observers, "
            "evaluate or hooks",
        ),
        (
            {"factors": {"seeds": {"a": [1]}}},
            "factors.seeds: is not a factor: reduce_lr, or a path that begins with train, model or "
            "data",
        ),
        ({"factors": {"reduce_lr": {}}}, "factors.reduce_lr: has no levels"),
        (
            {"factors": {"train.kimgs": {"a": 1}}},
            "factors.train.kimgs.a: train.kimgs: is not a field; did you mean 'kimg'?; known: "
            "kimg, batch_size, optimizer, lr_per_scale, reset_optimizer_per_scale, loss, "
            "augment, fast, log_every_kimg",
        ),
        (
            {"factors": {"train.kimg.x": {"a": 1}}},
            "factors.train.kimg.x.a: train.kimg: 0.6 has no field 'x'",
        ),
        (
            {"factors": {"train.kimg": {"a": 1, "b": 0}}},
            "factors.train.kimg.b: train.kimg: 0 is not in [0.001, 1e9] thousand images",
        ),
        (
            {"factors": {"train.kimg": {"a b": 1}}},
            "factors.train.kimg.a b: is not a name for a level: up to 40 letters, digits, '_', '-' "
            "and '.', first a letter or digit",
        ),
        (
            {"factors": {"reduce_lr": {"a": RULE | {"val_metric": "fid[digits-cnn]/rwa"}}}},
            "factors.reduce_lr.a.val_metric: 'fid[digits-cnn]/rwa' is not METRIC/ARM with METRIC "
            "of fid[digits-cnn] and ARM of raw, m0.1; did you mean 'fid[digits-cnn]/raw'?",
        ),
        ({"factors": {"reduce_lr": {"a": 3}}}, "factors.reduce_lr.a: 3 is not a mapping of fields"),
        (
            {"factors": {"reduce_lr": {"a": RULE | {"scheduler": {"factor": 2}}}}},
            "factors.reduce_lr.a.scheduler.factor: 2 is not in (0, 1)",
        ),
        (
            {"hooks": [{"type": ["a"]}]},
            "hooks.0.type: ['a'] is not a hook; known: VisualizationHook, PickleDataHook",
        ),
        (
            {"hooks": [{"type": "ReduceLRSchedulerHook"}]},
            "hooks.0.type: ReduceLRSchedulerHook is not listed here: a ReduceLR rule changes "
            "training: name it under factors.reduce_lr",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_each_check(fields, problem):
    assert problems(**fields) == [problem]


def test_an_unknown_hook_argument_lists_the_known_ones():
    (problem,) = problems(hooks=[{"type": "VisualizationHook", "intervall": 3}])
    assert problem.startswith("hooks.0.intervall: is not an argument of VisualizationHook; known: ")
    assert "interval" in problem


def test_pixels_beyond_the_data_and_the_extractor_are_both_named():
    scales = {4: 1, 8: 1, 16: 1}
    assert problems(model__out_scale=16, model__nkimgs_per_scale=scales) == [
        "model.out_scale: 16 is above the 8 pixels of data.type digits",
        "evaluate.extractor: digits-cnn reads 8x8 digits, not model.out_scale 16",
    ]


def test_what_is_wrong_without_a_factor_is_said_once():
    assert problems(seeds=[1, 1], factors={"train.kimg": {"a": 1, "b": 2}}) == [
        "seeds: [1, 1] names a seed twice"
    ]


def test_metric_names_state_their_protocol():
    spec = validated(content(evaluate__metrics=["fid", "is"]))
    assert metric_names(spec) == ["fid[digits-cnn]", "is[digits-cnn]"]


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 0, 1, 2**31, 2**63])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["digits-cnn", "fid", "PGGAN", "zip", "a\nb", "[key]", "int"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.integers(0, 16) | st.none(), inner, max_size=3)
    ),
    max_leaves=5,
)
PATHS = [
    *("question", "model", "model.noise_size", "model.out_scale", "model.nkimgs_per_scale"),
    *("model.base_channels", "model.transition_kimgs", "model.nkimgs_per_scale.8", "data.root"),
    *(
        "data",
        "train",
        "train.kimg",
        "train.batch_size",
        "train.batch_size.8",
        "train.lr_per_scale",
    ),
    *("train.optimizer", "train.optimizer.lr", "train.optimizer.betas", "train.loss", "evaluate"),
    *("evaluate.every_kimg", "evaluate.extractor", "evaluate.metrics", "seeds", "observers"),
    *("evaluate.fake_images", "observers.ema", "observers.ema.m0.1", "observers.ema.new"),
    *("observers.ema.m0.1.interp_cfg", "observers.ema.m0.1.interp_cfg.half_life_kimg", "factors"),
    *("factors.reduce_lr", "factors.train", "hooks", "hooks.0", "tiers", "unheard-of", "a\nb"),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), JUNK), min_size=1, max_size=3))
def test_junk_gives_a_spec_that_can_be_planned_or_single_lines(changes):
    values, found = content(), []
    try:
        for path, value in changes:
            values = apply_override(values, path, value)
        spec = validated(values, "junk.yaml")
    except SpecError as error:
        found = list(error.problems)
    else:
        planned = expand("junk", "quick", spec)
        assert all(run.name for run in planned.runs)
        price(planned, Place("cpu", 1))
        found = [spec.model.type, planned.arms[0].name]
    assert found
    assert all(len(problem.splitlines()) == 1 for problem in found)


def test_the_text_is_what_the_tests_above_start_from():
    validated(content())
    assert "seeds: [0, 1]" in TEXT


def test_statistics_of_a_file_stand_for_fid_alone():
    given = {"evaluate__reference": "a.npz", "evaluate__kid_subset_size": 100}
    (line,) = problems(**given, evaluate__metrics=["fid", "kid", "recall"])
    assert line.startswith("evaluate.reference: is a mean and a covariance alone; ")
    assert line.endswith("for kid, recall: leave one or the other out")
    (line,) = problems(**given, evaluate__metrics=["is"])
    assert "fid is not in evaluate.metrics" in line
    assert validated(content(**given)).evaluate.reference == "a.npz"
