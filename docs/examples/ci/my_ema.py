"""An average as a project might have it, and what `harness check-ema` wants of it."""

import copy

import torch


class MyEma:
    """shadow <- shadow + (1 - decay) (weights - shadow) after each step; buffers are copied."""

    def __init__(self, network, decay, start_step=0):
        self.shadow = copy.deepcopy(network).requires_grad_(False)
        self.trained = {name for name, p in network.named_parameters() if p.requires_grad}
        self.decay, self.start_step, self.step = decay, start_step, 0

    @torch.no_grad()
    def update(self, network):
        self.step += 1
        live = dict(network.named_parameters()) | dict(network.named_buffers())
        mine = dict(self.shadow.named_parameters()) | dict(self.shadow.named_buffers())
        for name, value in mine.items():
            if self.step <= self.start_step or name not in self.trained:
                value.copy_(live[name])
            else:
                value.lerp_(live[name].to(value.dtype), 1 - self.decay)


class Checked:
    """The object that is checked: it hears of every step, and shows the averaged network."""

    def __init__(self, network, case):
        self.source = network
        self.ema = MyEma(network, 1 - case.momentum, case.setting.start_iter)
        self.network = self.ema.shadow

    def update(self):
        self.ema.update(self.source)

    def state_dict(self):
        return {"shadow": self.network.state_dict(), "step": self.ema.step}

    def load_state_dict(self, state):
        self.network.load_state_dict(state["shadow"])
        self.ema.step = state["step"]


def make_ema(network, case):
    """Return the average that the case asks for; None for one that MyEma does not have."""
    setting = case.setting
    lerp = setting.interp_mode == "lerp" and setting.interval == 1
    return Checked(network, case) if lerp and case.nontrainable == 1 and _as_is(case) else None


def _as_is(case):
    return case.dtype == case.shadow_dtype  # MyEma keeps the network's type
