"""MultiValLoop and MultiTestLoop on a real Runner; L- and M-numbers are MMagic's faults."""

import random

import numpy as np
import pytest
import torch
from drawn import Asked, Brightness, Images, evaluation, grown_gan, loader, metric, styled_gan
from mmengine.evaluator import Evaluator as PlainEvaluator
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop
from mmengine.structures import BaseDataElement
from tiny import Numbers, TinyModel
from tiny_gan import Batches, adams, growing_loader, same_bits, tiny_gan
from torch.utils.data import DataLoader

from harness.engine.multi_evaluator import Evaluator
from harness.engine.multi_loops import MultiTestLoop, MultiValLoop
from harness.errors import DataError
from harness.hooks import IterTimerHook, PGGANFetchDataHook

MODES = ("val", "test")


@pytest.fixture
def fid(tmp_path):
    return lambda count=20, **more: metric("FID", count, cache_dir=str(tmp_path / "c"), **more)


class Heard(Hook):
    """Notes the calls of a loop."""

    def __init__(self):
        self.calls, self.metrics, self.lengths = [], [], []

    def before_val(self, runner):
        self.calls.append("before_val")

    def before_val_epoch(self, runner):
        self.calls.append("before_val_epoch")
        assert runner.val_evaluator.is_ready

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.calls.append(batch_idx)
        self.lengths.append(runner.val_loop.total_length)

    def after_val_epoch(self, runner, metrics=None):
        self.calls.append("after_val_epoch")
        self.metrics.append(metrics)

    def after_val(self, runner):
        self.calls.append("after_val")


@pytest.mark.parametrize("mode", MODES)
def test_l1_run_returns_the_metrics(make_runner, fid, mode):
    runner = make_runner(**evaluation(grown_gan(), {"metrics": [fid()]}, mode=mode))
    metrics = getattr(runner, mode)()
    assert list(metrics) == ["fid[digits-cnn]"]
    assert metrics["fid[digits-cnn]"] > 0


def test_l1_hooks_hear_of_it_in_mmengines_order(make_runner, fid):
    heard = Heard()
    metrics = make_runner([heard], **evaluation(grown_gan(), fid())).val()
    around = ["before_val", "before_val_epoch"], ["after_val_epoch", "after_val"]
    assert heard.calls == [*around[0], 0, 1, 2, *around[1]]
    assert heard.metrics == [metrics]


def test_l2_the_dataloader_is_there_before_the_first_run(make_runner, fid):
    first, second = loader(), loader(30)
    metrics = [fid(prefix="a"), fid(prefix="b")]
    config = evaluation(grown_gan(), [{"metrics": [m]} for m in metrics], [first, second])
    runner = make_runner(**config)
    assert runner.val_dataloader is first
    assert isinstance(runner.val_evaluator, Evaluator)
    runner.val()
    assert runner.val_dataloader is first
    assert runner.val_loop.dataloaders == [first, second]


def test_l3_a_clash_of_names_is_found_before_any_work(make_runner, fid):
    config = evaluation(grown_gan(), [[fid()], [fid()]], [loader(), loader()])
    runner = make_runner(**config)
    with pytest.raises(ValueError, match=r"a result named fid\[digits-cnn\]: give each a prefix"):
        runner.val_loop  # noqa: B018
    two = [Evaluator([Brightness()]), Evaluator([Brightness()])]
    runner = make_runner(**evaluation(grown_gan(), two, [loader(), loader()]))
    with pytest.raises(ValueError, match="any of Brightness"):
        runner.val_loop  # noqa: B018


def plain_settings(mode, evaluator, model=None, data=None, **cfg):
    kind = {"val": MultiValLoop, "test": MultiTestLoop}[mode]
    return {
        "model": model or TinyModel(),
        f"{mode}_dataloader": data or DataLoader(Numbers(), batch_size=4),
        f"{mode}_cfg": {"type": kind, **cfg},
        f"{mode}_evaluator": evaluator,
    }


class Rows(TinyModel):
    """Answers one sample for each row."""

    def val_step(self, data):
        return list(self.net(data["inputs"])[:, 0])

    test_step = val_step


@pytest.mark.parametrize("mode", MODES)
def test_l3_an_evaluator_of_mmengine_simply_has_its_dataloader(make_runner, mode):
    runner = make_runner(**plain_settings(mode, PlainEvaluator([Brightness()]), Rows()))
    assert getattr(runner, mode)()["samples"] == 10
    loop = getattr(runner, f"{mode}_loop")
    assert loop.total_length == 3


def test_l3_a_metric_of_another_project_works_beside_generative_ones(make_runner, fid):
    class Both(Asked):
        def val_step(self, data):
            if "gt_img" in data:
                return list(data["gt_img"].float().mean(dim=(1, 2, 3)))
            return super().val_step(data)

    gan = grown_gan()
    both = Both(gan.generator, gan.discriminator, gan.growth)
    runner = make_runner(**evaluation(both, Evaluator([fid(20), Brightness()])))
    metrics = runner.val()
    assert runner.val_loop.total_length == 3 + 5
    assert metrics["samples"] == 40
    assert metrics["brightness"] == pytest.approx(float(Images().images.float().mean()), rel=1e-5)
    assert both.counts() == [8, 8, 4]


def test_l4_two_evaluations_of_the_same_weights_give_the_same_numbers(make_runner, fid):
    gan = grown_gan()
    metrics = [fid(), metric("MS_SSIM"), metric("IS", splits=2), metric("PR", k=2)]
    metrics[-1]["cache_dir"] = fid()["cache_dir"]
    runner = make_runner(**evaluation(gan, metrics))
    first = runner.val()
    torch.manual_seed(99)
    assert runner.val() == first
    noises = [asked["inputs"]["noise"] for asked in gan.asked]
    assert torch.equal(torch.cat(noises[:3]), torch.cat(noises[3:]))
    assert not torch.equal(noises[0], noises[1])


class DrawsItself(TinyModel):
    """Has no noise_size: draws from the global streams, as models of others do."""

    def val_step(self, data):
        count = data["inputs"]["num_batches"]
        assert "noise" not in data["inputs"]
        noise = torch.randn(count, 3, 8, 8) + random.random() + np.random.rand()
        return {"fake_img": noise.tanh()}


def streams():
    return random.random(), np.random.rand(), float(torch.rand(()))


def test_l4_global_streams_are_put_back_and_models_that_use_them_repeat(make_runner, fid):
    settings = plain_settings("val", [fid()], DrawsItself(), loader())
    runner = make_runner(**settings)
    runner.val_loop  # noqa: B018
    values, seen = [], []
    for seed, run in ((5, runner.val), (5, lambda: None), (6, runner.val)):
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        values.append(run())
        seen.append(streams())
    assert values[0] == values[2]
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize("interval", [2, 5])
def test_l4_the_interval_of_validation_does_not_change_training(make_runner, fid, interval):
    trained = []
    for val_interval in (interval, 10**6):
        gan = tiny_gan()
        gan.train()
        gan.discriminator.conv_blocks[0].eval()
        batches = Batches()
        settings = evaluation(gan, fid(8), DataLoader(Images(16, 16), 8)) | {
            "train_cfg": {
                "type": IterBasedTrainLoop,
                "max_iters": 6,
                "val_interval": val_interval,
            },
            "train_dataloader": growing_loader(gan.growth),
            "optim_wrapper": adams(gan),
        }
        settings["val_evaluator"] = metric("SWD", 8)
        make_runner([PGGANFetchDataHook(), batches], **settings).train()
        trained.append((gan, batches.seen, streams()[2]))
    assert same_bits(trained[0][0], trained[1][0])
    assert trained[0][2] == trained[1][2]


@pytest.mark.parametrize("mode", MODES)
def test_l5_every_module_keeps_its_own_mode_whatever_happens(make_runner, fid, mode):
    gan = grown_gan()
    gan.train()
    gan.discriminator.eval()
    before = [module.training for module in gan.modules()]
    runner = make_runner(**evaluation(gan, fid(), mode=mode))
    getattr(runner, mode)()
    assert not any(gan.modes)
    assert [module.training for module in gan.modules()] == before
    with torch.no_grad():
        next(gan.generator.parameters()).fill_(torch.nan)
    with pytest.raises(DataError, match="NaN or infinite"):
        getattr(runner, mode)()
    assert [module.training for module in gan.modules()] == before


class Loses(Rows):
    """Gives the loss of each batch as mmengine has it."""

    def val_step(self, data):
        rows = super().val_step(data)
        loss = BaseDataElement(loss={"loss_a": torch.tensor(float(len(rows))), "other": [rows[0]]})
        return [*rows, loss]

    test_step = val_step


@pytest.mark.parametrize("mode", MODES)
def test_l5_losses_are_averaged_and_metrics_do_not_see_them(make_runner, mode):
    metrics = getattr(make_runner(**plain_settings(mode, [Brightness()], Loses())), mode)()
    assert metrics["samples"] == 10
    assert metrics["loss_a"] == metrics[f"{mode}_loss"] == pytest.approx(10 / 3)
    assert "other" in metrics


def test_l5_val_and_test_are_one_code():
    own = {name for kind in (MultiValLoop, MultiTestLoop) for name in vars(kind)}
    assert {name for name in own if not name.startswith("_")} == {"mode"}


class Precisions(torch.nn.Sequential):
    """Notes whether it runs in half precision."""

    def forward(self, x):
        self.half = torch.is_autocast_enabled("cpu")
        return super().forward(x)


@pytest.mark.parametrize("fp16", [True, False])
def test_l6_half_precision_covers_sampling_and_no_metric(make_runner, fid, fp16):
    gan = styled_gan()
    gan.generator.style_mapping = Precisions(*gan.generator.style_mapping)
    ppl = metric("PPL", 6, extractor="digits-cnn", crop=False, epsilon=0.1)
    loop = make_runner(**evaluation(gan, [ppl, fid()], fp16=fp16)).val_loop
    batches = loop._groups()[0][2]
    next(loop._batches(batches))
    assert gan.generator.style_mapping.half == fp16
    loop.run()
    expected = torch.bfloat16 if fp16 else torch.float32
    assert {images.dtype for images in gan.answered} == {expected}
    shared = loop.evaluator.metrics[1].shared
    seen = shared.look(gan.answered[-1], (3, 8, 8)).features
    assert seen.dtype == torch.float32


def test_m2_t5_the_length_is_exact_before_and_during_a_run(make_runner, fid):
    gan, heard = grown_gan(), Heard()
    metrics = [fid(24), metric("MS_SSIM", 10, sample_model="orig")]
    config = evaluation(gan, [metrics, [fid(9, prefix="b")]], [loader(), loader(30, 4)])
    runner = make_runner([heard, IterTimerHook()], **config)
    assert runner.val_loop.total_length == 3 + 2 + 3
    runner.val()
    assert gan.counts() == [8, 8, 8, 8, 2, 4, 4, 1]
    assert heard.lengths == [8] * 8
    assert runner.message_hub.get_info("eta_val") == 0
