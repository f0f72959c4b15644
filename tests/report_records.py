"""A small world with stated numbers: records as runs leave them, without training."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.plan.expand import Plan, expand
from harness.records.store import RunFolder, dump_yaml
from harness.records.types import Outcome, Row, Status
from harness.spec.load import validated

MACHINE = {
    "cpu": "Test CPU",
    "isa": "avx2",
    "cores": 2,
    "memory_gib": 8.0,
    "device": "cpu",
    "threads": 2,
    "jobs": 3,
    "arithmetic": "float32",
    "system": "Linux",
    "python": "3.11.7",
    "libraries": {"torch": "2.11.0", "numpy": "2.4.6"},
    "source": {"version": "0.1.0", "digest": "0123456789ab", "commit": "f" * 40, "clean": True},
}
FID = "fid[digits-cnn]"
IS = "is[digits-cnn]"
SHADOWS = {
    "paper": {"interp_mode": "lerp", "interp_cfg": {"momentum": 0.001}},
    "short": {"interp_mode": "lerp", "interp_cfg": {"half_life_kimg": 2}, "start_iter": 200},
    "mean": {"interp_mode": "uniform"},
}
RULES = {
    "off": None,
    "fid": {
        "val_metric": f"{FID}/raw",
        "scheduler": {"type": "ReduceLR", "patience": 1, "factor": 0.5, "threshold": 0.1},
    },
}


def plan_of(
    seeds: tuple[int, ...] = (0, 1, 2),
    factors: Mapping[str, Any] | None = None,
    shadows: Mapping[str, Any] = SHADOWS,
    metrics: tuple[str, ...] = ("fid", "is"),
) -> Plan:
    spec = {
        "question": "Which average of the generator is best?",
        "model": {
            "type": "PGGAN",
            "noise_size": 8,
            "out_scale": 8,
            "nkimgs_per_scale": {4: 20, 8: 80},
            "transition_kimgs": 10,
        },
        "data": {"type": "digits"},
        "train": {"kimg": 100, "batch_size": 50},
        "evaluate": {
            "every_kimg": 20,
            "extractor": "digits-cnn",
            "fake_images": 2000,
            "metrics": list(metrics),
        },
        "seeds": list(seeds),
        "observers": {"ema": dict(shadows)},
        "factors": dict(factors or {}),
    }
    return expand("demo", "quick", validated(spec, "demo.yaml"))


def fid(level: str, arm: str, seed: int, kimg: float) -> float:
    """At the end: raw 12 - seed, short exactly 1 lower, paper 3, 3.25 and 3.5 lower, mean 4 higher.

    It falls by 1 a kimg. At 20 kimg training has just left 4 pixels, an easier task.
    """
    lead = {"raw": 0.0, "paper": 3.0 + 0.25 * seed, "short": 1.0, "mean": -4.0}.get(arm, 0.5)
    gain = 5.0 if level.endswith("=fid") else 0.0
    return 1.0 if kimg <= 20 else 12.0 - seed - lead - gain + (100 - kimg)


def rows_of(level: str, seed: int, arms: tuple[str, ...], last_kimg: int = 100) -> list[Row]:
    rows = []
    for kimg in range(20, last_kimg + 1, 20):
        at = {"kimg": float(kimg), "iteration": kimg * 20, "sec": kimg * 1.5}
        rows += [Row(FID, arm, fid(level, arm, seed, kimg), **at) for arm in arms]
        rows += [Row(IS, arm, 5 + kimg / 100 + seed / 10, **at) for arm in arms]
        rows += [Row("train/lr", "run", 0.001, **at), Row("loss/d", "run", 0.1 * seed, **at)]
        for clock, rate in (("train", 0.8 + 0.1 * seed), ("eval", 0.3), ("overhead", 0.1)):
            rows.append(Row(f"time/{clock}_sec", "run", rate * kimg, **at))
        rows.append(Row("memory/peak_rss_gib", "run", 1.0 + kimg / 1000, **at))
        if level.endswith("=fid"):
            rows += [Row("reduce_lr/value", "run", fid(level, "raw", seed, kimg), **at)]
            rows += [Row("reduce_lr/best", "run", fid(level, "raw", seed, kimg), **at)]
            rows += [Row("reduce_lr/old_lr", "run", 0.001, **at)]
            rows += [Row("reduce_lr/new_lr", "run", 0.0005 if kimg == 60 else 0.001, **at)]
    end = {"kimg": float(last_kimg), "iteration": last_kimg * 20, "sec": last_kimg * 1.5}
    rows += [Row("ema_error", arm, 3e-7 + seed * 1e-8, **end) for arm in arms if arm != "raw"]
    floor = {"kimg": 0.0, "iteration": 0, "sec": 0.5}
    return [*rows, Row(FID, "real", 0.5 + seed / 100, **floor), Row(IS, "real", 9.5, **floor)]


def record(
    plan: Plan,
    runs_dir: Path,
    change: Callable[[str, int, list[Row]], list[Row]] = lambda level, seed, rows: rows,
    outcomes: Mapping[tuple[str, int], Outcome | None] | None = None,
    machine: Mapping[str, Any] = MACHINE,
) -> Path:
    """Leave the records of every run of a plan; an outcome of None is not written."""
    arms = tuple(arm.name for arm in plan.arms)
    for run in plan.runs:
        folder = RunFolder(runs_dir / run.name)
        folder.begin(run.settings, machine)
        folder.append(change(run.level, run.seed, rows_of(run.level, run.seed, arms)))
        ended = (outcomes or {}).get((run.level, run.seed), Outcome(Status.FINISHED))
        folder.end(ended or Outcome(Status.FINISHED))
        if ended is None:
            (folder.path / "outcome.json").unlink()
    (runs_dir / "spec.yaml").write_text(dump_yaml(plan.settings()))
    return runs_dir


def keep_samples(plan: Plan, runs_dir: Path, images: Mapping[str, np.ndarray]) -> None:
    """Leave samples of every run, of the first one those given and of the others none of use."""
    for run in plan.runs:
        folder = runs_dir / run.name / "samples"
        folder.mkdir(parents=True)
        np.savez(folder / "final.npz", **(images if run is plan.runs[0] else {"x": np.zeros(1)}))


def digits(seed: int, size: int = 8, channels: int = 1) -> np.ndarray:
    """16 random images N,H,W,C."""
    return np.random.default_rng(seed).integers(0, 256, (16, size, size, channels), np.uint8)
