"""MMagic's PGGAN training on MMagic's Runner, a few iterations at a time, as another process asks.

Runs under a Python that has ``requirements.txt`` installed, without the harness. Requests and
answers are JSON, a line each, on stdin and stdout:

- ``{"outputs": FILE}``: FILE (torch.save) holds weights of both networks, latents and images; they
  are replaced by a file of what the networks make of these. The answer is ``{}``.
- ``{"train": N}``: the answer, ``{"seconds": S}``, comes after N iterations with all their hooks.

Usage: python mmagic_pggan.py FOLDER_OF_IMAGES WORK_DIR SETTINGS, the last one as JSON.
"""

import importlib.machinery
import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any


class _NotCompiled(types.ModuleType):
    """Stands for mmcv's compiled operations: PGGAN imports their names and calls none."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def _without_compiled_operations() -> None:
    import mmcv

    for name in ("", ".fused_bias_leakyrelu", ".upfirdn2d"):
        module = _NotCompiled(f"mmcv.ops{name}")
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None, is_package=True)
        module.__path__ = []
        sys.modules[module.__name__] = module
    mmcv.ops = sys.modules["mmcv.ops"]


def _config(images: str, work_dir: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return MMagic's configuration of PGGAN at its last scale, for images of that size."""
    scale, batch = str(settings["scale"]), settings["batch"]
    adam = {"optimizer": {"type": "Adam", "lr": settings["lr"], "betas": (0.0, 0.99)}}
    channels = {name: settings[name] for name in ("base_channels", "max_channels")}
    return {
        "model": {
            "type": "ProgressiveGrowingGAN",
            "data_preprocessor": {"type": "DataPreprocessor"},
            "noise_size": settings["noise_size"],
            "generator": {"type": "PGGANGenerator", "out_scale": int(scale), **channels},
            "discriminator": {"type": "PGGANDiscriminator", "in_scale": int(scale), **channels},
            "nkimgs_per_scale": {scale: 12000},
            "transition_kimgs": 600,
            "ema_config": {"interval": 1},
        },
        "work_dir": work_dir,
        "train_dataloader": {
            # Workers would decode on the cores that another process is timed on.
            "num_workers": 0,
            "batch_size": batch,
            "dataset": {
                "type": "GrowScaleImgDataset",
                "pipeline": [{"type": "LoadImageFromFile", "key": "gt"}, {"type": "PackInputs"}],
                "data_roots": {scale: images},
                "gpu_samples_base": batch,
                "len_per_stage": -1,
            },
            "sampler": {"type": "InfiniteSampler", "shuffle": True},
        },
        "train_cfg": {"by_epoch": False, "max_iters": 10**9},
        "optim_wrapper": {
            "constructor": "PGGANOptimWrapperConstructor",
            "generator": adam,
            "discriminator": adam,
            "lr_schedule": {"generator": {}, "discriminator": {}},
        },
        "default_hooks": {
            "timer": {"type": "IterTimerHook"},
            "logger": {"type": "LoggerHook", "interval": 100, "log_metric_by_epoch": False},
            "checkpoint": {"type": "CheckpointHook", "interval": 10000, "by_epoch": False},
        },
        "custom_hooks": [{"type": "PGGANFetchDataHook"}],
        "log_processor": {"type": "LogProcessor", "by_epoch": False},
        "default_scope": "mmagic",
    }


def main(images: str, work_dir: str, settings: dict[str, Any]) -> None:
    """Train until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    import torch

    _without_compiled_operations()
    import mmagic.models.data_preprocessors
    import mmagic.models.editors.pggan
    from mmagic import datasets, engine  # noqa: F401  (what the configuration names)
    from mmengine.config import Config
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    def answer(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    def outputs(model: Any, file: str) -> None:
        given = torch.load(file, weights_only=True)
        networks = {"generator": given["noise"], "discriminator": given["images"]}
        made = {}
        for name, inputs in networks.items():
            network = getattr(model, name)
            network.load_state_dict(given[name])
            with torch.no_grad():
                made[name] = network(inputs)
        torch.save(made, file)

    class AsAsked(Hook):
        """Stop after an iteration until more are asked for."""

        priority = "LOWEST"
        left = 0
        begin = 0.0

        def before_train(self, runner: Any) -> None:
            torch.set_num_threads(settings["threads"])
            answer({"versions": {"torch": torch.__version__, "mmagic": mmagic.__version__}})
            self.wait(runner)

        def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
            self.left -= 1
            if not self.left:
                answer({"seconds": time.perf_counter() - self.begin})
                self.wait(runner)

        def wait(self, runner: Any) -> None:
            for line in sys.stdin:
                asked = json.loads(line)
                if "train" in asked:
                    self.left, self.begin = asked["train"], time.perf_counter()
                    return
                outputs(runner.model, asked["outputs"])
                answer({})
            os._exit(0)

    runner = Runner.from_cfg(Config(_config(images, work_dir, settings)))
    runner.register_hook(AsAsked())
    runner.train()


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()), sys.argv[2], json.loads(sys.argv[3]))
