"""EMA hooks side by side in a Runner do their work as one, and each as it would alone."""

import copy

import pytest
import torch
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from tiny import ShadowStates, TinyModel
from tiny_pyramid import STEPS, singan_settings, tiny_singan

from harness.ema import together
from harness.ema.averaging import entries
from harness.hooks import ExponentialMovingAverageHook, PGGANFetchDataHook

MODES = {
    "slow": {"interp_cfg": {"momentum": 0.01}, "interval": 1},
    "fast": {"interp_cfg": {"momentum": 0.6, "momentum_nontrainable": 0.3}, "interval": 1},
    "third": {"interp_cfg": {"momentum": 0.2}, "interval": 3},
    "late": {"interp_cfg": {"momentum": 0.2}, "interval": 2, "start_iter": 4},
    "warm": {"interp_mode": "warmup", "interp_cfg": {"momentum": 0.02}, "interval": 1},
    "ramp": {"interp_mode": "ramp", "interp_cfg": {"half_life_kimg": 0.03}, "interval": 2},
    "power": {"interp_mode": "power", "interp_cfg": {"sigma_rel": 0.1}, "interval": 1},
    "mean": {"interp_mode": "uniform", "interval": 1, "start_iter": 2},
}


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(together, "PIECE", 4)


def hooks(source="net", modes=MODES, kind=ExponentialMovingAverageHook):
    return [kind(f"{mode}_ema", **MODES[mode], source=source) for mode in modes]


def passes(monkeypatch):
    """Return a list that grows with the number of tensors of each lerp."""
    seen = []
    lerp = torch._foreach_lerp_

    def counted(old, new, weight):
        seen.append((len(old), isinstance(weight, list)))
        lerp(old, new, weight)

    monkeypatch.setattr(torch, "_foreach_lerp_", counted)
    return seen


def same_bits(network, other):
    """Tell whether two networks hold the same parameters and buffers."""
    mine, others = entries(network), entries(other)
    return mine.keys() == others.keys() and all(torch.equal(mine[n], others[n]) for n in mine)


def same_shadows(model, modes, alone):
    for mode in modes:
        assert same_bits(getattr(model, f"{mode}_ema"), getattr(alone[mode], f"{mode}_ema")), mode


def trained(make_runner, chosen, iterations=11, model=None, **settings):
    runner = make_runner(chosen, iterations, model, **settings)
    runner.train()
    return runner.model


@pytest.mark.parametrize("modes", [tuple(MODES), tuple(MODES)[::-1]], ids=["forth", "back"])
def test_eight_hooks_are_each_what_they_are_alone(make_runner, modes):
    chosen = hooks(modes=modes)
    joint = trained(make_runner, chosen)
    lonely = {mode: hooks(modes=[mode]) for mode in MODES}
    alone = {mode: trained(make_runner, own) for mode, own in lonely.items()}
    same_shadows(joint, MODES, alone)
    for hook, mode in zip(chosen, modes, strict=True):
        (own,) = lonely[mode]
        assert (hook.updates, hook.images) == (own.updates, own.images)


def test_their_network_is_read_once(make_runner, monkeypatch):
    chosen = hooks(modes=["slow", "fast", "warm", "power"])
    runner = make_runner(chosen, 2)
    runner.train()
    seen = passes(monkeypatch)
    runner.call_hook("after_train_iter", batch_idx=0, data_batch={"inputs": torch.zeros(4, 3)})
    # 12 weights of the first layer are 3 pieces; of six parameters, 8; and two buffers.
    assert seen == [(4 * 8, True), (4 * 2, True)]


def test_one_hook_may_keep_several_shadows(make_runner, monkeypatch):
    keys = [f"{name}_ema" for name in "abc"]
    hook = ExponentialMovingAverageHook(keys, **MODES["fast"], source="net")
    model = trained(make_runner, [hook])
    alone = trained(make_runner, hooks(modes=["fast"]))
    assert all(same_bits(getattr(model, key), alone.fast_ema) for key in keys)


class OwnMode(ExponentialMovingAverageHook):
    """Has a method of its own, and sees who is called."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.others = getattr(self, "others", [])
        self.others.append(runner.model.slow_ema[0].weight.clone())
        super().after_train_iter(runner, batch_idx, data_batch, outputs)

    @staticmethod
    def halfway(a, b, trainable=True):
        return (a + b) / 2


class Between(ShadowStates):
    priority = "HIGH"


def test_what_stands_between_sees_what_it_would(make_runner):
    """A hook of one's own and a subclass part the neighbours; nobody is early or late."""
    between = Between("power_ema")
    own = OwnMode("own_ema", "halfway", interval=1, source="net")
    chosen = [*hooks(modes=["slow", "fast"]), between, *hooks(modes=["warm"]), own]
    joint = trained(make_runner, [*chosen, *hooks(modes=["power", "mean"])])
    alone = {mode: trained(make_runner, hooks(modes=[mode])) for mode in MODES}
    same_shadows(joint, ["slow", "fast", "warm", "power", "mean"], alone)
    late = ShadowStates("power_ema")
    trained(make_runner, [*hooks(modes=["power"]), late])
    before = between.states[1:]  # what stood before an iteration is what the one before it left
    for seen, left in zip(before, late.states, strict=False):
        assert all(torch.equal(seen[name], left[name]) for name in seen)
    half = OwnMode("own_ema", "halfway", interval=1, source="net")
    lonely = trained(make_runner, [*hooks(modes=["slow"]), half])
    assert same_bits(joint.own_ema, lonely.own_ema)
    for seen, other in zip(own.others, half.others, strict=True):
        assert torch.equal(seen, other)


class Sometimes(ExponentialMovingAverageHook):
    """Decides for itself whether there is anything to do."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter % 2:
            super().after_train_iter(runner, batch_idx, data_batch, outputs)


def test_a_subclass_neither_leads_nor_follows(make_runner):
    def chosen(modes):
        kinds = {"fast": Sometimes}
        return [
            hook
            for mode in modes
            for hook in hooks(modes=[mode], kind=kinds.get(mode, ExponentialMovingAverageHook))
        ]

    modes = ["slow", "fast", "power", "mean"]
    alone = {mode: trained(make_runner, chosen([mode])) for mode in modes}
    same_shadows(trained(make_runner, chosen(modes)), modes, alone)
    same_shadows(trained(make_runner, chosen(modes[1:])), modes[1:], alone)


def test_a_shadow_of_a_shadow_takes_its_turn(make_runner):
    """In the order of the hooks: the first reads what was, the last what has become."""

    def model():
        torch.manual_seed(0)  # what is not trained, too, begins as it does in the others
        one = TinyModel()
        one.net_ema = copy.deepcopy(one.net)
        return one

    def order(names):
        settings = {
            "net": ("net_ema", "net"),
            "early": ("early_ema", "net_ema"),
            "late": ("late_ema", "net_ema"),
        }
        return [
            ExponentialMovingAverageHook(settings[n][0], **MODES["fast"], source=settings[n][1])
            for n in names
        ]

    joint = trained(make_runner, order(["early", "net", "late"]), model=model())
    early = trained(make_runner, order(["early", "net"]), model=model())
    late = trained(make_runner, order(["net", "late"]), model=model())
    assert same_bits(joint.early_ema, early.early_ema)
    assert same_bits(joint.late_ema, late.late_ema)
    assert not same_bits(joint.early_ema, joint.late_ema)


def test_a_wider_shadow_among_them(make_runner):
    def model():
        torch.manual_seed(0)  # what is not trained, too, begins as it does in the others
        one = TinyModel()
        one.third_ema = copy.deepcopy(one.net).double()
        return one

    joint = trained(make_runner, hooks(), model=model())
    assert {value.dtype for value in joint.third_ema.parameters()} == {torch.float64}
    alone = {mode: trained(make_runner, hooks(modes=[mode]), model=model()) for mode in MODES}
    same_shadows(joint, MODES, alone)


def test_parts_made_anew_are_copied_for_each(make_runner):
    def pyramid(modes):
        settings = singan_settings(tiny_singan(6), 6 * STEPS * 2)
        runner = make_runner([*hooks("generator", modes), PGGANFetchDataHook()], **settings)
        runner.train()
        return runner.model

    joint = pyramid(MODES)
    same_shadows(joint, MODES, {mode: pyramid([mode]) for mode in MODES})


def test_a_resumed_run_goes_on_as_one(make_runner, tmp_path):
    straight = trained(make_runner, hooks(), 8)
    keep = CheckpointHook(5, by_epoch=False, out_dir=str(tmp_path))
    trained(make_runner, [*hooks(), keep], 5)
    half = next(tmp_path.rglob("iter_5.pth"))
    resumed = trained(make_runner, hooks(), 8, resume=True, load_from=str(half))
    same_shadows(resumed, MODES, dict.fromkeys(MODES, straight))


def test_training_again_pairs_anew(make_runner):
    """Networks that were given other memory between two trainings are followed in the second."""
    chosen = hooks(modes=["slow", "fast"])
    runner = make_runner(chosen, 3)
    runner.train()
    for name in ("net", "slow_ema", "fast_ema"):
        network = getattr(runner.model, name)
        for value in network.parameters():
            value.data = value.data.clone()
    runner.call_hook("before_train")  # which begins the shadows anew
    before = runner.model.net[0].weight.detach().clone()
    with torch.no_grad():
        runner.model.net[0].weight.add_(1)
    runner.call_hook("after_train_iter", batch_idx=0, data_batch={"inputs": torch.zeros(4, 3)})
    for mode in ("slow", "fast"):
        share = MODES[mode]["interp_cfg"]["momentum"]
        expected = before.lerp(runner.model.net[0].weight, share)
        assert torch.equal(getattr(runner.model, f"{mode}_ema")[0].weight, expected)


def test_mmengines_own_runner_joins_them_too(make_runner, monkeypatch):
    seen = passes(monkeypatch)
    monkeypatch.setitem(make_runner.__globals__, "QuietRunner", Runner)
    joint = trained(make_runner, hooks())
    assert any(joined for _, joined in seen)
    monkeypatch.undo()
    alone = {mode: trained(make_runner, hooks(modes=[mode])) for mode in MODES}
    same_shadows(joint, MODES, alone)
