"""A whole run on digits: what it leaves behind, and that it does so twice alike."""

import math

import numpy as np
import pytest
import torch
from keepers import keeper_of
from safetensors.torch import load_file
from tiny import ROOT

from harness.engine.build import shadow_hooks, train
from harness.engine.families import gan, optimizers
from harness.errors import Diverged
from harness.plan.expand import expand
from harness.records.store import RunFolder
from harness.records.types import Outcome, Status
from harness.spec.load import apply_override, load, validated

CPU = torch.device("cpu")
SPEC = {
    "question": "Does a whole run work?",
    "model": {
        "type": "PGGAN",
        "noise_size": 8,
        "out_scale": 8,
        "base_channels": 32,
        "max_channels": 8,
        "nkimgs_per_scale": {4: 0.3, 8: 1},
        "transition_kimgs": 0.2,
    },
    "data": {"type": "digits", "max_images": 500},
    "train": {"kimg": 1, "batch_size": 50, "log_every_kimg": 0.25, "optimizer": {"lr": 0.004}},
    "evaluate": {
        "every_kimg": 0.5,
        "extractor": "digits-cnn",
        "fake_images": 100,
        "metrics": ["fid", "is"],
    },
    "seeds": [0],
    "observers": {
        "ema": {
            "m0.1": {"interp_cfg": {"momentum": 0.1}},
            "never": {"interval": -1},
            "late-copy": {"interp_cfg": {"momentum": 0.5}, "start_iter": 10**6},
        }
    },
}
FACTOR = {
    "off": None,
    "watch": {
        "val_metric": "fid[digits-cnn]/raw",
        "scheduler": {"patience": 0, "factor": 0.5, "threshold": 0.99, "min_lr": 0.0001},
    },
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def planned(**overrides):
    content = SPEC
    for path, value in overrides.items():
        content = apply_override(content, path.replace("__", "."), value)
    return expand("test", "quick", validated(content, "test.yaml")).runs


def finished(run, path, cache):
    """Run to the end; return the folder and its rows."""
    folder = RunFolder(path)
    folder.begin(run.settings, {})
    try:
        iterations = train(run, keeper_of(run, folder), CPU, cache)
        assert iterations == run.spec.growth.iterations(run.spec.total_images)
    finally:
        folder.end(Outcome(Status.FINISHED))
    return path, folder.rows()


@pytest.fixture(scope="module")
def done(tmp_path_factory, cache):
    (run,) = planned()
    return finished(run, tmp_path_factory.mktemp("run"), cache)


def numbers(rows):
    """Return all rows but those of clocks and memory."""
    return [
        (row.quantity, row.arm, row.value, row.kimg, row.iteration)
        for row in rows
        if not row.quantity.startswith(("time/", "memory/"))
    ]


ARMS = ("raw", "m0.1", "never", "late-copy")


def test_a_run_leaves_rows_of_every_arm_at_every_evaluation(done):
    _, rows = done
    for quantity in ("fid[digits-cnn]", "is[digits-cnn]"):
        written = [(r.arm, r.kimg) for r in rows if r.quantity == quantity]
        assert written == [("real", 0.0), *((arm, kimg) for kimg in (0.5, 1.0) for arm in ARMS)]
    assert [r.kimg for r in rows if r.quantity == "loss/d"] == [0.25, 0.5, 0.75, 1.0]
    assert {r.value for r in rows if r.quantity == "train/scale_px"} == {4, 8}
    assert all(math.isfinite(row.value) for row in rows)


def test_every_shadow_is_certified_and_raw_needs_none(done):
    _, rows = done
    errors = {row.arm: row.value for row in rows if row.quantity == "ema_error"}
    assert errors.keys() == {*ARMS} - {"raw"}
    assert max(errors.values()) < 1e-6
    assert errors["late-copy"] == 0  # a copy is one to the bit


def test_arms_differ_only_where_their_settings_do(done):
    _, rows = done
    last = {r.arm: r.value for r in rows if r.quantity == "fid[digits-cnn]" and r.kimg == 1.0}
    assert last["late-copy"] == last["raw"]  # a copy of the generator until start_iter
    assert len({last["raw"], last["m0.1"], last["never"]}) == 3


def test_a_run_leaves_samples_of_every_arm_and_of_the_real_images(done):
    path, _ = done
    with np.load(path / "samples" / "final.npz") as samples:
        assert set(samples) == {"real", *ARMS}
        for images in samples.values():
            assert images.shape == (16, 8, 8, 3)
            assert images.dtype == np.uint8
        assert (samples["raw"] == samples["late-copy"]).all()
        assert (samples["raw"] != samples["never"]).any()
    assert not list(path.rglob("*.tmp*"))


def test_a_run_leaves_weights_that_draw_its_samples(done):
    path, _ = done
    weights = load_file(path / "weights.safetensors")
    (run,) = planned()
    model = gan(run.spec, run.seed)
    before = {
        name: value.clone() for name, value in model.state_dict().items() if "extra" not in name
    }
    networks = {name: v for name, v in weights.items() if name in before}
    assert set(networks) == set(before)
    assert any(not torch.equal(before[name], weights[name]) for name in before)
    model.load_state_dict(networks, strict=False)
    shadows = {name.split(".")[0] for name in weights} - {"generator", "discriminator"}
    assert shadows == {"shadow_m0_d1_ema", "shadow_never_ema", "shadow_late_hcopy_ema"}
    late = {k.partition(".")[2]: v for k, v in weights.items() if k.startswith("shadow_late")}
    assert all(torch.equal(v, weights[f"generator.{k}"]) for k, v in late.items())


def test_the_same_run_gives_the_same_bits(done, tmp_path, cache):
    path, rows = done
    (run,) = planned()
    torch.manual_seed(7)
    other, again = finished(run, tmp_path / "again", cache)
    assert numbers(rows) == numbers(again)
    a, b = load_file(path / "weights.safetensors"), load_file(other / "weights.safetensors")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_observers_and_evaluations_leave_the_generator_as_it_is(done, tmp_path, cache):
    path, _ = done
    (run,) = planned(observers__ema={}, evaluate__every_kimg=1.0)
    other, _ = finished(run, tmp_path / "bare", cache)
    a, b = load_file(path / "weights.safetensors"), load_file(other / "weights.safetensors")
    assert all(torch.equal(value, a[name]) for name, value in b.items())


def test_a_level_with_a_rule_writes_what_the_rule_did(tmp_path, cache):
    off, watch = planned(factors={"reduce_lr": FACTOR}, evaluate__every_kimg=0.25)
    assert (off.level, watch.level) == ("reduce_lr=off", "reduce_lr=watch")
    _, plain = finished(off, tmp_path / "off", cache)
    _, rows = finished(watch, tmp_path / "watch", cache)
    assert not [row for row in plain if row.quantity.startswith("reduce_lr/")]
    values = [r.value for r in rows if r.quantity == "reduce_lr/value"]
    assert values == [r.value for r in rows if r.quantity == "fid[digits-cnn]" and r.arm == "raw"]
    assert [r.value for r in rows if r.quantity == "reduce_lr/new_lr"] == [
        0.004,
        0.002,
        0.001,
        0.0005,
    ]
    last = {r.quantity: r.value for r in rows if r.quantity == "train/lr"}
    assert last == {"train/lr": 0.0005}
    assert [r.value for r in plain if r.quantity == "fid[digits-cnn]"][-1] != values[-1]


def test_hooks_of_a_spec_are_built_and_draw_into_the_runs_folder(tmp_path, cache):
    hook = {
        "type": "VisualizationHook",
        "interval": 10,
        "vis_kwargs_list": {"type": "GAN", "name": "fake_img", "n_samples": 4},
    }
    (run,) = planned(hooks=[hook], observers__ema={}, train__kimg=0.5)
    path, _ = finished(run, tmp_path / "drawn", cache)
    assert [p.name for p in sorted((path / "samples").glob("*.png"))] == ["fake_img_10.png"]


def test_a_rate_that_explodes_is_told_with_its_first_iteration(tmp_path, cache):
    (run,) = planned(train__optimizer__lr=1e25, train__log_every_kimg=5)
    with pytest.raises(Diverged) as error:
        finished(run, tmp_path / "diverged", cache)
    assert error.value.iteration == 1


def test_initial_weights_are_a_function_of_the_seed_alone():
    (run,) = planned()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, second, other = (gan(run.spec, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [torch.cat([p.flatten() for p in m.parameters()]) for m in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_settings_of_training_arrive(cache):
    (run,) = planned(
        train__lr_per_scale={4: 0.002, 8: 0.001},
        train__reset_optimizer_per_scale=True,
        train__loss={"penalty_weight": 3.0, "drift_weight": 0.5, "drift": "both"},
        train__optimizer={"lr": 0.004, "betas": [0.1, 0.9], "eps": 1e-6},
    )
    model = gan(run.spec, 0)
    settings = (model.penalty_weight, model.drift_weight, model.drift_both, model.reset_optimizer)
    assert settings == (3.0, 0.5, True, True)
    for _, wrapper in optimizers(run.spec, model).items():
        (group,) = wrapper.param_groups
        assert (group["lr"], group["initial_lr"]) == (0.002, 0.004)
        assert (group["betas"], group["eps"]) == ((0.1, 0.9), 1e-6)


def test_shadows_become_hooks_with_their_settings():
    (run,) = planned()
    hooks = shadow_hooks(run.spec)
    assert [hook.module_keys for hook in hooks] == [
        ("shadow_m0_d1_ema",),
        ("shadow_never_ema",),
        ("shadow_late_hcopy_ema",),
    ]
    assert [(hook.interval, hook.start_iter, hook.source) for hook in hooks] == [
        (1, 0, "generator"),
        (-1, 0, "generator"),
        (1, 10**6, "generator"),
    ]
    assert hooks[0].interp_cfg == {"momentum": 0.1}


def test_shadows_of_like_names_are_kept_apart():
    names = ("a-b", "a_b", "a.b", "apb", "a_db", "a__b")
    shadows = ", ".join(f"{name}: {{interp_cfg: {{momentum: 0.1}}}}" for name in names)
    spec = load(ROOT / "experiments/pggan-ema.yaml", overrides=[f"observers.ema={{{shadows}}}"])
    keys = [key for hook in shadow_hooks(spec) for key in hook.module_keys]
    assert len(set(keys)) == len(names)
