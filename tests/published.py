"""Checkpoints as MMagic and mmgeneration publish them, made from small networks."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor, nn

from harness.registry import MODELS

NETWORKS: dict[str, dict[str, Any]] = {
    "pggan": {
        "type": "PGGANGenerator",
        "noise_size": 6,
        "out_scale": 16,
        "base_channels": 32,
        "max_channels": 8,
    },
    "stylegan1": {
        "type": "StyleGAN1Generator",
        "out_size": 16,
        "style_channels": 8,
        "num_mlps": 2,
        "base_channels": 32,
        "max_channels": 8,
    },
    "stylegan2": {
        "type": "StyleGAN2Generator",
        "out_size": 16,
        "style_channels": 8,
        "num_mlps": 2,
        "base_channels": 32,
        "max_channels": 8,
    },
    "singan": {
        "type": "SinGANMultiScaleGenerator",
        "in_channels": 3,
        "out_channels": 3,
        "num_scales": 2,
        "base_channels": 8,
        "min_feat_channels": 8,
    },
}
SIZES = ((8, 10), (11, 14), (15, 19))


class RunsCode:
    """Pickles as a call, as a malicious file does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def network(family: str, seed: int = 0, **arguments: Any) -> nn.Module:
    """Return a small generator whose every weight, noise included, counts."""
    built = MODELS.build(NETWORKS[family] | arguments).eval()
    random = torch.Generator().manual_seed(seed)
    for name, entry in built.state_dict().items():
        if entry.is_floating_point() and not name.endswith("kernel"):
            # A mapping network multiplies its weights by its learning rate, a hundredth.
            size = 100 if "style_mapping" in name and "weight" in name else 0.5
            values = torch.randn(entry.shape, generator=random) * size
            entry.copy_(values.abs() + 0.5 if name.endswith("running_var") else values)
    return built


def state(network: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": entry for name, entry in network.state_dict().items()}


def checkpoint(entries: Mapping[str, Tensor], **more: Any) -> dict[str, Any]:
    """Return what mmengine saves: weights, meta, and the message hub with its histories."""
    hub = MessageHub("published")
    hub.update_scalar("train/loss_g", 0.25)
    histories = {name: h for name, h in hub.log_scalars.items() if isinstance(h, HistoryBuffer)}
    return {
        "meta": {"iter": 280000, "cfg": "model = dict(type='GAN')", "seed": np.int64(2022)},
        "state_dict": dict(entries),
        "message_hub": {"log_scalars": histories, "runtime_info": {"iter": 3}, "resumed_keys": {}},
        "optimizer": {"generator": {"state": {0: {"step": torch.tensor(3.0)}}}},
        **more,
    }


def published(folder: Path, family: str, **arguments: Any) -> tuple[Path, nn.Module]:
    """Save a checkpoint with a generator and another, averaged one; return it and the latter."""
    raw, ema = network(family, 1, **arguments), network(family, 2, **arguments)
    entries = {
        **state(raw, "generator"),
        **state(ema, "generator_ema.module"),
        "generator_ema.steps": torch.tensor(7),
        "discriminator.decision.linear1.bias": torch.zeros(1),
        "shown_nkimg": torch.tensor(12000.0),
    }
    path = folder / f"{family}_x.pth"
    torch.save(checkpoint(entries), path)
    return path, ema


def noises(folder: Path, **changes: Any) -> Path:
    """Save the pickle that SinGAN's checkpoints have beside them."""
    random = np.random.default_rng(0)
    maps = [random.standard_normal((1, 3 if n else 1, *s), np.float32) for n, s in enumerate(SIZES)]
    data = {"noise_weights": [1.0, 0.3, 0.2], "fixed_noises": maps, "curr_stage": 2, **changes}
    path = folder / "singan_x.pkl"
    path.write_bytes(pickle.dumps(data))
    return path
