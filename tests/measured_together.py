"""What metrics of configs find in one process, or in one of several; run by test_ranks."""

from pathlib import Path

import torch
from drawn import Brightness, evaluation, grown_gan, loader, metric
from mmengine.dist import get_rank
from tiny import Numbers, TinyModel
from torch.utils.data import DataLoader

from harness.engine.multi_evaluator import Evaluator
from harness.engine.runner import QuietRunner
from harness.errors import HarnessError
from harness.ranks.dealt import dealt
from harness.registry import METRICS
from harness.structures import DataSample


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
        metric("MS_SSIM", 3, prefix="few"),
        metric("PPL", 5, extractor="digits-cnn", space="Z", crop=False, epsilon=0.1),
    ]


class Lossy(TinyModel):
    """Answers a loss that is the number of its process, beside what it always does."""

    def val_step(self, data):
        rows = list(self.net(data["inputs"])[:, 0])
        return [*rows, DataSample(loss={"loss": torch.tensor(float(get_rank()))})]


def measure(size: int, folder: Path) -> dict[str, float]:
    """Evaluate everything once; then metrics that fail in the main process alone, one unfed."""
    gan = grown_gan()
    work = folder / f"work-{size}-{get_rank()}"

    def run(name, model, given):
        keys = ("val_dataloader", "val_cfg", "val_evaluator")
        return QuietRunner(
            model=model,
            work_dir=str(work),
            default_hooks={"logger": None, "checkpoint": None},
            default_scope="harness",
            experiment_name=f"{size}-{name}",
            **{key: given[key] for key in keys},
        ).val()

    given = metrics(folder / f"cache-{size}")
    values = run("usual", gan, evaluation(gan, given, loader(batch_size=4)))
    values["images"] = float(sum(gan.counts()))
    large = evaluation(grown_gan(), metric("SWD", 9), loader(batch_size=2, side=16))
    values |= {f"large/{k}": v for k, v in run("large", grown_gan(), large).items()}
    lossy = {
        "val_dataloader": DataLoader(Numbers(), batch_size=4),
        "val_cfg": {"type": "MultiValLoop"},
        "val_evaluator": Evaluator([Brightness()]),
    }
    values |= {"val_loss": run("lossy", Lossy(), lossy)["val_loss"]}
    for wrong in (metric("FID", 1), metric("FID", 4, real_nums=99)):
        wrong["cache_dir"] = str(folder / "wrong")
        given = evaluation(gan, wrong, loader(batch_size=4))
        try:
            run(f"wrong-{wrong['fake_nums']}", gan, given)
        except HarnessError as error:
            values[str(error)] = 1.0
    try:
        METRICS.build(metric("IS", 4, splits=1)).evaluate()
    except HarnessError as error:
        values[str(error)] = 1.0
    asked = [(count, batch) for count in (0, 1, 7, 60, 601) for batch in (1, 7, 60)]
    return values | {"dealt": {each: dealt(*each) for each in asked}}
