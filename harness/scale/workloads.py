"""What a simulated cluster is given: runs as long as plans predict, with checkpoints as large."""

import csv
import io
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import NamedTuple

from harness.bench.finding import Finding
from harness.plan.expand import Plan, expand
from harness.plan.keeping import checkpoint_gib
from harness.plan.price import Place, price
from harness.report.tabular import csv_text
from harness.report.wording import short, table
from harness.spec.load import load

DIGITS = 10
"""Of numbers that anyone has to be able to compute again to the byte."""
_DAY_SEC = 86400.0


class Questions(NamedTuple):
    """Specs of one tier, and how many levels and seeds each is asked with."""

    tier: str
    specs: tuple[str, ...]
    levels: int
    seeds: int


_PAPER = (
    *("pggan-celeba-cropped-128", "pggan-celeba-hq-1024", "pggan-lsun-bedroom-128"),
    *("stylegan1-ffhq-1024", "stylegan1-ffhq-256", "stylegan2-ada-cifar10"),
    "stylegan2-ffhq-256",
)
"""The published schedules; SinGAN's are minutes, and priced by an image that has to be there."""
QUESTIONS = {
    "paper": Questions("quick", tuple(f"paper/{name}" for name in _PAPER), 20, 20),
    "short": Questions("gpu", ("pggan-ema", "stylegan1-ema", "stylegan2-ema"), 40, 80),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Runs that a plan prices alike.

    Args:
        workload: which of ``QUESTIONS``.
        experiment: the spec's name.
        runs: how many.
        run_sec: predicted seconds of each on one GPU, evaluations included.
        checkpoint_gib: of each checkpoint.
        source: where the prediction comes from.
    """

    workload: str
    experiment: str
    runs: int
    run_sec: float
    checkpoint_gib: float
    source: str


@dataclass(frozen=True, slots=True)
class Task:
    """One run for one GPU.

    Args:
        predicted_sec: what the plan says it takes, which is all that a scheduler knows.
        work_sec: what it takes, without starts, checkpoints and failures.
        checkpoint_gib: of each checkpoint.
    """

    predicted_sec: float
    work_sec: float
    checkpoint_gib: float = 0.0


@dataclass(frozen=True)
class Workloads(Finding):
    """Every kind of run of every workload."""

    kinds: tuple[Kind, ...]

    @property
    def sentence(self) -> str:
        """The finding, a clause a workload."""
        parts = []
        for name in dict.fromkeys(kind.workload for kind in self.kinds):
            own = [kind for kind in self.kinds if kind.workload == name]
            runs = sum(kind.runs for kind in own)
            days = sum(kind.runs * kind.run_sec for kind in own) / _DAY_SEC
            longest = max(kind.run_sec for kind in own) / 3600
            parts.append(
                f"the {name} workload has {runs:,} runs of {len(own)} kinds, {days:,.0f} GPU-days "
                f"in all and {short(longest)} hours the longest"
            )
        return f"By the plan's prices, {'; '.join(parts)}."

    @property
    def details(self) -> str:
        """A table of the kinds."""
        head = ["workload", "experiment", "priced by", "runs", "hours of one", "checkpoint (GiB)"]
        rows = [
            [
                *(kind.workload, kind.experiment, kind.source, f"{kind.runs:,}"),
                *(f"{kind.run_sec / 3600:.3g}", f"{kind.checkpoint_gib:.3g}"),
            ]
            for kind in self.kinds
        ]
        return table(head, rows, words=3)

    def csv(self) -> str:
        """A line a kind."""
        names = [field.name for field in fields(Kind)]
        return csv_text(names, map(astuple, self.kinds), DIGITS)


def measure(folder: Path) -> Workloads:
    """Price the questions; nothing of ``folder`` is needed."""
    return Workloads(tuple(kind for name in QUESTIONS for kind in _priced(name)))


def read(text: str) -> Workloads:
    """Return what ``Workloads.csv`` wrote."""
    return Workloads(
        tuple(
            Kind(
                row["workload"],
                row["experiment"],
                int(row["runs"]),
                float(row["run_sec"]),
                float(row["checkpoint_gib"]),
                row["source"],
            )
            for row in csv.DictReader(io.StringIO(text))
        )
    )


def tasks(kinds: Sequence[Kind], spread: float, seed: int) -> list[Task]:
    """Return a workload's runs in the plan's order, each as long as chance has it.

    Args:
        kinds: of one workload.
        spread: runs take their price times a factor, uniform in [1 - spread, 1 + spread].
        seed: of the factors.
    """
    draws = random.Random(f"lengths {seed}")
    return [
        Task(
            kind.run_sec,
            kind.run_sec * draws.uniform(1 - spread, 1 + spread),
            kind.checkpoint_gib,
        )
        for kind in kinds
        for _ in range(kind.runs)
    ]


def _priced(workload: str) -> Iterator[Kind]:
    tier, specs, levels, seeds = QUESTIONS[workload]
    # Learning rates change a run's name and numbers, not its price.
    rates = {f"lr{number}": 0.001 * (1 + number / levels) for number in range(levels)}
    asked = (f"factors={{train.optimizer.lr: {rates}}}", f"seeds={[*range(seeds)]}")
    for name in specs:
        path = Path(f"experiments/{name}.yaml")
        plan = expand(path.stem, tier, load(path, tier, asked))
        seconds, source = _predicted(plan)
        size = checkpoint_gib(plan.spec)
        for run_sec, runs in Counter(seconds).items():
            yield Kind(workload, path.stem, runs, run_sec, size, source)


def _predicted(plan: Plan) -> tuple[Sequence[float], str]:
    """Return the seconds of each run on one GPU, and where the prediction comes from."""
    priced = price(plan, Place("cuda", 1))
    return priced.run_sec, priced.source
