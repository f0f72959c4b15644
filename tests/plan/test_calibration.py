"""What is kept of a calibration: for which runs it holds, and what is read back from it."""

import json

import pytest
from priced import measured
from small_spec import larger, spec
from tiny import ROOT

from harness.plan import calibration
from harness.plan.calibration import (
    EXTRAPOLATED,
    MOST_TIMES,
    figures,
    path_of,
    read,
    settings,
    write,
)
from harness.plan.keeping import checkpoint_gib
from harness.plan.work import parameters, training_macs
from harness.spec.load import load

SHADOW = {"interp_cfg": {"momentum": 0.1}}
NO_COST = {
    "question": {"question": "Another one?"},
    "seeds": {"seeds": [5, 6, 7]},
    "length": {"train__kimg": 60},
    "stages' lengths": {"model__nkimgs_per_scale": {4: 2, 8: 1}, "model__transition_kimgs": 0.3},
    "rate": {"train__optimizer": {"lr": 0.1, "betas": [0.5, 0.9]}},
    "rates": {"train__lr_per_scale": {8: 0.1}},
    "strength": {"train__loss": {"penalty_weight": 3}},
    "rows": {"train__log_every_kimg": 0.2},
    "how often": {"evaluate__every_kimg": 0.1},
    "first": {"evaluate__first_kimg": 0.1},
    "fresh": {"evaluate__fresh": 3},
    "reference": {"evaluate__reference": "statistics.npz"},
    "name of an average": {"observers__ema": {"other": SHADOW}},
    "length of an average": {"observers__ema": {"m": {"interp_cfg": {"momentum": 0.5}}}},
    "start of an average": {"observers__ema": {"m": {**SHADOW, "start_iter": 9}}},
    "factors": {"factors": {"train.kimg": {"a": 1, "b": 2}}},
    "tiers": {"tiers": {}},
}
COST = {
    "width": {"model__max_channels": 4},
    "latents": {"model__noise_size": 4},
    "form": {"model__paper_form": False},
    "no fading": {"model__transition_kimgs": 0},
    "batch": {"train__batch_size": 10},
    "batch of a stage": {"train__batch_size": {4: 20, 8: 10}},
    "no penalty": {"train__loss": {"penalty_weight": 0}},
    "fast paths": {"train__fast": {"shared_pass": True}},
    "images measured": {"evaluate__fake_images": 700},
    "metrics": {"evaluate__metrics": ["fid", "is"]},
    "extractor": {"evaluate__extractor": "random-conv-64"},
    "subsets": {"evaluate__kid_subsets": 7},
    "images at once": {"evaluate__batch_size": 100},
    "real images": {"data__max_images": 900},
    "an average more": {"observers__ema": {"a": SHADOW, "b": SHADOW}},
    "no average": {"observers__ema": {}},
    "mode of an average": {"observers__ema": {"m": {"interp_mode": "uniform"}}},
    "interval of an average": {"observers__ema": {"m": {**SHADOW, "interval": 4}}},
    "post-hoc": {"observers__posthoc": {"every_kimg": 0.05, "rebuild": [0.1]}},
    "grids": {
        "hooks": [{"type": "VisualizationHook", "vis_kwargs_list": {"type": "GAN", "name": "x"}}]
    },
}


def place(folder, described, device="cpu", jobs=2, threads=1):
    return path_of(folder, described, device, jobs, threads)


@pytest.mark.parametrize("name", NO_COST)
def test_what_costs_nothing_has_the_same_calibration(name, tmp_path):
    assert place(tmp_path, spec(**NO_COST[name])) == place(tmp_path, spec())


@pytest.mark.parametrize("name", COST)
def test_what_costs_something_has_a_calibration_of_its_own(name, tmp_path):
    assert place(tmp_path, spec(**COST[name])) != place(tmp_path, spec())


def test_every_cost_is_told_from_every_other(tmp_path):
    paths = {place(tmp_path, spec(**fields)) for fields in COST.values()}
    assert len(paths) == len(COST)


@pytest.mark.parametrize("changed", [{"jobs": 3}, {"threads": 2}, {"device": "cuda"}])
def test_conditions_have_calibrations_of_their_own(changed, tmp_path):
    assert place(tmp_path, spec(), **changed) != place(tmp_path, spec())


@pytest.mark.parametrize(
    "changed",
    [{"cpu": "another"}, {"cores": 96}, {"libraries": {"torch": "9"}}, {"device": "cuda: other"}],
)
def test_another_kind_of_machine_has_its_own(changed, tmp_path, monkeypatch):
    here = place(tmp_path, spec())
    found = calibration.hardware("cpu")
    monkeypatch.setattr(calibration, "hardware", lambda device: {**found, **changed})
    assert place(tmp_path, spec()) != here


def test_how_often_a_grid_is_drawn_decides_nothing_of_its_cost(tmp_path):
    grid = COST["grids"]["hooks"][0]
    paths = {place(tmp_path, spec(hooks=[{**grid, "interval": n}])) for n in (5, 500)}
    assert len(paths) == 1


@pytest.mark.parametrize("name", ["pggan-ema", "stylegan2-ema", "singan-ema"])
def test_every_model_s_settings_are_json_and_do_not_hold_its_length(name):
    path = ROOT / "experiments" / f"{name}.yaml"
    short = load(path, overrides=["seeds=[0]"])
    long = ["model.iters_per_scale=99"] if name == "singan-ema" else ["train.kimg=999"]
    assert json.dumps(settings(short)) == json.dumps(settings(load(path, overrides=long)))


def test_what_is_written_is_read_back(tmp_path):
    path = place(tmp_path, spec())
    assert read(path, spec()) == (None, "")
    write(path, measured())
    found, note = read(path, spec())
    assert note == ""
    assert found == figures(measured(), spec())
    steps = found.step_sec[8, False]
    assert (steps.value, steps.low, steps.high) == (2, 1, 3)
    assert (found.pass_sec[8].value, found.pass_sec[8].low) == (20, 16)
    assert found.drawing_sec.high == found.gpu_gib.high == 0
    assert found.source == "a calibration on this kind of machine"


def test_the_newest_times_are_pooled_and_counted(tmp_path):
    path = place(tmp_path, spec())
    write(path, measured(start_sec=[1000.0]))
    for start in range(1, MOST_TIMES + 1):
        write(path, measured(start_sec=[float(start)]))
    found, _ = read(path, spec())
    assert found.start_sec.value == pytest.approx(sum(range(1, MOST_TIMES + 1)) / MOST_TIMES)
    assert (found.start_sec.low, found.start_sec.high) == (1, MOST_TIMES)
    assert found.step_sec[8, False] == figures(measured(), spec()).step_sec[8, False]
    assert found.source == f"{MOST_TIMES} calibrations on this kind of machine"


def test_a_time_that_reached_fewer_stages_adds_to_those_it_reached(tmp_path):
    path, whole = place(tmp_path, spec()), measured()
    write(path, whole)
    write(path, measured(steps=[{**whole["steps"][0], "sec": [5.0] * 3}]))
    found, _ = read(path, spec())
    assert found.step_sec[4, False].value == 3
    assert found.step_sec[8, False].value == 2


def test_what_is_damaged_is_written_anew(tmp_path):
    path = place(tmp_path, spec())
    write(path, measured())
    path.write_text(path.read_text()[:99])
    write(path, measured())
    assert read(path, spec()) == (figures(measured(), spec()), "")


def test_a_stage_that_was_not_reached_is_scaled_by_its_work_and_widened():
    described = larger(train__kimg=3)
    reached = [{"scale": 4, "fading": False, "sec": [1.0] * 3, "whole": True}]
    reached += [{"scale": 8, "fading": f, "sec": [2.0] * 3, "whole": True} for f in (True, False)]
    content = measured(steps=reached)
    found = figures(content, described)
    ratio = training_macs(described, 16) / training_macs(described, 8)
    step = found.step_sec[16, False]
    assert step.value == pytest.approx(2 * ratio)
    assert step.low == pytest.approx(1.8 * ratio / EXTRAPOLATED)
    assert step.high == pytest.approx(2.2 * ratio * EXTRAPOLATED)
    assert found.step_sec[8, False].high == pytest.approx(2.2)
    assert found.pass_sec[16].high > 24 * EXTRAPOLATED
    assert found.rss_gib.high == pytest.approx(0.7 * EXTRAPOLATED)
    assert found.source == "a calibration on this kind of machine, of 2 of 3 scales"


def test_what_was_timed_in_part_is_widened():
    content = measured(passes=[{"scale": 8, "sec": [20.0] * 3, "whole": False}])
    found = figures(content, spec()).pass_sec[8]
    assert (found.value, found.high) == (20, pytest.approx(22 * EXTRAPOLATED))


def test_a_snapshot_that_was_not_read_is_priced_by_its_size():
    described = spec(observers__posthoc={"every_kimg": 0.05, "rebuild": [0.1]})
    assert figures(measured(rebuild_sec=[0.5]), described).rebuild_sec.value == 0.5
    found = figures(measured(), described).rebuild_sec
    share = parameters(described)[0] * 4 / 2**30 / checkpoint_gib(described)
    assert found.value == pytest.approx(1.5 * share)
    assert found.high == pytest.approx(2.0 * share * EXTRAPOLATED)
    assert figures(measured(), spec()).rebuild_sec.high == 0
