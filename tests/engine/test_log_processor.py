"""LogProcessor on a real Runner."""

from pathlib import Path

import pytest
from drawn import evaluation, grown_gan, loader, metric
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from tiny import Numbers, TinyModel
from torch.utils.data import DataLoader

from harness.engine.log_processor import LogProcessor


@pytest.mark.parametrize("mode", ["val", "test"])
@pytest.mark.parametrize("by_epoch", [True, False])
def test_t5_the_log_counts_all_dataloaders_and_samplers(make_runner, mode, by_epoch):
    metrics = [[metric("MS_SSIM", 20)], [metric("MS_SSIM", 9, prefix="b")]]
    config = evaluation(grown_gan(), metrics, [loader(24), loader(24)], mode)
    config["log_processor"] = {"type": "LogProcessor", "by_epoch": by_epoch}
    config["default_hooks"] |= {
        "logger": {"type": LoggerHook, "interval": 1},
        "runtime_info": {"type": RuntimeInfoHook},
    }
    runner = make_runner(**config)
    assert type(runner.log_processor) is LogProcessor
    getattr(runner, mode)()
    text = next(Path(runner.work_dir).rglob("*.log")).read_text()
    lines = [line for line in text.splitlines() if f"({mode})" in line]
    ends = [f"[{n}/5]" for n in range(1, 6)]
    assert all(any(end in line.replace(" ", "") for line in lines) for end in ends)
    assert not any("/6]" in line or "[6/" in line for line in lines)
    assert any("ms-ssim/avg" in line for line in lines)


def test_loops_without_total_length_are_counted_as_by_mmengine(make_runner):
    runner = make_runner(
        model=TinyModel(),
        val_dataloader=DataLoader(Numbers(), batch_size=4),
        val_cfg={},
        val_evaluator=[],
    )
    assert LogProcessor()._get_dataloader_size(runner, "val") == 3
