"""Which runs a question expands to, and what gives a run its name."""

from itertools import pairwise

import pytest
from small_spec import RULE, content, plan, spec

from harness.errors import SpecError
from harness.plan.expand import expand, from_settings
from harness.records.store import dump_yaml
from harness.spec.load import validated
from harness.spec.yaml_text import parse

FACTORS = {
    "reduce_lr": {"off": None, "on": RULE},
    "train.optimizer.lr": {"low": 0.001, "high": 0.01},
}


def names(**fields):
    return [run.name for run in plan(**fields).runs]


def test_without_factors_there_is_a_run_a_seed():
    runs = plan(seeds=[4, 2]).runs
    assert [(run.level, run.seed) for run in runs] == [("-", 4), ("-", 2)]
    assert all(run.reduce_lr is None for run in runs)


def test_factors_times_seeds_in_the_spec_s_order():
    planned = plan(factors=FACTORS)
    labels = [
        f"reduce_lr={rule},train.optimizer.lr={rate}"
        for rule in ("off", "on")
        for rate in ("low", "high")
    ]
    assert planned.levels == tuple(labels)
    assert [(run.level, run.seed) for run in planned.runs] == [
        (label, seed) for label in labels for seed in (0, 1)
    ]
    assert [run.spec.train.optimizer.lr for run in planned.runs[::2]] == [0.001, 0.01] * 2
    assert [run.reduce_lr is not None for run in planned.runs[::2]] == [False, False, True, True]
    assert len({run.name for run in planned.runs}) == 8
    assert not any(run.spec.factors for run in planned.runs)


def test_a_factor_may_be_any_field_of_training():
    levels = {"small": 10, "grows": {4: 5, 8: 20}}
    runs = plan(factors={"train.batch_size": levels}, seeds=[0]).runs
    assert [run.spec.growth.batch_sizes for run in runs] == [(10, 10), (5, 20)]
    (run,) = plan(factors={"train.batch_size.8": {"a": 3}}, seeds=[0]).runs
    assert run.spec.growth.batch_sizes == (20, 3)
    (run,) = plan(factors={"train.optimizer.betas.0": {"a": 0.5}}, seeds=[0]).runs
    assert run.spec.train.optimizer.betas == (0.5, 0.99)


def test_names_begin_with_level_and_seed_and_fit_a_folder():
    for name in names(factors=FACTORS):
        assert name.startswith("reduce_lr=o")
        assert "/" not in name
        assert len(name) < 255
    assert names()[0].startswith("seed0-")


def test_neither_the_order_of_keys_nor_ten_as_a_float_is_another_run():
    values = content(train__kimg=10, observers__ema={"a": {}, "b": {"interval": 2}})
    turned = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(values.items())
    }
    turned["train"]["kimg"] = 10.0
    first, second = (expand("q", "quick", validated(given)) for given in (values, turned))
    assert [run.name for run in first.runs] == [run.name for run in second.runs]


@pytest.mark.parametrize(
    "fields",
    [
        {"model__noise_size": 9},
        {"model__base_channels": 64},
        {"model__max_channels": 7},
        {"model__fused": False},
        {"model__paper_form": False},
        {"model__mbstd_group": None},
        {"model__nkimgs_per_scale": {4: 0.1, 8: 0.4}},
        {"model__transition_kimgs": 0},
        {"data__max_images": 10},
        {"data__crop": "center"},
        {"train__kimg": 0.7},
        {"train__batch_size": 21},
        {"train__optimizer__lr": 0.002},
        {"train__optimizer__betas": [0.5, 0.99]},
        {"train__optimizer__eps": 1e-7},
        {"train__lr_per_scale": {8: 0.1}},
        {"train__reset_optimizer_per_scale": True},
        {"train__loss__penalty_weight": 1},
        {"train__loss__drift_weight": 1},
        {"train__loss__drift": "both"},
        {"evaluate__fake_images": 601},
        {"evaluate__every_kimg": 0.2},
        {"observers__ema": {"m0.1": {"interp_cfg": {"momentum": 0.2}}}},
        {"observers__ema": {"other": {"interp_cfg": {"momentum": 0.1}}}},
        {"hooks": [{"type": "VisualizationHook"}]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_decides_a_run_s_numbers_changes_its_name(fields):
    assert not set(names(**fields)) & set(names())


def test_the_wording_of_the_question_and_other_seeds_and_tiers_do_not():
    assert names(question="What?", tiers={}) == names()
    assert names(seeds=[1, 5])[0] == names()[1]


def test_a_rule_s_settings_change_its_runs_alone():
    other = RULE | {"scheduler": {"patience": 1}}
    first = names(factors={"reduce_lr": {"off": None, "on": RULE}})
    second = names(factors={"reduce_lr": {"off": None, "on": other}})
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, True, False, False]


def test_settings_read_back_as_the_same_plan():
    planned = plan(factors={**FACTORS, "model.fused": {"1e-3": False}}, train__lr_per_scale={8: 1})
    again = from_settings(parse(dump_yaml(planned.settings()))[0])
    assert [run.name for run in again.runs] == [run.name for run in planned.runs]
    assert again.settings() == planned.settings()
    assert (again.experiment, again.tier) == ("question", "quick")


def test_the_command_line_s_overrides_are_kept_and_change_no_run():
    overridden = expand("question", "quick", spec(), ["train.kimg=20", "seeds=[0]"])
    settings = parse(dump_yaml(overridden.settings()))[0]
    assert from_settings(settings).overrides == ("train.kimg=20", "seeds=[0]")
    assert [run.name for run in overridden.runs] == names()
    assert "overrides" not in plan().settings()


@pytest.mark.parametrize("given", ["train.kimg=20", 3, [3], {"train.kimg": 20}])
def test_overrides_that_are_no_list_of_texts_are_refused(given):
    with pytest.raises(SpecError, match=r"spec.yaml: overrides are texts FIELD=VALUE, got "):
        from_settings({**plan().settings(), "overrides": given})


def test_a_run_s_settings_are_complete_and_plain():
    run = plan(factors=FACTORS).runs[-1]
    settings = parse(dump_yaml(run.settings))[0]
    assert settings == run.settings
    assert settings["level"] == run.level
    assert settings["reduce_lr"]["scheduler"]["patience"] == 0
    assert settings["train"]["optimizer"]["lr"] == 0.01


@pytest.mark.parametrize(
    ("fields", "heading"),
    [
        ({"factors": {"observers.ema": {"a": {}}}}, "name it under observers"),
        ({"factors": {"ema.momentum": {"a": 0.1}}}, "name it under observers"),
        ({"factors": {"hooks": {"a": []}}}, "name it under observers"),
        ({"observers__reduce_lr": {"on": RULE}}, "name it under factors"),
        ({"hooks": [{"type": "ReduceLRSchedulerHook"}]}, "name it under factors.reduce_lr"),
        ({"hooks": [{"type": "ExponentialMovingAverageHook"}]}, "name it under observers.ema"),
    ],
)
def test_a_setting_under_the_wrong_heading_is_sent_to_the_right_one(fields, heading):
    with pytest.raises(SpecError, match=heading):
        spec(**fields)


def test_adding_a_shadow_does_not_change_the_number_of_runs():
    shadows = [{}, {"a": {}}, {"a": {}, "b": {}}]
    plans = [plan(observers__ema=ema) for ema in shadows]
    assert all(len(a.runs) == len(b.runs) for a, b in pairwise(plans))
    assert [len(one.arms) for one in plans] == [1, 2, 3]
