"""Records of as many runs as are asked for, as real runs leave them, without training.

Twenty levels (five learning rates, four fade-ins) of a PGGAN on the digits, raw and one shadow,
five evaluations. A run's folder holds what a report reads: ``machine.json``, ``outcome.json`` and
``rows.jsonl`` with the quantities that a run of this spec writes, 62 rows. A value is drawn from
the run's seed, so that anyone who knows the spec can say what a report has to find.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import yaml

from harness.plan.expand import Plan, Run, expand
from harness.records.machine import describe
from harness.records.types import FORMAT, Outcome, Row, Status
from harness.spec.load import load

LEVELS = 20
FID = "fid[digits-cnn]"
SHADOW = "m0.01"
ROWS = 62
"""Of a run."""
_EVALUATIONS = 5
_EVERY_KIMG = 20
_IMAGES_PER_BATCH = 50
_SPEC = {
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
        "kimg": _EVALUATIONS * _EVERY_KIMG,
        "batch_size": _IMAGES_PER_BATCH,
        "log_every_kimg": _EVERY_KIMG,
    },
    "evaluate": {
        "every_kimg": _EVERY_KIMG,
        "extractor": "digits-cnn",
        "fake_images": 2000,
        "metrics": ["fid"],
    },
    "observers": {"ema": {SHADOW: {"interp_cfg": {"momentum": 0.01}}}},
    "factors": {
        "train.optimizer.lr": {f"lr{i}": 0.001 * 2**i for i in range(5)},
        "model.transition_kimgs": {f"fade{i}": 4 + 2 * i for i in range(4)},
    },
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


def write(folder: Path, runs: int) -> tuple[Path, Plan]:
    """Write a spec, and below ``runs/`` the records of each of its runs.

    Args:
        folder: is there, and empty.
        runs: a multiple of ``LEVELS``.

    Returns:
        The spec's file, ``many.yaml``, and its plan.
    """
    path = folder / "many.yaml"
    path.write_text(yaml.safe_dump({**_SPEC, "seeds": list(range(runs // LEVELS))}))
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
    yield Row(FID, "real", 0.5, 0.0, 0, 0.0)
    for evaluation in range(1, _EVALUATIONS + 1):
        kimg = evaluation * _EVERY_KIMG
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
    images = 1000 * _EVALUATIONS * _EVERY_KIMG
    end = Outcome(Status.FINISHED, "", images // _IMAGES_PER_BATCH, images / 1000 * 1.01)
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
