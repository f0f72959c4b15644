"""E7: shadows under both of mmengine's wrappers for distributed training, on two real processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import ROOT

SCRIPT = """
import sys, warnings
import torch
from tiny import Numbers, TinyModel
from harness.hooks import EMACertificateHook, ExponentialMovingAverageHook
from mmengine.dataset import InfiniteSampler
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch.utils.data import DataLoader

wrapper, out = sys.argv[1:]
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
torch.manual_seed(int(__import__("os").environ["RANK"]))  # ranks begin apart


class Model(TinyModel):
    def forward(self, inputs, data_samples=None, mode="tensor"):
        out = self.net(inputs)
        return {"loss": out.square().mean()} if mode == "loss" else out

    def train_step(self, data, optim_wrapper):
        if wrapper == "MMSeparateDistributedDataParallel":
            return super().train_step(data, optim_wrapper)
        return super(TinyModel, self).train_step(data, optim_wrapper)


model = Model()
own = Model().net
model.own_ema = own  # the model's own shadow: where it has gradients, mmengine wraps it apart
own.requires_grad_(wrapper == "MMSeparateDistributedDataParallel")
model.own_ema.load_state_dict(model.net.state_dict())
hooks = [
    ExponentialMovingAverageHook("net_ema", "ramp", {"half_life_kimg": 0.05}, interval=1),
    ExponentialMovingAverageHook("own_ema", interp_cfg={"momentum": 0.1}, source="net",
                                 interval=1, start_iter=1),
]
certificate = EMACertificateHook()
data = Numbers()
runner = Runner(
    model=model, work_dir=out, launcher="pytorch", custom_hooks=[*hooks, certificate],
    cfg={"model_wrapper_cfg": {"type": wrapper, "device_ids": None}},
    train_dataloader={"dataset": data, "batch_size": 3,
                      "collate_fn": {"type": "default_collate"},
                      "sampler": {"type": "InfiniteSampler", "shuffle": False, "seed": 0}},
    train_cfg={"by_epoch": False, "max_iters": 40},
    optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
    default_hooks={"logger": None, "checkpoint": CheckpointHook(40, by_epoch=False)},
    randomness={"seed": 0}, experiment_name="ranks", default_scope="harness",
    log_level="ERROR",
)
runner.train()
model = runner.model.module
rank = runner.rank
state = {n: {k: v.clone() for k, v in getattr(model, n).state_dict().items()
             if "running" not in k and "num_batches" not in k} for n in ("net_ema", "own_ema")}
torch.save({"state": state, "types": [type(getattr(model, n)).__name__ for n in state],
            "images": hooks[0].images, "errors": {k: c.error for k, c in
            certificate.certificates.items()}}, f"{out}/rank{rank}.pt")
"""


@pytest.mark.parametrize(
    "wrapper", ["MMDistributedDataParallel", "MMSeparateDistributedDataParallel"]
)
def test_e7_shadows_are_the_same_and_certified_on_every_rank(wrapper, tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script), wrapper, str(tmp_path)],
            env=os.environ
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
            | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [rank.communicate(timeout=120)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], errors[0][-2000:]
    first, second = (torch.load(Path(tmp_path) / f"rank{rank}.pt") for rank in range(2))
    for shadow, values in first["state"].items():
        for name, value in values.items():
            assert torch.equal(value, second["state"][shadow][name]), (shadow, name)
    assert first["types"] == ["Sequential", "Sequential"]
    assert first["images"] == second["images"] == 2 * 3 * 40
    assert first["errors"].keys() == {"net_ema", "own_ema"}
    assert max(first["errors"].values()) < 1e-6
