"""Averages of a network that is made anew in part while it trains; S4 is SinGAN's."""

import copy
import json

import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook
from tiny_pyramid import SIZES, STEPS, singan_settings, tiny_singan

from harness.ema.certificate import LIMIT, certify
from harness.ema.closed_form import Setting
from harness.hooks import EMACertificateHook, ExponentialMovingAverageHook, PGGANFetchDataHook

PER_SCALE = 14
TOTAL = PER_SCALE * STEPS * len(SIZES)
LERP = {"interp_cfg": {"momentum": 0.05, "momentum_nontrainable": 0.05}, "interval": 1}
MODES = {
    "lerp": LERP,
    "interval": {"interp_cfg": {"momentum": 0.2}, "interval": 4},
    "warmup": {"interp_mode": "warmup", "interp_cfg": {"momentum": 0.02}, "interval": 1},
    "ramp": {"interp_mode": "ramp", "interp_cfg": {"half_life_kimg": 0.03}, "interval": 1},
    "power": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.1}, "interval": 2},
    "uniform": {"interp_mode": "uniform", "interval": 1},
    "late": {**LERP, "start_iter": PER_SCALE + 7},
    "border": {**LERP, "start_iter": PER_SCALE, "interval": 4},
}


class ForgetsTheNew(ExponentialMovingAverageHook):
    def _renew(self, renewed):
        pass


def shadows(kind=ExponentialMovingAverageHook, modes=tuple(MODES)):
    return [kind(f"{mode}_ema", **MODES[mode], source="generator") for mode in modes]


def runner_of(make_runner, hooks, total=TOTAL, gan=None, **more):
    gan = gan or tiny_singan(PER_SCALE)
    return make_runner([*hooks, PGGANFetchDataHook()], **singan_settings(gan, total, **more))


def test_s4_every_scales_average_is_certified(make_runner, tmp_path):
    certificate = EMACertificateHook(folder=tmp_path)
    runner_of(make_runner, [*shadows(), certificate]).train()
    found = certificate.certificates
    assert sorted(found) == sorted(f"{mode}_ema" for mode in MODES)
    assert max(each.error for each in found.values()) < 2e-6
    lines = (tmp_path / "generator" / "renewed.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"iteration": PER_SCALE + 1, "prefixes": ["blocks.1."]},
        {"iteration": 2 * PER_SCALE + 1, "prefixes": ["blocks.2."]},
    ]


def test_s4_an_average_that_holds_untrained_weights_is_caught(make_runner):
    modes = [mode for mode in MODES if mode != "late"]
    certificate = EMACertificateHook(limit=None)
    runner_of(make_runner, [*shadows(ForgetsTheNew, modes), certificate]).train()
    for mode in modes:
        found = certificate.certificates[f"{mode}_ema"]
        assert found.error > 100 * LIMIT, mode
        assert found.tensor.startswith(("blocks.1.", "blocks.2.")), mode


class Watching(Hook):
    """Keeps one weight of each block, and of its shadow, after each iteration."""

    priority = "LOWEST"

    def __init__(self):
        self.rows = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        networks = runner.model.generator, runner.model.interval_ema
        self.rows.append(
            [[b.head.conv.weight[0, 0].detach().clone() for b in n.blocks] for n in networks]
        )


def test_s4_a_block_is_copied_when_it_begins_and_then_averaged(make_runner):
    watching = Watching()
    runner_of(make_runner, [*shadows(modes=["interval"]), watching]).train()
    network, shadow = watching.rows[PER_SCALE]  # its first iteration, where no update is due
    assert (PER_SCALE + 1) % 4
    assert torch.equal(network[1], shadow[1])
    assert not torch.equal(network[0], shadow[0])
    following = watching.rows[PER_SCALE + 1]
    assert (PER_SCALE + 2) % 4 == 0
    expected = network[1] + 0.2 * (following[0][1] - network[1])
    torch.testing.assert_close(following[1][1], expected)


def test_s4_a_resumed_run_has_the_same_certificates(make_runner, tmp_path):
    """Past the checkpoint and a border, and on: the event after it is noted once."""

    def run(total, **more):
        certificate = EMACertificateHook(folder=tmp_path / "trajectory")
        keep = dict.fromkeys(["logger", "runtime_info", "sampler_seed"])
        keep["checkpoint"] = CheckpointHook(PER_SCALE + 5, by_epoch=False)
        hooks = [*shadows(modes=["lerp", "interval", "power"]), certificate]
        runner = runner_of(make_runner, hooks, total, default_hooks=keep, **more)
        runner.train()
        return certificate.certificates, runner

    _, first = run(STEPS * (2 * PER_SCALE + 3))
    checkpoint = f"{first.work_dir}/iter_{PER_SCALE + 5}.pth"
    found, resumed = run(TOTAL, load_from=checkpoint, resume=True)
    assert max(each.error for each in found.values()) < 2e-6
    folder = tmp_path / "trajectory" / "generator"
    lines = (folder / "renewed.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [
        PER_SCALE + 1,
        2 * PER_SCALE + 1,
    ]
    straight = runner_of(make_runner, shadows(modes=["lerp"]))
    straight.train()
    states = straight.model.lerp_ema.state_dict(), resumed.model.lerp_ema.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_trajectory_without_the_file_is_certified_as_ever(make_runner, tmp_path):
    certificate = EMACertificateHook(folder=tmp_path, limit=None)
    stage = STEPS * PER_SCALE
    runner_of(make_runner, [*shadows(modes=["lerp"]), certificate], stage).train()
    folder = tmp_path / "generator"
    assert not (folder / "renewed.jsonl").exists()
    setting = Setting("lerp", LERP["interp_cfg"])
    assert certify(folder, {"lerp_ema": setting})["lerp_ema"].error < 2e-6


def test_frozen_scales_do_not_become_copies(make_runner):
    """What is trained is decided before training, when every block is."""
    gan = tiny_singan(PER_SCALE)
    before = copy.deepcopy(gan.generator)
    runner = runner_of(make_runner, shadows(modes=["lerp"]), STEPS * (PER_SCALE + 1), gan)
    runner.train()
    assert all(p.requires_grad for p in gan.generator.parameters())
    weight, shadow, first = (
        n.blocks[0].head.conv.weight for n in (gan.generator, gan.lerp_ema, before)
    )
    assert not torch.equal(weight, first)
    assert not torch.allclose(weight, shadow, atol=1e-5)


@pytest.mark.parametrize("mode", ["lerp", "uniform"])
def test_observers_leave_training_as_it_is(make_runner, mode):
    plain = runner_of(make_runner, [], STEPS * (PER_SCALE + 4))
    watched = runner_of(
        make_runner,
        [*shadows(modes=[mode]), EMACertificateHook(limit=None)],
        STEPS * (PER_SCALE + 4),
    )
    plain.train()
    watched.train()
    for ours, theirs in zip(
        plain.model.generator.state_dict().values(),
        watched.model.generator.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
