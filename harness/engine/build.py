"""From a planned run to a trained model: every object of a run is made here, in the open."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from torch.utils.data import DataLoader

from harness.data import DataSource, photograph
from harness.data.growing import GrowingImages
from harness.data.order import ShownImages
from harness.data.prepare import Prepared, prepare
from harness.ema.closed_form import Setting
from harness.engine import weights
from harness.engine.arms import Evaluator
from harness.engine.branching import BranchHook
from harness.engine.evaluation import ArmsEvaluator
from harness.engine.families import gan, optimizers
from harness.engine.film import Filmed
from harness.engine.fresh import FreshSets
from harness.engine.keeping import Keeper
from harness.engine.loops import ArmEvaluator, EvaluationLoop, ImagesTrainLoop
from harness.engine.posthoc import snapshot_hooks, track_settings, with_rebuilt
from harness.engine.protocols import protocols
from harness.engine.runner import QuietRunner
from harness.engine.schedulers import rule_of
from harness.engine.single_image import SingleImageEvaluator
from harness.hooks import (
    EMACertificateHook,
    ExponentialMovingAverageHook,
    IterTimerHook,
    PGGANFetchDataHook,
    RecordHook,
)
from harness.plan.expand import Run
from harness.ranks.answers import main_first, on_main
from harness.records.files import write_atomically
from harness.records.protocols import FILE as PROTOCOLS
from harness.records.protocols import require_same
from harness.records.protocols import write as write_protocols
from harness.records.samples import FILE, write_arrays
from harness.records.store import RunFolder
from harness.records.types import Row
from harness.registry import HOOKS
from harness.seeding import derive_seed
from harness.spec.schema import SinGAN, Spec
from harness.visuals.backends import VisBackend
from harness.visuals.visualizer import Visualizer

_SAMPLES = 16


def train(
    run: Run,
    keeper: Keeper,
    device: torch.device,
    cache_dir: Path,
    branching: BranchHook | None = None,
) -> int:
    """Train one run to its end, writing rows, samples and weights into its folder.

    Args:
        run: what to train.
        keeper: of the run's folder, begun; says where the run goes on.
        device: where it computes.
        cache_dir: holds prepared images and reference statistics.
        branching: lays down the runs that ride along on this one; None: there are none.

    Returns:
        The number of iterations.

    Raises:
        Diverged: if a loss, a weight or an image is not finite.
        KeyboardInterrupt: if the end was asked for; a checkpoint has been written.
        HarnessError: if data, weights or the folder are not as they have to be.
    """
    spec, folder = run.spec, keeper.folder
    real, evaluator = main_first(lambda: prepared(spec, run.seed, device, cache_dir))
    evaluator.beat = keeper.beat
    if spec.evaluate.fresh is not None:
        evaluator.fresh = FreshSets(spec, on_main(folder.rows))
    arms: ArmEvaluator = with_rebuilt(evaluator, spec, folder.path)
    if is_main_process():
        arms = Filmed(arms, evaluator, real, folder.path, spec.total_images)
    runner = runner_of(run, real, arms, folder, device)
    runner.keeper = keeper
    if branching is not None:
        runner.register_hook(branching)
    measured = protocols(evaluator, runner.model, device, spec.train.fast)
    if keeper.mark is None:
        on_main(lambda: write_protocols(folder.path / PROTOCOLS, measured))
        values = evaluator.real_values()
        folder.append(Row(name, "real", v, 0.0, 0, 0.0) for name, v in values.items())
    else:
        on_main(lambda: require_same(folder.path / PROTOCOLS, measured))
    with keeper.interrupts.held():
        model = runner.train()
        samples = evaluator.samples(model, _SAMPLES)
        if is_main_process():
            _keep_samples(folder, real, samples)
            write_atomically(folder.path / weights.FILE, weights.packed(model))
    iterations: int = runner.iter
    return iterations


def prepared(
    spec: Spec, seed: int, device: torch.device, cache_dir: Path
) -> tuple[Prepared, Evaluator]:
    """Return the real images at every scale, and what measures generated ones against them."""
    arms = weights.networks_of(spec)
    if isinstance(spec.model, SinGAN):
        real = photograph.prepare(spec.data.root or "", spec.pyramid)
        return real, SingleImageEvaluator(spec.evaluate, real, arms, seed, device)
    real = prepare(data_source(spec), spec.growth.scales, cache_dir / "data")
    return real, ArmsEvaluator(spec.evaluate, real, arms, seed, device, cache_dir / "reference")


def shadow_hooks(spec: Spec) -> list[Hook]:
    """Return one EMA hook for each shadow of the spec."""
    batch = spec.final_batch_size
    with warnings.catch_warnings():
        # A shadow that never updates is what the spec asked for; the plan says so.
        warnings.simplefilter("ignore", UserWarning)
        return [
            ExponentialMovingAverageHook(
                f"{weights.attribute(name)}_ema",
                ema.interp_mode,
                ema.hook_cfg(batch),
                ema.interval,
                ema.start_iter,
                source="generator",
            )
            for name, ema in spec.observers.ema.items()
        ]


def stated(spec: Spec) -> dict[str, Setting]:
    """Return what each shadow is asked to be, by its attribute in the model."""
    batch = spec.final_batch_size
    shadows = {
        f"{weights.attribute(name)}_ema": Setting(
            ema.interp_mode, ema.hook_cfg(batch), ema.interval, ema.start_iter
        )
        for name, ema in spec.observers.ema.items()
    }
    return shadows | track_settings(spec)


def train_loader(
    spec: Spec, real: Prepared, seed: int, device: torch.device
) -> DataLoader[dict[str, torch.Tensor]]:
    """Return the endless loader of the growing set, at the first scale; each process's share."""
    dataset = GrowingImages(real.scales, device)
    order = ShownImages(len(dataset), spec.growth.batch_sizes[0], seed, divided=True)
    return DataLoader(dataset, batch_sampler=order, collate_fn=GrowingImages.batch_collate)


def runner_of(
    run: Run,
    real: Prepared,
    evaluator: ArmEvaluator,
    folder: RunFolder,
    device: torch.device,
) -> QuietRunner:
    """Return mmengine's runner of a run, ready to train."""
    spec, first = run.spec, run.spec.evaluate.first_kimg
    model = gan(spec, run.seed).to(device)
    wrappers = optimizers(spec, model)
    watch, schedulers = None, None
    if run.reduce_lr is not None:
        watch, schedulers = rule_of(run.reduce_lr, wrappers.items())
    certificate = EMACertificateHook(stated(spec), folder.path / "trajectory", limit=None)
    record = RecordHook(
        folder,
        round(spec.train.log_every_kimg * 1000),
        {f"{weights.attribute(name)}_ema": name for name in spec.observers.ema},
    )
    shadows = [*shadow_hooks(spec), *snapshot_hooks(spec, folder.path)]
    others = [PGGANFetchDataHook(), *map(HOOKS.build, spec.hooks)]
    hooks = [*shadows, *others, certificate, record]
    return QuietRunner(
        model=model,
        work_dir=str(folder.path / "mmengine"),
        train_dataloader=train_loader(spec, real, run.seed, device),
        train_cfg={
            "type": ImagesTrainLoop,
            "total_images": spec.total_images,
            "eval_images": round(spec.evaluate.every_kimg * 1000),
            "first_eval_images": None if first is None else round(first * 1000),
            "max_iters": spec.growth.iterations(spec.total_images),
        },
        val_dataloader=[],
        val_cfg={"type": EvaluationLoop},
        val_evaluator=evaluator,
        optim_wrapper=wrappers,
        param_scheduler=schedulers,
        default_hooks={
            "runtime_info": None,
            "timer": IterTimerHook(),
            "sampler_seed": None,
            "logger": None,
            "param_scheduler": watch,
            "checkpoint": None,
        },
        custom_hooks=hooks,
        visualizer=Visualizer(
            name=folder.path.name,
            vis_backends=[VisBackend(save_dir=str(folder.path), img_save_dir="samples")],
        ),
        # For hooks and networks of others that draw from the global streams.
        randomness={"seed": derive_seed(run.seed, "global streams") % 2**32},
        default_scope="harness",
        log_level="WARNING",
        experiment_name=folder.path.name,
    )


def data_source(spec: Spec) -> DataSource:
    """Return the set that a spec of several images trains on, at the final scale."""
    data = spec.data
    assert data.type != "image"  # checks.py sees to it
    return DataSource(
        type=data.type,
        root=None if data.root is None else Path(data.root),
        resolution=spec.model.out_scale,
        crop=data.crop,
        broken=data.broken,
        max_images=data.max_images,
    )


def _keep_samples(folder: RunFolder, real: Prepared, samples: dict[str, Any]) -> None:
    pixels = real.scales[max(real.scales)]
    count = min(_SAMPLES, len(pixels))
    chosen = np.linspace(0, len(pixels) - 1, count).round().astype(int)
    shown = {"real": pixels[chosen].transpose(0, 2, 3, 1), **samples}
    write_arrays(folder.path / FILE, shown)
