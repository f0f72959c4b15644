"""What the EMA hook computes: the reference vectors, types, and a method of one's own."""

import copy
import json
import warnings

import pytest
import torch
from mmengine.model import BaseModel
from tiny import VECTORS, ShadowStates, TinyModel
from torch import nn

from harness.hooks import EMACertificateHook, ExponentialMovingAverageHook

CASES = json.loads((VECTORS / "ema.json").read_text())


class Scripted(BaseModel):
    """A network whose state is dictated at each iteration."""

    def __init__(self, steps):
        super().__init__()
        self.net, self.net_ema = self.network(), self.network()
        self.steps = iter(steps)

    @staticmethod
    def network():
        net = nn.Module()
        net.w = nn.Parameter(torch.zeros(3))
        net.frozen = nn.Parameter(torch.zeros(2), requires_grad=False)
        net.register_buffer("mean", torch.zeros(2))
        net.register_buffer("count", torch.zeros((), dtype=torch.long))
        net.register_buffer("scratch", torch.zeros(1), persistent=False)
        return net

    def train_step(self, data, optim_wrapper):
        step = next(self.steps)["orig"]
        with torch.no_grad():
            for name, value in step.items():
                getattr(self.net, name).copy_(torch.tensor(value))
            self.net.scratch.add_(1)
        return {"loss": torch.zeros(())}

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return inputs


@pytest.mark.parametrize("case", CASES, ids=lambda case: json.dumps(case["hook"]))
def test_reference_vectors(case, make_runner):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        hook = ExponentialMovingAverageHook("net_ema", **case["hook"])
    watch = ShadowStates()
    model = Scripted(case["steps"])
    make_runner([hook, watch], len(case["steps"]), model, default_hooks=_quiet()).train()
    truncates = case["hook"].get("interp_cfg", {}).get("momentum_nontrainable", 1) < 1
    for step, state in zip(case["steps"], watch.states, strict=True):
        for name, expected in step["ema"].items():
            if name == "count" and truncates:
                continue  # E5: an integer is copied here, not averaged and cut
            torch.testing.assert_close(
                state[name].double(), torch.tensor(expected).double(), rtol=1e-6, atol=1e-7
            )


def _quiet():
    return {"logger": None, "checkpoint": None, "runtime_info": None, "timer": None}


class Bf16Model(TinyModel):
    """Computes and learns in bfloat16."""

    def init_weights(self):
        super().init_weights()
        self.net.to(torch.bfloat16)

    def train_step(self, data, optim_wrapper):
        return super().train_step({"inputs": data["inputs"].bfloat16()}, optim_wrapper)


def test_bf16_weights_have_a_float32_shadow_that_does_not_stall(make_runner):
    model = Bf16Model()
    model.to(torch.bfloat16)
    hook = ExponentialMovingAverageHook("net_ema", interp_cfg={"momentum": 0.001}, interval=1)
    certificate = EMACertificateHook()
    make_runner([hook, certificate], 100, model).train()
    assert {p.dtype for p in model.net.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in model.net_ema.parameters()} == {torch.float32}
    assert certificate.certificates["net_ema"].error < 1e-6


def test_a_shadow_in_bf16_is_warned_of(make_runner):
    model = TinyModel()
    model.net_ema = copy.deepcopy(model.net).to(torch.bfloat16)
    with pytest.warns(UserWarning, match=r"net_ema: kept in torch\.bfloat16"):
        make_runner([ExponentialMovingAverageHook("net_ema", interval=1)], 1, model).train()


class OwnMode(ExponentialMovingAverageHook):
    """A user's own elementwise interpolation."""

    @staticmethod
    def halfway(a, b, trainable=True):
        return (a + b) / 2


def test_an_own_static_method_equals_lerp_of_one_half(make_runner):
    def shadow(hook):
        runner = make_runner([hook], 5)
        runner.train()
        return runner.model.net_ema[0].weight

    own = shadow(OwnMode("net_ema", "halfway", interval=1))
    fused = shadow(
        ExponentialMovingAverageHook("net_ema", interp_cfg={"momentum": 0.5}, interval=1)
    )
    torch.testing.assert_close(own, fused)


def test_lerp_is_the_documented_formula():
    a, b = torch.tensor([1.0]), torch.tensor([3.0])
    lerp = ExponentialMovingAverageHook.lerp
    assert lerp(a, b, momentum=0.25).item() == 2.5
    assert lerp(a, b, momentum=0.25, trainable=False).item() == 1.0
