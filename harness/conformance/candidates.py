"""Who is asked, and how each library is told a case's setting in its own documented words.

A candidate either makes an average for a case, or says why it cannot be asked. What it then does
is its own: nothing here corrects it.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from harness.conformance.cases import Case
from harness.conformance.runners import MmengineHookRun, OurHookRun
from harness.conformance.trajectory import entries


@runtime_checkable
class Averaging(Protocol):
    """What every average can do: follow its network."""

    def update(self) -> None:
        """Follow the network; called after every optimizer step, from the first on."""


@runtime_checkable
class WithNetwork(Protocol):
    """An average that holds a network with the averaged entries."""

    network: nn.Module


@runtime_checkable
class WithState(Protocol):
    """An average that names its averaged entries."""

    def state(self) -> Mapping[str, Tensor]:
        """Return the averaged parameters and buffers, by the network's names."""


@runtime_checkable
class Resumable(Protocol):
    """An average that can be kept and loaded."""

    def state_dict(self) -> Any:
        """Return all that is needed to go on."""

    def load_state_dict(self, state: Any) -> Any:
        """Go on from there."""


Make = Callable[[nn.Module, Case], Averaging | None]
"""Makes an average of a network, before its first step; None where a case is not supported."""


def averaged(average: Averaging) -> Mapping[str, Tensor]:
    """Return an average's entries by name.

    Raises:
        TypeError: if it has neither ``state()`` nor ``network``.
    """
    if isinstance(average, WithState):
        return average.state()
    if isinstance(average, WithNetwork):
        return entries(average.network)
    raise TypeError(f"{type(average).__name__} has neither state() nor network")


@dataclass(frozen=True)
class Candidate:
    """Somebody's average.

    Args:
        name: as the tables print it.
        make: makes one for a case.
        refusal: why a case cannot be asked, or an empty text.
        package: the distribution that has to be installed.
    """

    name: str
    make: Make
    refusal: Callable[[Case], str] = lambda case: ""
    package: str | None = None

    @property
    def version(self) -> str | None:
        """The installed version; None where it is not installed."""
        try:
            return version(self.package or "gan-harness")
        except PackageNotFoundError:
            return None


class _Library(ABC):
    """A library's average in a training loop that counts its own iterations."""

    def __init__(self, average: Any, network: nn.Module, shadow: nn.Module) -> None:
        self.average: Any = average
        self.source = network
        self.network = shadow
        self.iteration = 0

    def update(self) -> None:
        """Do what the library's documentation puts after an optimizer step."""
        self.follow()
        self.iteration += 1

    @abstractmethod
    def follow(self) -> None:
        """Update, if the iteration asks for it."""

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average.state_dict(), "iteration": self.iteration}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.average.load_state_dict(state["average"])
        self.iteration = state["iteration"]


class _Torch(_Library):
    """AveragedModel: when to update is its caller's, as in its documentation's example."""

    def __init__(self, network: nn.Module, case: Case) -> None:
        from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

        mean = case.setting.interp_mode == "uniform"
        function = None if mean else get_ema_multi_avg_fn(1 - case.momentum)
        average = AveragedModel(
            network, multi_avg_fn=function, use_buffers=case.nontrainable == case.momentum
        )
        super().__init__(average, network, average.module)
        self.setting = case.setting

    def follow(self) -> None:
        since = self.iteration + 1 - self.setting.start_iter
        if since > 0 and since % self.setting.interval == 0:
            self.average.update_parameters(self.source)


class _Timm(_Library):
    """ModelEmaV3: steps are counted from 1, as timm's own training script does."""

    def __init__(self, network: nn.Module, case: Case) -> None:
        from timm.utils.model_ema import ModelEmaV3

        cfg, mean = case.setting.interp_cfg, case.setting.interp_mode == "uniform"
        average = ModelEmaV3(
            network,
            decay=1.0 if mean else 1 - case.momentum,
            update_after_step=case.setting.start_iter,
            use_warmup=case.setting.interp_mode != "lerp",
            warmup_gamma=cfg.get("inv_gamma", 1.0),
            warmup_power=1.0 if mean else cfg.get("power", 2 / 3),
            dtype=None if case.dtype == case.shadow_dtype else getattr(torch, case.shadow_dtype),
            exclude_buffers=case.nontrainable == 1,
        )
        super().__init__(average, network, average.module)
        self.setting = case.setting

    def follow(self) -> None:
        counts = self.setting.start_iter > 0 or self.setting.interp_mode != "lerp"
        if (self.iteration + 1 - self.setting.start_iter) % self.setting.interval == 0 or (
            self.iteration < self.setting.start_iter
        ):
            self.average.update(self.source, step=self.iteration + 1 if counts else None)


class _EmaPytorch(_Library):
    """EMA: min_value = beta is how it is told to have no warm-up."""

    def __init__(self, network: nn.Module, case: Case) -> None:
        from ema_pytorch import EMA

        cfg, mode = case.setting.interp_cfg, case.setting.interp_mode
        beta = 0.9999 if mode == "uniform" else 1 - case.momentum
        wider = case.dtype != case.shadow_dtype
        shadow = copy.deepcopy(network).to(getattr(torch, case.shadow_dtype)) if wider else None
        copied = {name for name, _ in network.named_buffers()} | {
            name for name, p in network.named_parameters() if not p.requires_grad
        }
        average = EMA(
            network,
            ema_model=shadow,
            coerce_dtype=wider,
            beta=beta,
            min_value=beta if mode == "lerp" else 0.0,
            inv_gamma=cfg.get("inv_gamma", 1.0),
            power=1.0 if mode == "uniform" else cfg.get("power", 2 / 3),
            update_after_step=case.setting.start_iter,
            update_every=case.setting.interval,
            param_or_buffer_names_no_ema=copied if case.nontrainable == 1 else set(),
            include_online_model=False,
            use_foreach=True,
        )
        super().__init__(average, network, average.ema_model)

    def follow(self) -> None:
        self.average.update()


def make_ours(network: nn.Module, case: Case) -> Averaging:
    """Make this harness's own hook, in a real Runner."""
    return OurHookRun(network, case)


def _buffers(case: Case) -> str:
    if case.nontrainable in (1, case.momentum):
        return ""
    return "buffers are copied or share the weights' momentum"


def _modes(case: Case, *known: str) -> str:
    mode = case.setting.interp_mode
    return "" if mode in known else f"has no {mode} schedule"


def _same_dtype(case: Case) -> str:
    return "" if case.dtype == case.shadow_dtype else "the shadow has the network's dtype"


def _torch_refusal(case: Case) -> str:
    return _modes(case, "lerp", "uniform") or _same_dtype(case) or _buffers(case)


def _warm_refusal(case: Case) -> str:
    return _modes(case, "lerp", "warmup", "uniform") or _buffers(case)


def _mmengine_refusal(case: Case) -> str:
    if case.setting.interp_mode == "warmup" and case.setting.interp_cfg.get("power") != 1:
        return "its annealing has power 1 alone"
    return _warm_refusal(case) or _same_dtype(case)


OURS = Candidate("ours", make_ours)
CANDIDATES = (
    OURS,
    Candidate("torch", _Torch, _torch_refusal, "torch"),
    Candidate("timm", _Timm, _warm_refusal, "timm"),
    Candidate("ema-pytorch", _EmaPytorch, _warm_refusal, "ema-pytorch"),
    Candidate("mmengine", MmengineHookRun, _mmengine_refusal, "mmengine"),
)
