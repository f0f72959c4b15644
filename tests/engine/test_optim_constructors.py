"""Optimizers from configs, on real Runners; P6 is the fault of its model's."""

import copy

import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from tiny import TinyModel
from tiny_gan import gan_settings, tiny_gan
from torch import nn

from harness.engine.optim_constructors import (
    MultiOptimWrapperConstructor,
    PGGANOptimWrapperConstructor,
    SinGANOptimWrapperConstructor,
)
from harness.hooks import PGGANFetchDataHook
from harness.registry import register_all

register_all()
NETWORKS = ("generator", "discriminator")


def adam(lr=0.002, **more):
    return {"optimizer": {"type": "Adam", "lr": lr, "betas": (0.0, 0.99)}, **more}


class Rates(Hook):
    """Notes each optimizer's rates, and Adam's count of steps, after each iteration."""

    priority = "VERY_LOW"

    def __init__(self):
        self.seen, self.steps = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        wrappers = runner.optim_wrapper
        self.seen.append([[g["lr"] for g in w.optimizer.param_groups] for _, w in wrappers.items()])
        first = runner.model.generator.noise2feat.bias
        self.steps.append(int(wrappers["generator"].optimizer.state[first]["step"]))


def grown(make_runner, total=44, gan=None, hooks=(), **cfg):
    """Train the PGGAN of 4, 8 and 16 px for 4, 6 and then batches of 2; return its runner."""
    optim_wrapper = {"constructor": "PGGANOptimWrapperConstructor", **cfg}
    rates = Rates()
    settings = gan_settings(gan or tiny_gan(), total) | {"optim_wrapper": optim_wrapper}
    runner = make_runner([PGGANFetchDataHook(), rates, *hooks], **settings)
    runner.train()
    return runner, rates


SCHEDULE = {"generator": {"8": 0.004, "16": 0.001}, "discriminator": {16: 0.006}}


def test_p6_each_network_has_one_optimizer_and_its_own_rate_at_each_scale(make_runner):
    networks = {"generator": adam(), "discriminator": adam(0.003)}
    runner, rates = grown(make_runner, **networks, lr_schedule=SCHEDULE)
    assert [*runner.optim_wrapper.keys()] == list(NETWORKS)
    expected = [[0.002, 0.003]] * 4 + [[0.004, 0.003]] * 6 + [[0.001, 0.006]] * 2
    assert [[g[0] for g in groups] for groups in rates.seen] == [
        pytest.approx(pair) for pair in expected
    ]


def test_p6_nothing_is_printed(capsys):
    PGGANOptimWrapperConstructor({"generator": adam(), "discriminator": adam()})(tiny_gan())
    assert capsys.readouterr().out == ""


def test_p6_the_first_scale_has_its_rate_too(make_runner):
    schedule = {"generator": {"4": 0.01}}
    networks = {"generator": adam(), "discriminator": adam()}
    _, rates = grown(make_runner, **networks, lr_schedule=schedule)
    assert [groups[0][0] for groups in rates.seen] == pytest.approx([0.01] * 4 + [0.002] * 8)


@pytest.mark.parametrize(("reset", "at_8"), [(None, 1), (True, 1), (False, 5)])
def test_p6_moments_are_reset_or_kept_and_rates_change_either_way(make_runner, reset, at_8):
    cfg = {} if reset is None else {"reset_optim_for_new_scale": reset}
    networks = {"generator": adam(), "discriminator": adam()}
    _, rates = grown(make_runner, **networks, lr_schedule=SCHEDULE, **cfg)
    assert rates.steps[:5] == [1, 2, 3, 4, at_8]
    assert rates.seen[4] == [[0.004], [0.002]]


def test_p6_a_missing_schedule_is_fine(make_runner):
    _, rates = grown(make_runner, generator=adam(), discriminator=adam(0.001))
    assert rates.seen == [[[0.002], [0.001]]] * 12


def test_p6_paramwise_multipliers_hold_at_every_scale(make_runner):
    tenth = {"custom_keys": {"noise2feat": {"lr_mult": 0.1}}}
    networks = {"generator": adam(paramwise_cfg=tenth), "discriminator": adam()}
    runner, rates = grown(make_runner, **networks, lr_schedule=SCHEDULE)
    names = [name for name, _ in runner.model.generator.named_parameters()]
    for seen, rate in ((rates.seen[0], 0.002), (rates.seen[4], 0.004), (rates.seen[-1], 0.001)):
        expected = [rate * (0.1 if "noise2feat" in name else 1) for name in names]
        assert seen[0] == pytest.approx(expected)
    assert any("noise2feat" in name for name in names)


CONFIGS = {
    PGGANOptimWrapperConstructor: {
        "generator": adam(paramwise_cfg={"bias_lr_mult": 2.0}, accumulative_counts=2),
        "discriminator": adam(),
        "lr_schedule": SCHEDULE,
        "reset_optim_for_new_scale": False,
    },
    SinGANOptimWrapperConstructor: {"generator": adam(paramwise_cfg={"bias_lr_mult": 2.0})},
    MultiOptimWrapperConstructor: {"generator": adam(), "b": adam(modules=["generator"])},
}


@pytest.mark.parametrize("constructor", CONFIGS)
def test_p6_the_config_is_not_changed_and_each_call_gives_new_optimizers(constructor):
    cfg = CONFIGS[constructor]
    before = copy.deepcopy(cfg)
    construct = constructor(cfg)
    model = Pyramid() if constructor is SinGANOptimWrapperConstructor else tiny_gan()
    first, second = construct(model), construct(model)
    assert cfg == before
    for name, wrapper in first.items():
        assert wrapper.optimizer is not second[name].optimizer
        assert wrapper.get_lr() == second[name].get_lr()


def test_p6_a_resumed_run_goes_on_at_its_rates(make_runner, tmp_path):
    networks = {"generator": adam(), "discriminator": adam(), "lr_schedule": SCHEDULE}
    save = CheckpointHook(6, by_epoch=False, out_dir=str(tmp_path / "kept"))
    _, rates = grown(make_runner, hooks=[save], **copy.deepcopy(networks))
    gan, kept = tiny_gan(), torch.load(next(tmp_path.rglob("iter_6.pth")), weights_only=True)
    construct = PGGANOptimWrapperConstructor(networks)
    wrappers = construct(gan)
    assert [g[0] for g in wrappers.get_lr().values()] == [0.002, 0.002]
    wrappers.load_state_dict(kept["optimizer"])
    assert [g[0] for g in wrappers.get_lr().values()] == pytest.approx(
        [g[0] for g in rates.seen[5]]
    )


class Pyramid(BaseModel):
    """Three blocks of a generator and a critic, the one of the current scale trained."""

    def __init__(self, scales=3):
        super().__init__()
        for name in NETWORKS:
            network = nn.Module()
            network.blocks = nn.ModuleList(nn.Linear(3, 3) for _ in range(scales))
            network.other = nn.Linear(2, 2)
            self.add_module(name, network)
        self.step = 0

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return inputs

    def train_step(self, data, optim_wrapper):
        scale = self.step // 2
        self.step += 1
        for name in NETWORKS:
            out = data["inputs"]
            for block in getattr(self, name).blocks[: scale + 1]:
                out = block(out)
            optim_wrapper[f"{name}_{scale}"].update_params(out.square().mean())
        return {"loss": out.detach().mean()}


class Moved(Hook):
    """Notes which blocks each iteration changed."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.before = copy.deepcopy(runner.model.state_dict())

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        after = runner.model.state_dict()
        changed = [n for n, v in self.before.items() if not torch.equal(v, after[n])]
        self.seen.append({name.rsplit(".", 1)[0] for name in changed})


def test_singan_trains_the_block_of_a_scale_alone(make_runner):
    cfg = {"constructor": "SinGANOptimWrapperConstructor"} | {name: adam() for name in NETWORKS}
    moved = Moved()
    runner = make_runner([moved], 6, Pyramid(), optim_wrapper=cfg)
    runner.train()
    assert [*runner.optim_wrapper.keys()] == [f"{n}_{i}" for n in NETWORKS for i in range(3)]
    assert moved.seen == [{f"{name}.blocks.{step // 2}" for name in NETWORKS} for step in range(6)]


def test_singan_optimizers_are_of_each_block_with_their_paramwise_options():
    cfg = {"generator": adam(paramwise_cfg={"bias_lr_mult": 2.0})}
    model = Pyramid()
    built = SinGANOptimWrapperConstructor(cfg)(model)
    for scale, block in enumerate(model.generator.blocks):
        wrapper = built[f"generator_{scale}"]
        assert trained_by(wrapper) == weights(block)
        assert [g["lr"] for g in wrapper.optimizer.param_groups] == [0.002, 0.004]


def test_singan_a_network_without_blocks_is_named():
    with pytest.raises(TypeError, match="net has no ModuleList 'blocks'"):
        SinGANOptimWrapperConstructor({"net": adam()})(TinyModel())


def trained_by(wrapper):
    return {id(p) for group in wrapper.optimizer.param_groups for p in group["params"]}


def weights(*modules):
    return {id(p) for module in modules for p in module.parameters()}


def test_multi_gives_each_network_its_optimizer():
    model = Pyramid()
    cfg = {"generator": adam(accumulative_counts=3), "discriminator": adam(0.1)}
    built = MultiOptimWrapperConstructor(cfg)(model)
    assert isinstance(built, OptimWrapperDict)
    assert trained_by(built["generator"]) == weights(model.generator)
    assert trained_by(built["discriminator"]) == weights(model.discriminator)
    assert built["generator"]._accumulative_counts == 3
    assert built.get_lr() == {"generator.lr": [0.002], "discriminator.lr": [0.1]}


def test_multi_finds_nested_networks_by_name_expression_and_list():
    model = Pyramid()
    cfg = {
        "generator.other": adam(),
        r".*blocks\.0": adam(),
        "rest": adam(modules=["discriminator.other", r"discriminator\.blocks\.[12]"]),
    }
    built = MultiOptimWrapperConstructor(cfg)(model)
    critic = model.discriminator
    assert trained_by(built["generator.other"]) == weights(model.generator.other)
    assert trained_by(built[r".*blocks\.0"]) == weights(model.generator.blocks[0], critic.blocks[0])
    assert trained_by(built["rest"]) == weights(critic.other, *critic.blocks[1:])


def test_multi_trains_several_networks_by_one_optimizer_each_weight_once():
    model = Pyramid()
    cfg = {"modules": ["generator", ".*other"], **adam(paramwise_cfg={"bias_lr_mult": 2.0})}
    built = MultiOptimWrapperConstructor(cfg)(model)
    assert isinstance(built, OptimWrapper)
    assert trained_by(built) == weights(model.generator, model.discriminator.other)
    params = [p for group in built.optimizer.param_groups for p in group["params"]]
    assert len(params) == len(trained_by(built))
    assert {group["lr"] for group in built.optimizer.param_groups} == {0.002, 0.004}


def test_multi_runs_from_a_config(make_runner):
    cfg = {"constructor": "MultiOptimWrapperConstructor", "modules": ["net"], **adam()}
    runner = make_runner((), 2, optim_wrapper=cfg)
    runner.train()
    assert runner.optim_wrapper.get_lr()["lr"] == [0.002]


@pytest.mark.parametrize("constructor", CONFIGS)
def test_what_cannot_be_meant_is_refused(constructor):
    with pytest.raises(ValueError, match="paramwise_cfg: give each network's optimizer its own"):
        constructor({"generator": adam()}, {"bias_lr_mult": 2.0})
    with pytest.raises(TypeError, match=r"generator: \{'lr': 1\} has no optimizer"):
        constructor({"generator": {"lr": 1}})
    with pytest.raises(ValueError, match="names no network"):
        constructor({})
    with pytest.raises(ValueError, match=r"'painter'; there are .*generator, discriminator"):
        constructor({"painter": adam()})(tiny_gan())


def test_p6_a_schedule_of_a_network_that_is_not_trained_is_named():
    with pytest.raises(ValueError, match="no optimizer for critic; there are generator"):
        PGGANOptimWrapperConstructor({"generator": adam(), "lr_schedule": {"critic": {8: 1}}})


def test_p6_a_model_without_scales_is_named():
    with pytest.raises(TypeError, match="TinyModel has no scales with rates of their own"):
        PGGANOptimWrapperConstructor({"net": adam()})(TinyModel())
