"""A small real model and data set for hooks to run on, and where the test files are."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from harness import compat  # noqa: F401  (before anything of mmengine)

# isort: split
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper

TESTS = Path(__file__).parent
ROOT = TESTS.parent
VECTORS = TESTS / "vectors"


class Numbers(Dataset[Tensor]):
    """Ten rows of three numbers."""

    def __init__(self) -> None:
        self.metainfo: dict[str, Any] = {}
        self.rows = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"inputs": self.rows[index]}


class TinyModel(BaseModel):
    """One trained linear network, with buffers, and what a hook may be pointed at."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.modes: list[bool] = []

    def init_weights(self) -> None:
        with torch.no_grad():
            for parameter in self.net.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))

    def train_step(self, data: dict[str, Tensor], optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        self.modes.append(self.training)
        loss = self.net(data["inputs"]).square().mean()
        optim_wrapper.update_params(loss)
        return {"loss": loss.detach()}

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Tensor:
        return self.net(inputs)

    def val_step(self, data: dict[str, Tensor]) -> list[Tensor]:
        return [self.net(data["inputs"])]

    test_step = val_step


class ShadowStates(Hook):
    """Keeps a copy of the shadow after every iteration."""

    priority = "VERY_LOW"

    def __init__(self, key: str = "net_ema") -> None:
        self.key = key
        self.states: list[dict[str, Tensor]] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        shadow = getattr(runner.model, self.key)
        entries = dict(shadow.named_parameters()) | dict(shadow.named_buffers())
        self.states.append({name: value.clone() for name, value in entries.items()})
