"""ExponentialMovingAverageHook on a real Runner; E-numbers are the faults it must not have."""

from collections import Counter

import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook
from tiny import ShadowStates, TinyModel
from tiny_gan import NOISE_SIZE, gan_settings, same_bits, tiny_gan
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness.hooks import ExponentialMovingAverageHook, PGGANFetchDataHook


def test_e1_a_shadow_starts_from_the_initialised_weights(make_runner):
    hook = ExponentialMovingAverageHook("net_ema", interp_cfg={"momentum": 1e-9}, interval=1)
    runner = make_runner([hook], 1)
    runner.train()
    expected = TinyModel()
    expected.init_weights()
    for shadow, initial in zip(
        runner.model.net_ema.parameters(), expected.net.parameters(), strict=True
    ):
        torch.testing.assert_close(shadow, initial)


def test_e2_never_updating_is_kept_and_said():
    with pytest.warns(UserWarning, match="never updates"):
        ExponentialMovingAverageHook("net_ema")


def test_e3_phase_of_interval(make_runner):
    """start_iter=3, interval=5: copies until iteration 2, then 0-based iterations 7 and 12."""
    hook = ExponentialMovingAverageHook(
        "net_ema", interp_cfg={"momentum": 0.5}, interval=5, start_iter=3
    )
    watch = ShadowStates()
    make_runner([hook, watch], 14).train()
    weights = [state["0.weight"] for state in watch.states]
    changed = [i for i in range(1, 14) if not torch.equal(weights[i], weights[i - 1])]
    assert changed == [1, 2, 7, 12]


class Operations(TorchDispatchMode):
    """Counts what is asked of torch."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names[func.__name__] += 1
        return func(*args, **(kwargs or {}))


def test_e4_an_update_is_one_fused_operation_a_kind_of_entry(make_runner):
    hook = ExponentialMovingAverageHook("net_ema", interp_cfg={"momentum": 0.1}, interval=1)
    runner = make_runner([hook], 3)
    runner.train()
    where = [p.data_ptr() for p in runner.model.net_ema.parameters()]
    batch = {"inputs": torch.zeros(4, 3)}
    with Operations() as operations:
        hook.after_train_iter(runner, 0, batch)
    # Parameters together, float buffers together, the one integer by a copy; nothing allocated.
    assert operations.names == {"_foreach_lerp_.Scalar": 2, "copy_.default": 1}
    assert where == [p.data_ptr() for p in runner.model.net_ema.parameters()]


def test_e5_integer_buffers_are_copied(make_runner):
    hook = ExponentialMovingAverageHook(
        "net_ema", interp_cfg={"momentum": 0.1, "momentum_nontrainable": 0.25}, interval=1
    )
    runner = make_runner([hook], 8)
    runner.train()
    assert int(runner.model.net_ema[1].num_batches_tracked) == 8


class FreezeDuringStep(Hook):
    """Leaves the network frozen between steps, as alternating GAN phases do."""

    priority = "VERY_HIGH"

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        runner.model.net.requires_grad_(True)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        runner.model.net.requires_grad_(False)


def test_e6_weights_frozen_by_a_phase_are_still_averaged(make_runner):
    def trained(*more):
        hook = ExponentialMovingAverageHook("net_ema", interp_cfg={"momentum": 0.1}, interval=1)
        runner = make_runner([hook, *more], 5)
        runner.train()
        return runner.model

    plain, frozen = trained(), trained(FreezeDuringStep())
    assert torch.equal(plain.net_ema[0].weight, frozen.net_ema[0].weight)
    assert not torch.equal(frozen.net_ema[0].weight, frozen.net[0].weight)


def test_e8_a_network_that_has_drawn_can_be_shadowed(make_runner):
    gan = tiny_gan()
    gan.generator(torch.zeros(2, NOISE_SIZE))  # a forward pass leaves nothing that resists a copy
    hook = ExponentialMovingAverageHook(
        "g_ema", interp_cfg={"momentum": 0.5}, interval=1, source="generator"
    )
    make_runner([hook, PGGANFetchDataHook()], **gan_settings(gan)).train()
    assert not same_bits(gan.g_ema, gan.generator)


def test_e8_a_shadow_is_not_trained(make_runner):
    hook = ExponentialMovingAverageHook("net_ema", interval=1)
    runner = make_runner([hook], 1)
    runner.train()
    assert not any(p.requires_grad for p in runner.model.net_ema.parameters())


@pytest.mark.parametrize(
    ("keys", "source", "missing"), [("lost_ema", None, "lost"), ("net_ema", "gone", "gone")]
)
@pytest.mark.parametrize("shadowed", [False, True], ids=["bare", "with its shadow"])
def test_e9_a_missing_network_is_named(make_runner, keys, source, missing, shadowed):
    model = TinyModel()
    if shadowed:
        setattr(model, keys, nn.Linear(3, 4))
    hook = ExponentialMovingAverageHook(keys, interval=1, source=source)
    with pytest.raises(RuntimeError, match=f"no network '{missing}'"):
        make_runner([hook], 1, model).train()


def test_e10_several_shadows_of_one_network(make_runner):
    hooks = [
        ExponentialMovingAverageHook(
            f"m{index}_ema", interp_cfg={"momentum": momentum}, interval=1, source="net"
        )
        for index, momentum in enumerate((0.9, 0.1))
    ]
    runner = make_runner(hooks, 6)
    runner.train()
    now = runner.model.net[0].weight
    near, far = ((getattr(runner.model, f"m{i}_ema")[0].weight - now).norm() for i in (0, 1))
    assert 0 < near < far


def test_e11_by_default_a_new_value_weighs_a_thousandth(make_runner):
    """The peer's PGGAN went from a decay of 0.999 to 0.9998 with nobody told."""
    shadows = []
    for cfg in (None, {"momentum": 1 - 0.999}):
        runner = make_runner([ExponentialMovingAverageHook("net_ema", "lerp", cfg, 1)], 5)
        runner.train()
        shadows.append(runner.model.net_ema[0].weight)
    torch.testing.assert_close(*shadows, rtol=1e-7, atol=0)


def test_e12_counter_and_weights_survive_a_resume(make_runner, tmp_path):
    """The warm-up schedule depends on the count of updates: 4 + 4 must be 8."""

    def hook():
        return ExponentialMovingAverageHook("net_ema", "warmup", {"momentum": 0.01}, interval=1)

    straight = make_runner([hook()], 8)
    straight.train()
    first = make_runner([hook(), CheckpointHook(4, by_epoch=False, out_dir=str(tmp_path))], 4)
    first.train()
    half = next(tmp_path.rglob("iter_4.pth"))
    second = make_runner([hook()], 8, resume=True, load_from=str(half))
    second.train()
    for a, b in zip(
        straight.model.net_ema.parameters(), second.model.net_ema.parameters(), strict=True
    ):
        assert torch.equal(a, b)


def test_e12_a_checkpoint_without_the_shadow_is_said(make_runner, tmp_path):
    first = make_runner([], 2)
    first.train()
    first.save_checkpoint(str(tmp_path), "bare.pth", by_epoch=False)
    hook = ExponentialMovingAverageHook("net_ema", interp_cfg={"momentum": 1e-9}, interval=1)
    second = make_runner([hook], 3, resume=True, load_from=str(tmp_path / "bare.pth"))
    with pytest.warns(UserWarning, match="holds no net_ema"):
        second.train()
    loaded = torch.load(tmp_path / "bare.pth")["state_dict"]["net.0.weight"]
    torch.testing.assert_close(second.model.net_ema[0].weight, loaded)


def test_e13_other_hooks_see_the_shadow_of_this_iteration(make_runner):
    class Early(ShadowStates):
        priority = "NORMAL"

    early, late = Early(), ShadowStates()
    hook = ExponentialMovingAverageHook("net_ema", interp_cfg={"momentum": 0.5}, interval=1)
    make_runner([early, hook, late], 4).train()
    assert all(
        torch.equal(a["0.weight"], b["0.weight"])
        for a, b in zip(early.states, late.states, strict=True)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"module_keys": "net"}, "has to end in '_ema'"),
        ({"module_keys": ["net_ema", 3]}, "3 has to end"),
        ({"module_keys": "net_ema", "interval": 0}, "interval: 0"),
        ({"module_keys": "net_ema", "interval": 1, "start_iter": -1}, "start_iter: -1"),
        ({"module_keys": "net_ema", "interp_mode": "lurp", "interval": 1}, "'lurp' is not one of"),
        ({"module_keys": "net_ema", "interp_cfg": {"momentom": 1}, "interval": 1}, "momentom"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ExponentialMovingAverageHook(**arguments)
