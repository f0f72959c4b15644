"""Hooks that average, each in a real mmengine Runner whose training step is already taken."""

import contextlib
import copy
import io
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from harness import compat  # noqa: F401  (before anything of mmengine)

# isort: split
from mmengine.hooks import EMAHook, Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from harness.conformance.cases import Case
from harness.conformance.trajectory import entries
from harness.engine.runner import QuietRunner
from harness.hooks.ema import ExponentialMovingAverageHook


class _Stepped(BaseModel):
    """A model whose network has been stepped before the Runner's iteration."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.net = network

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        return {"loss": torch.zeros(())}

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Tensor:
        out: Tensor = self.net(inputs)
        return out


class _Keep(Hook):
    """Writes one checkpoint where mmengine's CheckpointHook does: within the iteration."""

    priority = "VERY_LOW"

    def __init__(self, after: int | None) -> None:
        self.after = after
        self.file = b""

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter + 1 == self.after:
            with tempfile.TemporaryDirectory() as folder:
                runner.save_checkpoint(folder, _FILE, by_epoch=False)
                self.file = Path(folder, _FILE).read_bytes()


class HookRun(ABC):
    """Hooks on one Runner, which has done all that comes before its first iteration."""

    def __init__(self, network: nn.Module, case: Case) -> None:
        self.case = case
        self.source = network
        self._begin(None)

    @abstractmethod
    def make_hooks(self, model: nn.Module, case: Case) -> list[Hook]:
        """Return the hooks as their documentation sets them up for the case."""

    @abstractmethod
    def state(self) -> Mapping[str, Tensor]:
        """Return the shadows' entries."""

    def update(self) -> None:
        """Run one iteration of the loop, its hooks and all."""
        self.runner.train_loop.run_iter({"inputs": self._batch(self.runner.iter)})

    def hooks_alone(self) -> None:
        """Call what the hooks do after an iteration, without the loop around them."""
        batch = {"inputs": self._batch(0)}
        for hook in self.hooks:
            hook.after_train_iter(self.runner, 0, batch, None)

    def state_dict(self) -> dict[str, bytes]:
        """Return the checkpoint that the Runner wrote at the case's resume."""
        return {_FILE: self._keep.file}

    def load_state_dict(self, state: Mapping[str, bytes]) -> None:
        """Resume from a checkpoint, with a new model, hook and Runner."""
        self._begin(state[_FILE])

    def _batch(self, iteration: int) -> Tensor:
        return torch.zeros(int(self.case.batch_sizes[iteration]), 1)

    def _begin(self, checkpoint: bytes | None) -> None:
        """Do what Runner.train does before its loop, in its order."""
        self.model = _Stepped(self.source)
        self.hooks = self.make_hooks(self.model, self.case)
        self._keep = _Keep(self.case.resume)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, _FILE)
            path.write_bytes(checkpoint or b"")
            self.runner = self._made(folder, str(path) if checkpoint else None)
            self.runner._train_loop = self.runner.build_train_loop(self.runner._train_loop)
            self.runner.call_hook("before_run")
            with contextlib.redirect_stdout(io.StringIO()):  # mmengine prints what it loads
                self.runner.load_or_resume()
        self.runner.call_hook("before_train")

    def _made(self, folder: str, checkpoint: str | None) -> Runner:
        return QuietRunner(
            model=self.model,
            work_dir=folder,
            train_dataloader=DataLoader([torch.zeros(1)]),  # type: ignore[arg-type]
            train_cfg={"by_epoch": False, "max_iters": self.case.iterations},
            optim_wrapper=OptimWrapper(torch.optim.SGD(self.model.parameters(), lr=0.1)),
            default_hooks=dict.fromkeys(_DEFAULT_HOOKS),
            custom_hooks=[*self.hooks, self._keep],
            load_from=checkpoint,
            resume=checkpoint is not None,
            default_scope="harness",
            log_level="ERROR",
            experiment_name=f"check-ema-{uuid.uuid4().hex}",
        )


_FILE = "kept.pth"
_DEFAULT_HOOKS = (
    "runtime_info",
    "timer",
    "sampler_seed",
    "logger",
    "param_scheduler",
    "checkpoint",
)


class OurHookRun(HookRun):
    """ExponentialMovingAverageHook."""

    def make_hooks(self, model: nn.Module, case: Case) -> list[Hook]:
        """Return the hook; a shadow of wider dtype is given to the model beforehand."""
        if case.dtype != case.shadow_dtype:
            model.net_ema = copy.deepcopy(self.source).to(getattr(torch, case.shadow_dtype))
        setting = case.setting
        mode, cfg = setting.interp_mode, setting.interp_cfg
        return [
            ExponentialMovingAverageHook("net_ema", mode, cfg, setting.interval, setting.start_iter)
        ]

    def state(self) -> Mapping[str, Tensor]:
        """Return the entries of ``net_ema``."""
        shadow = self.model.net_ema
        assert isinstance(shadow, nn.Module)
        return entries(shadow)


class MmengineHookRun(HookRun):
    """EMAHook with the averaged model that the setting names."""

    def make_hooks(self, model: nn.Module, case: Case) -> list[Hook]:
        """Return the hook with the averaged model of the case's mode."""
        setting = case.setting
        kinds: dict[str, dict[str, Any]] = {
            "lerp": {"ema_type": "ExponentialMovingAverage", "momentum": case.momentum},
            "uniform": {"ema_type": "StochasticWeightAverage"},
            "warmup": {
                "ema_type": "MomentumAnnealingEMA",
                "momentum": case.momentum,
                "gamma": int(setting.interp_cfg.get("inv_gamma", 1)),
            },
        }
        hook = EMAHook(
            begin_iter=setting.start_iter,
            interval=setting.interval,
            update_buffers=case.nontrainable == case.momentum,
            **kinds[setting.interp_mode],
        )
        return [hook]

    def state(self) -> Mapping[str, Tensor]:
        """Return the entries of the averaged copy."""
        return entries(self.hooks[0].ema_model.module.net)
