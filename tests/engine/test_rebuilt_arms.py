"""A real PGGAN run with a post-hoc EMA: what is rebuilt is what a live shadow would have been."""

import copy
import math

import pytest
import torch
from keepers import keeper_of
from safetensors.torch import load_file
from small_spec import content

from harness.ema.posthoc import rebuild
from harness.ema.snapshots import Profile, find
from harness.engine.build import train
from harness.engine.families import gan
from harness.engine.posthoc import relative_difference
from harness.plan.disk import snapshots, snapshots_gib
from harness.plan.expand import expand
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.spec.load import validated

CPU = torch.device("cpu")
LIVE = {
    "live0.03": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.03}},
    "live0.08": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.08}},
    "live0.2": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.2}},
    "track": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.1}},
    "late0.08": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.08}, "start_iter": 30},
    "other": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.07}},
}
POSTHOC = {
    "sigma_rel": [0.05, 0.1],
    "every_kimg": 0.06,
    "rebuild": [0.03, 0.05, 0.08, 0.1, 0.2],
}
FID = "fid[digits-cnn]"


def planned(**fields):
    usual = {
        "train__kimg": 1.2,
        "model__nkimgs_per_scale": {4: 0.3, 8: 0.9},
        "evaluate__every_kimg": 0.6,
        "evaluate__fake_images": 100,
        "train__optimizer": {"lr": 0.01},
        "seeds": [0],
        "observers": {"ema": LIVE, "posthoc": POSTHOC},
    }
    (run,) = expand("test", "quick", validated(content(**(usual | fields)))).runs
    return run


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def finished(run, path, cache):
    folder = RunFolder(path)
    folder.begin(run.settings, {})
    try:
        train(run, keeper_of(run, folder), CPU, cache)
    finally:
        folder.end(Outcome(Status.FINISHED))
    return path, folder.rows()


@pytest.fixture(scope="module")
def done(tmp_path_factory, cache):
    return finished(planned(), tmp_path_factory.mktemp("run"), cache)


def last(rows, quantity):
    return {row.arm: row.value for row in rows if row.quantity == quantity and row.kimg == 1.2}


def test_a_rebuilt_shadow_and_one_tracked_live_agree_to_one_percent(done):
    """Also with a look at how far apart unlike averages are, so that 1 % means something."""
    path, rows = done
    errors = last(rows, "posthoc_error")
    assert errors.keys() == {"live0.03", "live0.08", "live0.2", "track"}
    assert all(error <= 0.01 for error in errors.values())
    assert errors["live0.08"] < 1e-4
    weights = load_file(path / "weights.safetensors")
    a, b = (flat(weights, f"shadow_live0_d{width}_ema.") for width in ("03", "08"))
    apart = float((a - b).norm() / b.norm())
    assert apart > 20 * max(errors["live0.03"], errors["live0.08"])


def flat(weights, prefix):
    names = sorted(name for name in weights if name.startswith(prefix))
    assert names
    return torch.cat([weights[name].flatten().double() for name in names])


def test_rebuilt_averages_are_measured_as_live_ones_are(done):
    """Same latents, same metric: nearly the same weights have nearly the same FID."""
    _, rows = done
    values = last(rows, FID)
    for arm, live in (("posthoc-0.08", "live0.08"), ("posthoc-0.1", "track")):
        assert values[arm] == pytest.approx(values[live], rel=2e-3)
    assert abs(values["posthoc-0.03"] / values["posthoc-0.2"] - 1) > 0.02


def test_rebuilt_averages_have_rows_of_their_own_at_the_end_alone(done):
    _, rows = done
    rebuilt = {f"posthoc-{width:g}" for width in POSTHOC["rebuild"]}
    written = [row for row in rows if row.arm.startswith("posthoc-")]
    assert {row.arm for row in written} == rebuilt
    assert {row.kimg for row in written} == {1.2}
    assert {row.quantity for row in written} == {FID, "posthoc_misfit"}
    assert len(written) == 2 * len(rebuilt)
    assert all(math.isfinite(row.value) for row in written)


def test_the_averages_that_are_snapshotted_are_certified_too(done):
    _, rows = done
    errors = last(rows, "ema_error")
    assert {"posthoc0_ema", "posthoc1_ema"} < errors.keys()
    assert max(errors.values()) < 1e-6


def test_the_clocks_are_read_after_the_rebuilt_averages(done):
    _, rows = done
    measured = max(row.sec for row in rows if row.arm.startswith("posthoc-"))
    clocks = [row for row in rows if row.quantity == "time/eval_sec"]
    assert max(row.sec for row in clocks) >= measured


def test_snapshots_are_those_that_the_plan_prices(done):
    path, _ = done
    spec = planned().spec
    files = list((path / "posthoc").iterdir())
    assert len(files) == 2 * snapshots(spec) == 40
    # Biases and the layers to RGB are not counted, nor is a header of 3 KiB a file.
    size = sum(file.stat().st_size - 3000 for file in files) / 2**30
    assert snapshots_gib(spec) == pytest.approx(size, rel=0.15)


def test_a_rebuilt_average_can_be_made_again_from_the_folder(done):
    path, rows = done
    model = gan(planned().spec, 0)
    names = {name for name, _ in model.generator.named_parameters()}
    state, _ = rebuild(find(path / "posthoc"), Profile(0.08, 1200), names)
    rebuilt, live = copy.deepcopy(model.generator), copy.deepcopy(model.generator)
    rebuilt.load_state_dict(state, strict=False)
    prefix = "shadow_live0_d08_ema."
    weights = load_file(path / "weights.safetensors")
    live.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if prefix in k})
    error = relative_difference(rebuilt, live)
    assert error == pytest.approx(last(rows, "posthoc_error")["live0.08"], rel=0.05)


def test_a_post_hoc_ema_leaves_training_and_the_other_arms_as_they_are(done, tmp_path, cache):
    path, rows = done
    other, bare = finished(planned(observers={"ema": LIVE}), tmp_path / "bare", cache)
    a, b = load_file(path / "weights.safetensors"), load_file(other / "weights.safetensors")
    assert all(torch.equal(value, a[name]) for name, value in b.items())
    assert last(bare, FID).items() <= last(rows, FID).items()
    assert not (other / "posthoc").exists()


def test_a_learning_rate_rule_looks_as_often_as_without(tmp_path, cache):
    rule = {"val_metric": f"{FID}/raw", "scheduler": {"patience": 9}}
    run = planned(factors={"reduce_lr": {"on": rule}}, train__kimg=0.6, seeds=[1])
    _, rows = finished(run, tmp_path / "rule", cache)
    assert len([row for row in rows if row.quantity == "reduce_lr/value"]) == 1
    assert "posthoc-0.08" in {row.arm for row in rows}
