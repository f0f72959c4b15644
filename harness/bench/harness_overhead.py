"""What does the harness cost? Its training against loops by hand of the same networks and losses.

The harness's side is a whole run but for evaluations: mmengine's Runner and hooks, growing data,
the order of images, one EMA shadow with its certificate, records, clocks and the keeper of
checkpoints. The other side is ``by_hand``. Both take the same steps on the same images with the
same draws, and end with the same bits.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.runner import Runner

from harness.bench.by_hand import LOOPS, Loop
from harness.bench.steps import on_noise, step
from harness.bench.timing import Comparison, Comparisons, in_turns
from harness.spec.load import load

_BOUND = 1 / 0.97
_WARM_UP, _LEAST, _SEC = 4, 9, 8.0
_MOMENTUM = 0.001
_ONE_SHADOW = (
    f"observers.ema={{one: {{interp_mode: lerp, interp_cfg: {{momentum: {_MOMENTUM}}}}}}}",
    "hooks=[]",
    "seeds=[0]",
)


@dataclass(frozen=True)
class Case:
    """One training step.

    Args:
        spec: a file of ``experiments``.
        scale: in px, of the spec's growth.
        overrides: of the spec's quick tier.
    """

    spec: str
    scale: int
    overrides: tuple[str, ...] = ()


_AT_32 = (
    *("model.out_scale=32", "model.base_channels=1024", "model.max_channels=64"),
    *("train.batch_size=16", "data={type: cifar10}"),
    *("evaluate.extractor=random-conv-64", "evaluate.metrics=[fid]"),
)
CASES: Mapping[str, Case] = {
    "PGGAN, 8 px": Case("pggan-ema", 8),
    "PGGAN, 32 px": Case(
        "pggan-ema", 32, (*_AT_32, "model.nkimgs_per_scale={4: 10, 8: 10, 16: 10, 32: 100}")
    ),
    "StyleGAN1, 8 px": Case("stylegan1-ema", 8),
    "StyleGAN2, 8 px": Case("stylegan2-ema", 8),
    "SinGAN, 39 px": Case("singan-ema", 39),
}


def measure(device: str) -> Comparisons:
    """Time both sides of every case in turns.

    Raises:
        RuntimeError: if they do not end with the same weights and shadows.
    """
    torch.set_num_threads(1)
    return Comparisons({name: _compared(name, case, device) for name, case in CASES.items()})


def sides(case: Case, path: Path, device: str) -> tuple[Runner, Loop]:
    """Return a run of a case, and a loop by hand that stands where it does.

    Args:
        path: a folder to be made, for the run's records.
    """
    spec = load(Path(f"experiments/{case.spec}.yaml"), overrides=(*_ONE_SHADOW, *case.overrides))
    runner = on_noise(path, device, spec, case.scale)
    images = runner.train_loop.dataloader.dataset.images
    return runner, LOOPS[spec.model.type](runner, images, _MOMENTUM)


def differing(runner: Runner, loop: Loop) -> list[str]:
    """Return the weights and buffers in which the two sides differ in any bit."""
    model = runner.model
    pairs = {
        "generator": (model.generator, loop.generator),
        "critic": (model.discriminator, loop.critic),
        "shadow": (model.network("ema"), loop.shadow),
    }
    return [
        f"{network}.{name}"
        for network, (ours, theirs) in pairs.items()
        for (name, a), b in zip(
            ours.state_dict().items(), theirs.state_dict().values(), strict=True
        )
        if isinstance(a, torch.Tensor) and not torch.equal(a, b)
    ]


def _compared(name: str, case: Case, device: str) -> Comparison:
    with tempfile.TemporaryDirectory() as folder:
        # The experiment is named by its folder, and mmengine knows each name for good.
        runner, loop = sides(case, Path(folder, Path(folder).name), device)
        times = in_turns(lambda: step(runner), loop.step, _WARM_UP, 1)
        turns = max(_LEAST, round(_SEC / sum(map(min, zip(*times, strict=True)))))
        times = in_turns(lambda: step(runner), loop.step, turns, 1)
        if wrong := differing(runner, loop):
            raise RuntimeError(f"{name}: {wrong[0]} is not what a loop by hand makes it")
    ours, theirs = f"steps of {name} in the harness", "steps by hand"
    return Comparison(ours, theirs, "a step", times, _BOUND)
