"""Measured seconds of a spec's parts, kept for its kind of machine: written, found, read back.

A file for each, ``calibrations/DIGEST.json`` in the cache, of the newest few times that it was
measured: a machine that others share is not as fast in one minute as in the next. The digest is of
everything that decides what a run costs: the machine's kind, how many runs train side by side, and
of the spec what ``settings`` leaves in. Nothing else moves it: how long training goes on, how
strong a loss is or what an average is called costs no seconds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import RecordsError
from harness.plan.estimate import NOTHING, Estimate
from harness.plan.figures import Figures
from harness.plan.keeping import checkpoint_gib
from harness.plan.schedule import passes, phases
from harness.plan.work import macs_per_image, parameters, training_macs
from harness.records.files import read_json, write_json
from harness.records.hardware import hardware
from harness.spec.identity import digest
from harness.spec.schema import Spec

VERSION = 2
"""Of what is measured and how it is written. 2: more than one time."""
MOST_TIMES = 5
"""That are kept, the newest."""
EXTRAPOLATED = 2.0
"""What was not reached is scaled by its arithmetic, and may be so many times too much or little."""
_STRENGTHS = (
    *("penalty_weight", "drift_weight", "recon_weight"),
    *("r1_gamma", "path_weight", "path_decay"),
)
_RATES = ("lr_per_scale", "optimizer", "reset_optimizer_per_scale")
_LENGTHS = ("nkimgs_per_scale", "transition_kimgs", "iters_per_scale", "lr_milestone")


def settings(spec: Spec) -> dict[str, Any]:
    """Return what of a run's spec decides the seconds of its parts, as JSON.

    Left out, or kept as a yes or no, is what decides how often they take place. A field that is not
    known here stays in: a calibration too many is better than a wrong one.
    """
    content = {name: dict(spec.of_a_run[name]) for name in ("model", "data", "train", "evaluate")}
    model, train, evaluate = content["model"], content["train"], content["evaluate"]
    growth = spec.growth
    faded = growth.transition_images > 0
    stages = {"scales": growth.scales, "batch_sizes": growth.batch_sizes, "faded": faded}
    for name in (*_LENGTHS, "noise_weight_init", "mapping_lr"):
        model.pop(name, None)
    for name in ("kimg", "batch_size", "log_every_kimg", *_RATES):
        train.pop(name, None)
    train["loss"] = {
        name: value != 0 if name in _STRENGTHS else value for name, value in train["loss"].items()
    }
    for name in ("every_kimg", "first_kimg", "fresh", "reference"):
        evaluate.pop(name, None)
    hooks = [{name: v for name, v in hook.items() if name != "interval"} for hook in spec.hooks]
    return {**content, "stages": stages, "hooks": hooks, "averages": _averages(spec)}


def _averages(spec: Spec) -> dict[str, Any]:
    shadows = sorted((ema.interp_mode, ema.interval) for ema in spec.observers.ema.values())
    return {"ema": shadows, "posthoc": spec.observers.posthoc is not None}


def path_of(folder: Path, spec: Spec, device: str, jobs: int, threads: int) -> Path:
    """Return where the calibration of a spec on this machine is, or would be.

    Args:
        folder: the cache.
        jobs: runs side by side on the device.
        threads: of each.
    """
    key = {
        "version": VERSION,
        "machine": hardware(device),
        "jobs": jobs,
        "threads": threads,
        "settings": settings(spec),
    }
    return folder / "calibrations" / f"{digest(key)}.json"


def write(path: Path, measured: Mapping[str, Any]) -> None:
    """Write what was measured beside what was before, whole or not at all.

    Raises:
        OutputError: if the cache cannot be written.
    """
    try:
        before = _times(path)
    except _DAMAGED:
        before = []
    times = [*before, measured][-MOST_TIMES:]
    write_json(path, {"version": VERSION, "name": path.stem, "times": times})


def pooled(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several processes, or one at several times, have measured as if one had."""
    pool: dict[str, Any] = {
        name: [sec for one in found for sec in one[name]] for name in found[0] if name not in _PARTS
    }
    for name in _PARTS:
        same: dict[tuple[object, object], list[Mapping[str, Any]]] = {}
        for part in (part for one in found for part in one[name]):
            same.setdefault((part["scale"], part.get("fading")), []).append(part)
        pool[name] = [
            {
                **parts[0],
                "sec": [sec for part in parts for sec in part["sec"]],
                "whole": all(part["whole"] for part in parts),
            }
            for parts in same.values()
        ]
    return pool


def read(path: Path, spec: Spec) -> tuple[Figures | None, str]:
    """Return the figures of a calibration, None without one; and what a user is to be told.

    A file that is torn, or is not what stands at its place, is as good as none.
    """
    if not path.exists():
        return None, ""
    try:
        times = _times(path)
        return figures(pooled(times), spec, len(times)), ""
    except _DAMAGED:
        return None, f"{path} is damaged and was ignored: calibrate again"


def _times(path: Path) -> list[Mapping[str, Any]]:
    found = read_json(path)
    if (found["version"], found["name"]) != (VERSION, path.stem):
        raise ValueError
    times: list[Mapping[str, Any]] = found["times"]
    return times


def figures(measured: Mapping[str, Any], spec: Spec, times: int = 1) -> Figures:
    """Return what a calibration says of a spec; stages beyond its budget are extrapolated.

    Args:
        measured: as ``harness.launch.calibrate`` gives it: seconds, a list for each part.
        spec: of a run.
        times: that it was measured at.
    """
    steps = {(int(s["scale"]), bool(s["fading"])): s for s in measured["steps"]}
    known = {at: _spread(found) for at, found in steps.items()}
    drawn = {int(found["scale"]): _spread(found) for found in measured["passes"]}
    wanted = phases(spec)
    step_sec = {
        (p.scale, p.fading): known.get((p.scale, p.fading)) or _scaled(spec, known, p.scale)
        for p in wanted
    }
    scales = {phase.scale for phase in wanted}
    reached = {scale for scale, _ in known} >= scales
    memory = 1.0 if reached else EXTRAPOLATED
    more = "" if reached else f", of {len({s for s, _ in known} & scales)} of {len(scales)} scales"
    return Figures(
        step_sec=step_sec,
        pass_sec={
            scale: drawn.get(scale) or _redrawn(spec, drawn, scale) for scale in passes(spec).arms
        },
        **{name: _of(measured[name]) for name in _SINGLE},
        rebuild_sec=_rebuild_sec(spec, measured),
        rss_gib=_beyond(_of(measured["rss_gib"]), memory),
        gpu_gib=_beyond(_of(measured["gpu_gib"]), memory),
        source=f"{_COUNTED[times - 1]} on this kind of machine{more}",
    )


_COUNTED = ("a calibration", *(f"{n} calibrations" for n in range(2, MOST_TIMES + 1)))
_PARTS = ("steps", "passes")
_DAMAGED = (
    *(RecordsError, LookupError, TypeError, ValueError),
    *(AttributeError, ZeroDivisionError),
)
_SINGLE = (
    *("frame_sec", "drawing_sec", "neighbours_sec"),
    *("checkpoint_sec", "start_sec"),
)


def _rebuild_sec(spec: Spec, measured: Mapping[str, Any]) -> Estimate:
    """Return what reading a snapshot takes; where none was written yet, by its size."""
    if measured["rebuild_sec"] or spec.observers.posthoc is None:
        return _of(measured["rebuild_sec"])
    share = parameters(spec)[0] * 4 / 2**30 / checkpoint_gib(spec)
    return _beyond(_of(measured["checkpoint_sec"]) * share, EXTRAPOLATED)


def _of(samples: list[float]) -> Estimate:
    if not all(0 <= float(sample) < 1e12 for sample in samples):
        raise ValueError
    return Estimate.of(samples) if samples else NOTHING


def _spread(found: Mapping[str, Any]) -> Estimate:
    """Return what was timed; where only a part of it was, it is an extrapolation."""
    if not found["sec"]:
        raise ValueError
    return _beyond(_of(found["sec"]), 1.0 if found["whole"] else EXTRAPOLATED)


def _beyond(known: Estimate, factor: float) -> Estimate:
    return Estimate(known.value, known.low / factor, known.high * factor)


def _scaled(spec: Spec, known: Mapping[tuple[int, bool], Estimate], scale: int) -> Estimate:
    """Return a step's seconds from those of the nearest scale, by multiply-adds."""
    nearest = min(known, key=lambda at: (abs(at[0] - scale), at[1]))
    if nearest[0] == scale:
        return _beyond(known[nearest], EXTRAPOLATED)

    def work(at: int) -> float:
        batch = spec.growth.batch_sizes[spec.growth.scales.index(at)]
        return batch * training_macs(spec, at)

    return _beyond(known[nearest] * (work(scale) / work(nearest[0])), EXTRAPOLATED)


def _redrawn(spec: Spec, known: Mapping[int, Estimate], scale: int) -> Estimate:
    """Return a pass's seconds from those of the nearest scale; at most the generator's grow."""
    nearest = min(known, key=lambda at: abs(at - scale))
    here, there = (macs_per_image(spec.model, at)[0] for at in (scale, nearest))
    return _beyond(known[nearest] * max(1.0, here / there), EXTRAPOLATED)
