"""Averages with one planted fault each, and what the right one needs: a small average by hand."""

import torch
from torch import nn


class HandEma:
    """A lerp by hand, with every rule of the setting written out."""

    def __init__(self, network, case, fault=""):
        self.source, self.case, self.fault = network, case, fault
        self.shadow = make_shadow(network, case, fault)
        self.trained = {name for name, p in network.named_parameters() if p.requires_grad}
        self.iteration, self.updates, self.images, self.last = 0, 0, 0, 0
        self.previous = {name: value.clone() for name, value in named(network).items()}

    def state(self):
        return named(self.shadow)

    def weight(self, name):
        setting = self.case.setting
        if name not in self.trained:
            return self.case.nontrainable
        if self.fault == "frozen" and not dict(self.source.named_parameters())[name].requires_grad:
            return 1.0
        momentum = self.case.momentum
        if setting.interp_mode == "warmup":
            cfg = setting.interp_cfg
            rising = (1 + self.updates / cfg.get("inv_gamma", 1)) ** -cfg.get("power", 2 / 3)
            return max(rising, momentum)
        return 1 - momentum if self.fault == "inverted" else momentum

    @torch.no_grad()
    def update(self):
        start, interval = self.case.setting.start_iter, self.case.setting.interval
        since, self.iteration = self.iteration + 1 - start, self.iteration + 1
        seen = self.previous if self.fault == "late" else named(self.source)
        skipped = self.fault == "skipped" and self.iteration == 41
        for name, shadow in self.state().items():
            if self.fault == "buffers" and name not in self.trained:
                continue
            if since <= 0 or (since % interval == 0 and not shadow.is_floating_point()):
                shadow.copy_(seen[name])
            elif since % interval == 0 and not skipped:
                shadow.lerp_(seen[name].to(shadow.dtype), self.weight(name))
        self.updates += since > 0 and since % interval == 0
        self.previous = {name: value.clone() for name, value in named(self.source).items()}

    def state_dict(self):
        return {
            "shadow": self.shadow.state_dict(),
            "iteration": self.iteration,
            "updates": 0 if self.fault == "counter" else self.updates,
        }

    def load_state_dict(self, state):
        self.shadow.load_state_dict(state["shadow"])
        self.iteration, self.updates = state["iteration"], state["updates"]


def named(network):
    return dict(network.named_parameters()) | dict(network.named_buffers())


def make_shadow(network, case, fault):
    import copy

    shadow = copy.deepcopy(network)
    return shadow if fault == "narrow" else shadow.to(getattr(torch, case.shadow_dtype))


def making(fault):
    def make_ema(network, case):
        known = case.setting.interp_mode in ("lerp", "warmup")
        return HandEma(network, case, fault) if known else None

    return make_ema


make_right = making("")
make_inverted = making("inverted")
make_late = making("late")
make_skipped = making("skipped")
make_buffers = making("buffers")
make_frozen = making("frozen")
make_counter = making("counter")
make_narrow = making("narrow")


class ParametersAlone(HandEma):
    """As many averages are: no buffers, and nothing to resume."""

    state_dict = load_state_dict = None

    def state(self):
        return dict(self.shadow.named_parameters())


class Swapping(HandEma):
    """Leaves the average in the network that is trained."""

    @torch.no_grad()
    def update(self):
        super().update()
        for name, value in named(self.source).items():
            value.copy_(self.state()[name])


class Raising(HandEma):
    """Cannot go on after the tenth iteration."""

    def update(self):
        super().update()
        if self.iteration == 10:
            raise KeyError("no such\nweight")


class NoUpdate:
    """Is no average."""

    network = nn.Linear(1, 1)


class NoState:
    """Keeps its average to itself."""

    def update(self):
        pass


def make_nothing(network, case):
    return None


def make_no_update(network, case):
    return NoUpdate()


def make_no_state(network, case):
    return NoState()


def make_of_one(network):
    return None


NUMBER = 3
