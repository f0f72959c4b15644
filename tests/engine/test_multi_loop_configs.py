"""What val and test blocks of a config may say, on a real Runner."""

from pathlib import Path

import pytest
from drawn import Images, evaluation, grown_gan, loader, metric
from mmengine.hooks import CheckpointHook, Hook
from tiny_gan import adams, growing_loader, tiny_gan

from harness.engine.multi_evaluator import Evaluator
from harness.engine.multi_loops import MultiTestLoop, MultiValLoop
from harness.hooks import PGGANFetchDataHook
from harness.registry import LOOPS, register_all


@pytest.fixture
def fid(tmp_path):
    return lambda count=20, **more: metric("FID", count, cache_dir=str(tmp_path / "c"), **more)


def test_loops_are_known_by_mmagics_names():
    register_all()
    assert LOOPS.get("MultiValLoop") is MultiValLoop
    assert LOOPS.get("MultiTestLoop") is MultiTestLoop


def test_dataloaders_and_evaluators_from_configs(make_runner, fid):
    config = {
        "batch_size": 8,
        "dataset": Images(),
        "sampler": {"type": "DefaultSampler", "shuffle": False},
    }
    evaluator = {"type": "Evaluator", "metrics": [fid(prefix="FID-20")]}
    runner = make_runner(**evaluation(grown_gan(), evaluator, config))
    assert isinstance(runner.val_evaluator, Evaluator)
    assert list(runner.val()) == ["FID-20/fid[digits-cnn]"]
    assert evaluator["metrics"][0]["type"] == "FID"


@pytest.mark.parametrize("build", [lambda m: m, lambda m: [m], lambda m: {"metrics": m}])
def test_one_metric_may_be_written_in_any_way(make_runner, fid, build):
    assert list(make_runner(**evaluation(grown_gan(), build(fid()))).val()) == ["fid[digits-cnn]"]


def test_as_many_evaluators_as_dataloaders(make_runner, fid):
    runner = make_runner(**evaluation(grown_gan(), [fid()], [loader(), loader()]))
    with pytest.raises(ValueError, match="2 dataloaders and 1 evaluators"):
        runner.val_loop  # noqa: B018
    runner = make_runner(**evaluation(grown_gan(), "fid"))
    with pytest.raises(TypeError, match="evaluator is 'fid': give an Evaluator"):
        runner.val_loop  # noqa: B018


def test_no_dataloader_is_refused_and_no_metric_is_none(make_runner):
    assert make_runner(**evaluation(grown_gan(), {"metrics": None})).val() == {}
    with pytest.raises(ValueError, match="MultiValLoop: no dataloader was given"):
        make_runner(**evaluation(grown_gan(), [], [])).val_loop  # noqa: B018


def test_p10_swd_and_ms_ssim_save_the_best_while_training_under_the_published_names(make_runner):
    gan = tiny_gan()
    names = {"swd/avg": "less", "ms-ssim/avg": "greater"}
    metrics = [metric("SWD", 8, prefix="swd"), metric("MS_SSIM", 8, prefix="ms-ssim")]
    settings = evaluation(gan, metrics, loader(side=16)) | {
        "train_cfg": {"by_epoch": False, "max_iters": 4, "val_interval": 2},
        "train_dataloader": growing_loader(gan.growth),
        "optim_wrapper": adams(gan),
    }
    best = {"save_best": [*names], "rule": [*names.values()], "interval": 9, "save_last": False}
    settings["default_hooks"] |= {"checkpoint": CheckpointHook(by_epoch=False, **best)}
    runner = make_runner([PGGANFetchDataHook(), heard := Validated()], **settings)
    runner.train()
    assert [set(names) <= set(values) for values in heard.seen] == [True, True]
    for name, rule in names.items():
        values = [seen[name] for seen in heard.seen]
        iteration = 2 * (1 + values.index((min if rule == "less" else max)(values)))
        kept = f"best_{name.replace('/', '_')}_iter_{iteration}.pth"
        assert (Path(runner.work_dir) / kept).exists()


class Validated(Hook):
    """Notes what each validation answered."""

    def __init__(self):
        self.seen = []

    def after_val_epoch(self, runner, metrics=None):
        self.seen.append(metrics)


def test_the_best_is_saved_by_the_name_of_a_result(make_runner, fid, tmp_path):
    gan = grown_gan()
    settings = evaluation(gan, [fid(prefix="FID-20")]) | {
        "train_cfg": {"by_epoch": False, "max_iters": 1, "val_interval": 1},
        "train_dataloader": growing_loader(gan.growth),
        "optim_wrapper": adams(gan),
    }
    settings["default_hooks"] |= {
        "checkpoint": {
            "type": "CheckpointHook",
            "by_epoch": False,
            "interval": 10,
            "save_last": False,
            "save_best": "FID-20/fid[digits-cnn]",
            "rule": "less",
        }
    }
    runner = make_runner([PGGANFetchDataHook()], **settings)
    runner.train()
    assert [p.name for p in Path(runner.work_dir).glob("best*")]
