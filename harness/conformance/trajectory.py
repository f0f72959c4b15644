"""A small network that is really trained, once a case; every average then sees the same bits.

E entries of a state (all parameters and buffers, flattened) after each of T iterations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from harness.conformance.cases import BATCH_NORM, FROZEN, SCRATCH, TIED, Case
from harness.ema.closed_form import Floats
from harness.seeding import derive_seed, generator

WEIGHTS, TIED_WEIGHTS, FROZEN_PARAMETERS = "weights", "tied weights", "frozen parameters"
BUFFERS, NON_PERSISTENT, INTEGERS = "buffers", "non-persistent buffers", "integer buffers"
_WIDTH, _INPUTS = 6, 4


class Small(nn.Module):
    """Two hidden layers of six, and the parts that a case asks for."""

    scratch: Tensor
    temperature: nn.Parameter

    def __init__(self, parts: frozenset[str]) -> None:
        super().__init__()
        # A bias before a normalisation would never move, and so show nothing.
        self.first = nn.Linear(_INPUTS, _WIDTH, bias=BATCH_NORM not in parts)
        self.norm = nn.BatchNorm1d(_WIDTH) if BATCH_NORM in parts else nn.Identity()
        self.inner = nn.Linear(_WIDTH, _WIDTH)
        self.again = nn.Linear(_WIDTH, _WIDTH)
        if TIED in parts:
            self.again.weight = self.inner.weight
        if FROZEN in parts:
            self.temperature = nn.Parameter(torch.ones(1), requires_grad=False)
        if SCRATCH in parts:
            self.register_buffer("scratch", torch.zeros(_WIDTH), persistent=False)
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 4) to (N, 6)."""
        x = torch.tanh(self.norm(self.first(x)))
        if SCRATCH in self.parts:
            self.scratch.lerp_(x.detach().mean(0), 0.2)
        if FROZEN in self.parts:
            x = x / self.temperature
        out: Tensor = self.again(torch.tanh(self.inner(x)))
        return out

    @torch.no_grad()
    def anneal(self, iteration: int) -> None:
        """Set what no optimizer trains."""
        if FROZEN in self.parts:
            self.temperature.fill_(1 + 1 / (1 + 0.1 * iteration))


def make_network(case: Case) -> Small:
    """Return the network as initialised: a function of the case's parts and dtype alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(0, "conformance network"))
        network = Small(case.parts)
    return network.to(getattr(torch, case.dtype))


def entries(network: nn.Module) -> dict[str, Tensor]:
    """Return every parameter and buffer by name, a shared one once."""
    return dict(network.named_parameters()) | dict(network.named_buffers())


@dataclass(frozen=True)
class Trajectory:
    """A training as it went.

    Args:
        case: what was trained.
        states: every entry as initialised, and after each iteration: T + 1 states.
        groups: which kind of entry each name is.
    """

    case: Case
    states: tuple[Mapping[str, Tensor], ...]
    groups: Mapping[str, str]

    @cached_property
    def values(self) -> Mapping[str, Floats]:
        """Each entry in float64, of shape (T + 1, size)."""
        return {name: np.stack([flat(s[name]) for s in self.states]) for name in self.groups}

    @torch.no_grad()
    def walk(self, network: nn.Module, after: int) -> None:
        """Put a network where the training stood after so many iterations, in place."""
        own = entries(network)
        for name, value in self.states[after].items():
            own[name].copy_(value)
        for parameter in network.parameters():
            trained = after == 0 or not self.case.phase_off[after - 1]
            parameter.requires_grad_(trained and parameter is not own.get("temperature"))

    def untouched(self, network: nn.Module, after: int) -> bool:
        """Tell whether a network still is where it was put, to the bit."""
        own = entries(network)
        return all(torch.equal(own[name], value) for name, value in self.states[after].items())


def record(case: Case) -> Trajectory:
    """Train the case's network and keep every step."""
    network = make_network(case)
    kinds = {"sgd": (torch.optim.SGD, 0.3), "adam": (torch.optim.Adam, 0.02)}
    optimizer_type, lr = kinds[case.optimizer]
    optimizer = optimizer_type([p for p in network.parameters() if p.requires_grad], lr)
    groups = _groups(network)
    states = [_snapshot(network)]
    for iteration, (x, y) in enumerate(_batches(case)):
        network.anneal(iteration)
        optimizer.zero_grad()
        (network(x) - y).square().mean().backward()
        optimizer.step()
        states.append(_snapshot(network))
    return Trajectory(case, tuple(states), groups)


def flat(value: Tensor) -> Floats:
    """Return a tensor's elements in float64, of shape (size,)."""
    array: Floats = value.detach().to("cpu", torch.float64).flatten().numpy()
    return array


def _batches(case: Case) -> Iterator[tuple[Tensor, Tensor]]:
    draw = generator(0, "conformance data")
    teacher = torch.randn(_INPUTS, _WIDTH, generator=draw, dtype=torch.float64)
    for size in case.batch_sizes.tolist():
        x = torch.randn(size, _INPUTS, generator=draw, dtype=torch.float64)
        y = torch.sin(x @ teacher)
        dtype = getattr(torch, case.dtype)
        yield x.to(dtype), y.to(dtype)


def _snapshot(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in entries(network).items()}


def _groups(network: nn.Module) -> dict[str, str]:
    places = [id(value) for value in network.state_dict(keep_vars=True).values()]
    trained = {name: p.requires_grad for name, p in network.named_parameters()}

    def group(name: str, value: Tensor) -> str:
        if name in trained:
            if not trained[name]:
                return FROZEN_PARAMETERS
            return TIED_WEIGHTS if places.count(id(value)) > 1 else WEIGHTS
        if not value.is_floating_point():
            return INTEGERS
        return BUFFERS if id(value) in places else NON_PERSISTENT

    return {name: group(name, value) for name, value in entries(network).items()}
