"""How far is a training step from what the machine can do at best?

The floor of a step is the time that its products and convolutions take at the fastest rate that
this machine reached in the same run, and that all other operations take to read and write their
memory at its fastest copy. Fusing operations would lower it.
"""

import statistics
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import torch

from harness.bench import steps as runs
from harness.bench.counting import CONVOLUTIONS, PRODUCTS, REST, Count, Work, ceilings
from harness.bench.finding import Finding, Goal
from harness.bench.timing import seconds
from harness.spec.load import load

_TURNS = 3
_WIDTHS = {"cpu": (512, 32, 8), "cuda": (8192, 512, 64)}
"""base_channels, max_channels and batch size; the published ones where there is a GPU."""
_GOALS = {"PGGAN": 0.15, "StyleGAN2": 0.6}
"""Seconds a thousand images, of published widths on a GPU."""


@dataclass(frozen=True)
class Case:
    """What is trained.

    Args:
        spec: a file of ``experiments``.
        scale: in px.
        overrides: of the spec's quick tier.
        period: iterations that are measured together: all lazy terms are in them.
        thin: keeps its own widths and batch, small as they are.
    """

    spec: str
    scale: int
    overrides: tuple[str, ...]
    period: int = 1
    thin: bool = False


_AT_32 = (
    *("model.out_scale=32", "data={type: cifar10}"),
    *("evaluate.extractor=random-conv-64", "evaluate.metrics=[fid]"),
)
_GROWN = "model.nkimgs_per_scale={4: 10, 8: 10, 16: 10, 32: 100}"
CASES: Mapping[str, Case] = {
    "PGGAN": Case("pggan-ema", 32, (*_AT_32, _GROWN)),
    "StyleGAN1": Case("stylegan1-ema", 32, (*_AT_32, _GROWN)),
    "StyleGAN2": Case("stylegan2-ema", 32, _AT_32, period=16),
    "SinGAN": Case("singan-ema", 39, (), thin=True),
}


@dataclass(frozen=True)
class Step:
    """One model's training step.

    Args:
        size: resolution and widths, in words.
        images: of a step.
        times: seconds of a step, each a mean over all lazy terms.
        work: of a step, by class of operations.
    """

    size: str
    images: int
    times: tuple[float, ...]
    work: Mapping[str, Work]

    @property
    def sec(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.times)

    @property
    def sec_per_kimg(self) -> tuple[float, float, float]:
        """Median, lowest and highest seconds of a thousand images."""
        known = (self.sec, min(self.times), max(self.times))
        middle, low, high = (1000 * sec / self.images for sec in known)
        return middle, low, high


@dataclass(frozen=True)
class Floor(Finding):
    """Steps beside their floors.

    Args:
        steps: by model.
        device: where they were taken.
        flop_rate: operations a second at best.
        byte_rate: bytes a second at best.
    """

    steps: Mapping[str, Step]
    device: str
    flop_rate: float
    byte_rate: float

    def floors(self, step: Step) -> dict[str, float]:
        """Return seconds of a step at best, by class of operations."""
        return {
            kind: work.bytes / self.byte_rate if kind == REST else work.flop / self.flop_rate
            for kind, work in step.work.items()
        }

    @property
    def goals(self) -> tuple[Goal, ...]:
        """Seconds of a thousand images, where a GPU trains the published widths."""
        if self.device != "cuda":
            return ()
        return tuple(
            Goal(f"{name}, {step.size}", *step.sec_per_kimg, "at most", _GOALS[name], "s/kimg")
            for name, step in self.steps.items()
            if name in _GOALS
        )

    @property
    def sentence(self) -> str:
        """The finding, a clause a model."""
        parts = [
            f"{name} ({step.size}) takes {step.sec_per_kimg[0]:.3g} s/kimg, "
            f"{step.sec / sum(self.floors(step).values()):.1f} times its floor"
            for name, step in self.steps.items()
        ]
        return "; ".join(parts) + "."

    def csv(self) -> str:
        """A line for each model's class of operations."""
        lines = ["model,class,calls,gflop,gb,floor_sec,step_sec,share_of_step"]
        for name, kind, work, floor, sec in self._rows:
            counted = f"{work.calls},{work.flop / 1e9!r},{work.bytes / 1e9!r}"
            lines.append(f"{name},{kind},{counted},{floor!r},{sec!r},{floor / sec!r}")
        return "\n".join([*lines, ""])

    @property
    def details(self) -> str:
        """The same as a table, and the rates behind it."""
        lines = [
            "| model | class | calls | GFLOP | GB | floor (s) | step (s) | share |",
            "| :-- | :-- | --: | --: | --: | --: | --: | --: |",
        ]
        lines += [
            f"| {name} | {kind} | {work.calls} | {work.flop / 1e9:.3g} | {work.bytes / 1e9:.3g} | "
            f"{floor:.3g} | {sec:.3g} | {floor / sec:.0%} |"
            for name, kind, work, floor, sec in self._rows
        ]
        rates = f"{self.flop_rate / 1e9:.0f} GFLOP/s and {self.byte_rate / 1e9:.1f} GB/s"
        return "\n".join(lines) + (
            f"\n\nAt best, measured between the steps: {rates}. Calls and work are means over "
            "steps with and without lazy terms; bytes of convolutions and products are no part of "
            "the floor."
        )

    @property
    def _rows(self) -> Iterator[tuple[str, str, Work, float, float]]:
        for name, step in self.steps.items():
            for kind in (CONVOLUTIONS, PRODUCTS, REST):
                yield name, kind, step.work[kind], self.floors(step)[kind], step.sec
            columns = zip(*map(astuple, step.work.values()), strict=True)
            whole = Work(*map(sum, columns))
            yield name, "step", whole, sum(self.floors(step).values()), step.sec


def measure(device: str) -> Floor:
    """Count and time steps of the four models.

    Raises:
        RuntimeError: if a count does not agree with one by hand.
    """
    torch.set_num_threads(1)
    check()
    steps, rates = {}, []
    for name, case in CASES.items():
        steps[name] = of_step(case, device)
        rates.append(ceilings(torch.device(device)))
    flop_rate, byte_rate = map(max, zip(*rates, strict=True))
    return Floor(steps, device, flop_rate, byte_rate)


def check() -> None:
    """Count a convolution, its gradient, and the gradient of that, and compare.

    Raises:
        RuntimeError: if one differs from what it is by hand.
    """
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 8, 8, generator=draw).requires_grad_()
    weight = torch.randn(5, 3, 3, 3, generator=draw).requires_grad_()
    one = 2 * (2 * 5 * 8 * 8) * (3 * 3 * 3)
    with Count() as forward:
        scores = torch.conv2d(x, weight, padding=1).square().sum()
    with Count() as backward:
        (gradient,) = torch.autograd.grad(scores, x, create_graph=True)
    with Count() as twice:
        gradient.square().sum().backward()
    counts = [count.work[CONVOLUTIONS].flop / one for count in (forward, backward, twice)]
    # Twice: of the gradient by x two (its own input and weight), and two more of the forward pass.
    if counts != [1, 1, 4]:
        raise RuntimeError(f"convolutions forward, backward and twice are counted {counts} times")


def of_step(case: Case, device: str) -> Step:
    """Count and time one model's step."""
    base, widest, batch = _WIDTHS[device]
    widths = () if case.thin else (f"model.base_channels={base}", f"model.max_channels={widest}")
    batches = () if case.thin else (f"train.batch_size={batch}",)
    path = Path(f"experiments/{case.spec}.yaml")
    spec = load(path, overrides=("seeds=[0]", "hooks=[]", *widths, *batches, *case.overrides))
    with tempfile.TemporaryDirectory() as folder:
        runner = runs.on_noise(Path(folder, Path(folder).name), device, spec, case.scale)
        with Count() as count:
            for _ in range(case.period):
                runs.step(runner)
        times = [seconds(lambda: runs.step(runner), case.period) for _ in range(_TURNS)]
        images = runner.model.next_batch_size
    work = {
        kind: Work(*(value // case.period for value in astuple(count.work[kind])))
        for kind in (CONVOLUTIONS, PRODUCTS, REST)
    }
    size = f"{case.scale} px" if case.thin else f"{case.scale} px, {base} and {widest} channels"
    return Step(f"{size}, batch {images}", images, tuple(times), work)
