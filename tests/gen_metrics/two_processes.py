"""Two real processes that evaluate one model; run by test_ranks."""

import json
from datetime import timedelta
from pathlib import Path

import torch
from drawn import evaluation, grown_gan, loader, metric
from torch import distributed

from harness.engine.runner import QuietRunner
from harness.errors import HarnessError
from harness.registry import METRICS


def metrics(cache: Path) -> list[dict[str, object]]:
    """Metrics of uneven shards, three of them of one cache key."""
    more = {"cache_dir": str(cache)}
    return [
        metric("FID", 13, **more),
        metric("FID", 13, prefix="again", **more),
        metric("KID", 13, subsets=3, subset_size=10, **more),
        metric("IS", 13, splits=3),
        metric("IS", 1, splits=1, prefix="one"),
        metric("MS_SSIM", 13),
        metric("PPL", 5, extractor="digits-cnn", space="Z", crop=False, epsilon=0.1),
    ]


def measure(folder: Path, name: str) -> dict[str, float]:
    """Evaluate everything once; then metrics that fail in the main process alone, one unfed."""
    gan = grown_gan()
    settings = {
        "model": gan,
        "work_dir": str(folder / name),
        "default_hooks": {"logger": None, "checkpoint": None},
        "default_scope": "harness",
        "experiment_name": name,
    }
    given = evaluation(gan, metrics(folder / f"cache-{name}"), loader(batch_size=4))
    keys = ("val_dataloader", "val_cfg", "val_evaluator")
    values = QuietRunner(**settings, **{key: given[key] for key in keys}).val()
    values["images"] = float(sum(gan.counts()))
    for wrong in (metric("FID", 1), metric("FID", 4, real_nums=99)):
        wrong["cache_dir"] = str(folder / "wrong")
        given = evaluation(gan, wrong, loader(batch_size=4))
        again = settings | {"experiment_name": f"{name}-{wrong['fake_nums']}"}
        try:
            QuietRunner(**again, **{key: given[key] for key in keys}).val()
        except HarnessError as error:
            values[str(error)] = 1.0
    try:
        METRICS.build(metric("IS", 4, splits=1)).evaluate()
    except HarnessError as error:
        values[str(error)] = 1.0
    return values


def process(rank: int, folder: Path) -> None:
    """Be one of two processes; write what was measured."""
    torch.set_num_threads(1)
    store = distributed.FileStore(str(folder / "store"), 2)
    distributed.init_process_group(
        "gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    values = measure(folder, "two")
    distributed.barrier()
    (folder / f"{rank}.json").write_text(json.dumps(values))
    distributed.destroy_process_group()
