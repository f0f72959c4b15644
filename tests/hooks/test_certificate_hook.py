"""The certificate holds for every mode, and fails for each of twelve faults planted in an EMA."""

import json

import numpy as np
import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook
from planted_faults import (
    BeforeTheStep,
    ForgetsItsCounter,
    FrozenIsCopied,
    InvertedMomentum,
    MissedBuffer,
    MissedInteger,
    MissesItsStart,
    OtherInitialisation,
    SkippedStep,
    StallingBf16,
    StartsEarly,
    StartsLate,
    Wrong,
    WrongNetwork,
    WrongPhase,
)
from torch import nn

from harness.ema.certificate import LIMIT, certify
from harness.ema.closed_form import Setting
from harness.hooks import EMACertificateHook, ExponentialMovingAverageHook

ITERATIONS = 150
LERP = {"interp_cfg": {"momentum": 0.05}, "interval": 1}
MODES = {
    "lerp": LERP,
    "interval": {"interp_cfg": {"momentum": 0.2}, "interval": 7, "start_iter": 10},
    "never": {"interval": -1, "start_iter": 30},
    "warmup": {"interp_mode": "warmup", "interp_cfg": {"momentum": 0.02}, "interval": 1},
    "ramp": {"interp_mode": "ramp", "interp_cfg": {"half_life_kimg": 0.1}, "interval": 1},
    "power": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.1}, "interval": 2},
    "uniform": {"interp_mode": "uniform", "interval": 3, "start_iter": 5},
    "buffers": {"interp_cfg": {"momentum": 0.05, "momentum_nontrainable": 0.5}, "interval": 1},
}


def certified(make_runner, hooks, iterations=ITERATIONS, model=None, limit=None, **settings):
    """Train, and return the certificate hook."""
    certificate = EMACertificateHook(limit=limit)
    make_runner([*hooks, certificate], iterations, model, **settings).train()
    return certificate


def error_of(make_runner, hook, stated=LERP, **settings):
    """Return the error of a hook against what was stated."""
    certificate = EMACertificateHook({"net_ema": setting_of(stated)}, limit=None)
    make_runner([hook, certificate], ITERATIONS, **settings).train()
    return certificate.certificates["net_ema"].error


def setting_of(stated):
    return Setting(
        stated.get("interp_mode", "lerp"),
        stated.get("interp_cfg", {}),
        stated["interval"],
        stated.get("start_iter", 0),
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_sound_average_is_certified(make_runner, mode):
    hook = ExponentialMovingAverageHook("net_ema", **MODES[mode])
    found = certified(make_runner, [hook], limit=LIMIT).certificates["net_ema"]
    assert found.error < 2e-6
    assert found.checks >= 4


def test_several_shadows_have_a_certificate_each(make_runner):
    hooks = [
        ExponentialMovingAverageHook(f"{mode}_ema", **cfg, source="net")
        for mode, cfg in MODES.items()
    ]
    found = certified(make_runner, hooks).certificates
    assert sorted(found) == sorted(f"{mode}_ema" for mode in MODES)
    assert max(c.error for c in found.values()) < 2e-6


@pytest.mark.parametrize(
    ("fault", "stated"),
    [
        (InvertedMomentum, LERP),
        (StartsLate, LERP | {"start_iter": 20}),
        (StartsLate, LERP),
        (StartsEarly, LERP | {"start_iter": 20}),
        (MissesItsStart, LERP | {"start_iter": 20}),
        (WrongPhase, LERP | {"interval": 4}),
        (SkippedStep, LERP),
        (MissedBuffer, LERP),
        (MissedInteger, LERP),
        (FrozenIsCopied, LERP),
        (OtherInitialisation, LERP),
        (StallingBf16, LERP),
        (BeforeTheStep, LERP),
        (WrongNetwork, LERP),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_planted_fault_is_caught(make_runner, fault, stated):
    assert error_of(make_runner, fault(**stated), stated) > 10 * LIMIT


@pytest.mark.parametrize("stated", [LERP | {"start_iter": 20}, LERP | {"interval": 4}])
def test_the_same_settings_without_a_fault_pass(make_runner, stated):
    assert error_of(make_runner, Wrong(**stated), stated) < LIMIT / 5


def test_two_swapped_shadows_are_caught(make_runner):
    slow = LERP | {"interp_cfg": {"momentum": 0.02}}
    hooks = [
        ExponentialMovingAverageHook("fast_ema", **LERP, source="net"),
        ExponentialMovingAverageHook("slow_ema", **slow, source="net"),
    ]
    stated = {"fast_ema": setting_of(slow), "slow_ema": setting_of(LERP)}
    certificate = EMACertificateHook(stated, limit=None)
    make_runner([*hooks, certificate], ITERATIONS).train()
    assert all(found.error > LIMIT for found in certificate.certificates.values())


@pytest.mark.parametrize("hook", [ExponentialMovingAverageHook, ForgetsItsCounter])
def test_a_counter_reset_on_resume_is_caught(make_runner, tmp_path, hook):
    stated = MODES["warmup"]
    folder = tmp_path / "trajectory"

    def run(iterations, **settings):
        certificate = EMACertificateHook(folder=folder, limit=None)
        keep = CheckpointHook(100, by_epoch=False)
        hooks = {"logger": None, "checkpoint": keep}
        runner = make_runner(
            [hook("net_ema", **stated), certificate], iterations, default_hooks=hooks, **settings
        )
        runner.train()
        return certificate.certificates["net_ema"], runner

    # Past the checkpoint and on: what came after it is trained, and certified, once more.
    _, runner = run(130)
    checkpoint = f"{runner.work_dir}/iter_100.pth"
    found, _ = run(220, load_from=checkpoint, resume=True)
    assert found.checks == 6  # 1, 2, 66, 130, 194, 220, as without a resume
    assert (found.error > 10 * LIMIT) == (hook is ForgetsItsCounter)


def test_a_resume_without_its_trajectory_is_not_certified(make_runner, tmp_path):
    runner = make_runner(
        [ExponentialMovingAverageHook("net_ema", **LERP)],
        20,
        default_hooks={"logger": None, "checkpoint": CheckpointHook(20, by_epoch=False)},
    )
    runner.train()
    certificate = certified(
        make_runner,
        [ExponentialMovingAverageHook("net_ema", **LERP)],
        40,
        load_from=f"{runner.work_dir}/iter_20.pth",
        resume=True,
    )
    assert certificate.certificates == {}


def test_training_ends_in_an_error_that_names_the_shadow(make_runner):
    certificate = EMACertificateHook({"net_ema": setting_of(LERP)})
    with pytest.raises(RuntimeError, match=r"net_ema is off by .* \(\S+, iteration \d+\)"):
        make_runner([InvertedMomentum(**LERP), certificate], ITERATIONS).train()


def test_training_gives_the_same_bits_with_and_without(make_runner):
    hooks = [[ExponentialMovingAverageHook("net_ema", **LERP)] for _ in range(2)]
    plain, watched = (
        make_runner([*own, *more], 100)
        for own, more in zip(hooks, ([], [EMACertificateHook()]), strict=True)
    )
    plain.train()
    watched.train()
    states = plain.model.state_dict(), watched.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


class Frames(Hook):
    """Keeps every weight after each iteration, in full."""

    priority = "LOWEST"

    def __init__(self):
        self.rows = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.rows.append({n: v.clone() for n, v in runner.model.net.state_dict().items()})


def test_the_files_can_be_read_without_this_package(make_runner, tmp_path):
    frames = Frames()
    hook = ExponentialMovingAverageHook("net_ema", **LERP)
    certificate = EMACertificateHook(folder=tmp_path)
    runner = make_runner([hook, certificate, frames], 70)
    runner.train()
    folder = tmp_path / "net"
    described = json.loads((folder / "entries.json").read_text())
    width = sum(entry["count"] for entry in described["entries"])
    rows = np.fromfile(folder / "network.bin", described["dtype"]).reshape(-1, width)
    assert len(rows) == 71
    assert np.fromfile(folder / "images.bin", np.int64).tolist() == [4 * i for i in range(71)]
    at = 0
    for entry in described["entries"]:
        assert 0 < entry["count"] <= 12
        whole = frames.rows[41][entry["name"]].flatten()[:: entry["step"]][: entry["count"]]
        assert rows[42, at : at + entry["count"]].tolist() == whole.tolist()
        at += entry["count"]
    shadows = np.fromfile(folder / "shadows.bin", described["dtype"]).reshape(-1, width)
    assert np.fromfile(folder / "checks.bin", np.int64).tolist() == [1, 2, 66, 70]
    last = torch.cat([v.flatten().float() for v in _entries(runner.model.net_ema)])
    assert sorted(shadows[3].tolist()) == sorted(last.tolist())
    with pytest.raises(KeyError, match="no shadow 'x_ema' was recorded; there are: net_ema"):
        certify(folder, {"x_ema": setting_of(LERP)})


def _entries(network: nn.Module):
    return [*network.parameters(), *network.buffers()]
