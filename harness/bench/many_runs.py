"""Synthetic records of as many runs as are asked for, as real runs leave them, without training.

Twenty levels (five learning rates, four fade-ins) of a PGGAN on the digits, raw and one shadow,
five evaluations, unless others are asked for. A run's folder holds what a report reads:
``machine.json``, ``outcome.json`` and ``rows.jsonl`` with the quantities that a run of this spec
writes, 62 rows. A value is drawn from the run's seed, so that anyone who knows the spec can say
what a report has to find.
"""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.plan.expand import Plan, Run, expand
from harness.records.machine import describe
from harness.records.types import FORMAT, Outcome, Row, Status
from harness.spec.load import load

FID = "fid[digits-cnn]"
SHADOW = "m0.01"
_KIMG = 100
_IMAGES_PER_BATCH = 50
_SPEC: Mapping[str, Any] = {
    "question": "What does a report over many runs cost?",
    "model": {
        "type": "PGGAN",
        "noise_size": 8,
        "out_scale": 8,
        "nkimgs_per_scale": {4: 20, 8: 80},
        "transition_kimgs": 10,
    },
    "data": {"type": "digits"},
    "train": {
        "kimg": _KIMG,
        "batch_size": _IMAGES_PER_BATCH,
    },
    "evaluate": {
        "extractor": "digits-cnn",
        "fake_images": 2000,
        "metrics": ["fid"],
    },
    "observers": {"ema": {SHADOW: {"interp_cfg": {"momentum": 0.01}}}},
}
_LOGGED = {
    "loss/d": 0.1,
    "loss/g": -0.1,
    "loss/penalty": 0.2,
    "train/lr": 0.001,
    "train/scale_px": 8.0,
    "train/transition_weight": 1.0,
}
_CLOCKS_PER_KIMG = {"time/train_sec": 0.8, "time/eval_sec": 0.2, "time/overhead_sec": 0.01}


@dataclass(frozen=True, slots=True)
class Shape:
    """How runs divide.

    Args:
        evaluations: of a run; they divide 100 kimg.
        rates: learning rates; each with every fade-in is a level.
        fades: fade-ins.
    """

    evaluations: int = 5
    rates: int = 5
    fades: int = 4

    @property
    def levels(self) -> int:
        """Which the number of runs is a multiple of."""
        return self.rates * self.fades

    @property
    def rows(self) -> int:
        """Of a run."""
        return 2 + self.evaluations * (len(_LOGGED) + 2 + len(_CLOCKS_PER_KIMG) + 1)

    def spec(self, runs: int) -> dict[str, object]:
        """Return the spec of so many runs."""
        every = _KIMG // self.evaluations
        rates = {f"lr{i}": 0.001 * 2 ** (i % 5) + i // 5 * 1e-6 for i in range(self.rates)}
        return {
            **_SPEC,
            "train": {**_SPEC["train"], "log_every_kimg": every},
            "evaluate": {**_SPEC["evaluate"], "every_kimg": every},
            "factors": {
                "train.optimizer.lr": rates,
                "model.transition_kimgs": {f"fade{i}": 4 + 2 * i for i in range(self.fades)},
            },
            "seeds": list(range(runs // self.levels)),
        }


def write(folder: Path, runs: int, shape: Shape | None = None) -> tuple[Path, Plan]:
    """Write a spec, and below ``runs/`` the records of each of its runs.

    Args:
        folder: is there, and empty.
        runs: a multiple of the shape's levels.
        shape: how they divide; None for twenty levels and five evaluations.

    Returns:
        The spec's file, ``many.yaml``, and its plan.
    """
    path = folder / "many.yaml"
    path.write_text(yaml.safe_dump((shape or Shape()).spec(runs)))
    plan = expand(path.stem, "quick", load(path))
    machine = json.dumps({"format": FORMAT, **describe("cpu", "", 1)}, indent=1) + "\n"
    outcome = json.dumps({"format": FORMAT, **_finished()}, indent=1) + "\n"
    for run in plan.runs:
        place = folder / "runs" / path.stem / "quick" / run.name
        place.mkdir(parents=True)
        (place / "machine.json").write_text(machine)
        (place / "outcome.json").write_text(outcome)
        lines = map(_line, rows(run))
        (place / "rows.jsonl").write_text("".join([f'{{"format": {FORMAT}}}\n', *lines]))
    return path, plan


def rows(run: Run) -> Iterator[Row]:
    """Yield what a run has measured, in the order in which runs write it."""
    draws = random.Random(f"{run.level} {run.seed}")
    every = int(run.spec.evaluate.every_kimg)
    yield Row(FID, "real", 0.5, 0.0, 0, 0.0)
    for evaluation in range(1, _KIMG // every + 1):
        kimg = evaluation * every
        at = (float(kimg), kimg * 1000 // _IMAGES_PER_BATCH, kimg * 1.01)
        for name, value in _LOGGED.items():
            yield Row(name, "run", value, *at)
        for arm, centre in (("raw", 20.0), (SHADOW, 15.0)):
            yield Row(FID, arm, centre / evaluation + draws.random(), *at)
        for name, rate in _CLOCKS_PER_KIMG.items():
            yield Row(name, "run", rate * kimg, *at)
        yield Row("memory/peak_rss_gib", "run", 0.5, *at)
    yield Row("ema_error", SHADOW, 3e-7, *at)


def _finished() -> dict[str, object]:
    end = Outcome(Status.FINISHED, "", 1000 * _KIMG // _IMAGES_PER_BATCH, _KIMG * 1.01)
    return {
        "status": end.status.value,
        "reason": end.reason,
        "iteration": end.iteration,
        "sec": end.sec,
    }


def _line(row: Row) -> str:
    # As json.dumps(row.as_dict()) gives it, in a tenth of the time.
    return (
        f'{{"quantity": "{row.quantity}", "arm": "{row.arm}", "value": {row.value!r}, '
        f'"kimg": {row.kimg!r}, "iteration": {row.iteration}, "sec": {row.sec!r}}}\n'
    )
