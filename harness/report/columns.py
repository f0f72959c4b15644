"""Every column of the pandas frames: its kind, its unit and what it means, in one table."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Column:
    """How a column is typed, and what it says.

    Args:
        kind: ``category`` is text in the plan's order.
        meaning: in words.
        unit: empty for text and for numbers without one.
    """

    kind: Literal["category", "int", "float", "bool"]
    meaning: str
    unit: str = ""


def _category(meaning: str) -> Column:
    return Column("category", meaning)


def _float(meaning: str, unit: str = "") -> Column:
    return Column("float", meaning, unit)


_OF = {
    "folder": _category("as it was given to load"),
    "experiment": _category("name of the spec"),
    "tier": _category("tier of the spec, as quick"),
    "level": _category("the factors' levels, - where a spec has none"),
    "seed": Column("int", "the run's seed"),
    "run": _category("folder of the run: level, seed, digest of its settings"),
    "arm": _category("what was measured: raw, a shadow, real images, the run as a whole"),
}
_WHAT = {
    "quantity": _category("what was measured, with its protocol: fid[digits-cnn]"),
    "metric": _category("the quantity without its protocol: fid"),
    "protocol": _category("what stands in the quantity's brackets: extractor, truncation"),
    "unit": _category("the value's unit"),
    "better": _category("the better direction: lower, higher or neither"),
}
_WHEN = {
    "kimg": _float("thousands of real images shown so far", "kimg"),
    "iteration": Column("int", "training iterations so far", "iterations"),
    "hours": _float("time of the run so far, evaluation included", "h"),
    "value": _float("the measured number, in the row's unit"),
}
_SUMMARY = {
    "n": Column("int", "seeds that finished", "seeds"),
    "median": _float("over seeds, at the end of training"),
    "min": _float("over seeds, at the end of training"),
    "max": _float("over seeds, at the end of training"),
    "mean": _float("over seeds, at the end of training"),
    "best_during_training": _float("median over seeds of each one's best: picked, so it flatters"),
    "difference_to_raw": _float("mean paired difference to raw"),
    "half_width": _float("half of its 95 % t interval"),
    "p_holm": _float("its p-value, adjusted over the metric's comparisons with raw"),
    "difference_to_first_level": _float("mean difference to the arm at the first level"),
    "level_half_width": _float("half of its 95 % Welch interval"),
    "level_p_holm": _float("its p-value, adjusted over the metric's comparisons of levels"),
    "interp_mode": _category("mode of the average"),
    "ema_error": _float("largest relative difference of the shadow to its closed form"),
}
_NOISE = {  # where fresh latents were measured, and where there are seeds enough
    "best_on_fresh_latents": _float("median over seeds of that best, measured on fresh latents"),
    "evaluation_sd": _float("standard deviation over latents, of the same weights"),
    "evaluation_share": _float("of the variance over seeds, what evaluation alone makes"),
    "evaluation_half_width": _float("of the difference to raw, from evaluation alone"),
    "level_evaluation_half_width": _float("of the difference of levels, from evaluation alone"),
    "middle_mean": _float("interquartile mean over seeds"),
}
_BOUNDED = ("evaluation_sd", "evaluation_share", "middle_mean")
_ARMS = {
    "mode": _category("of the average: lerp, power, ..., posthoc if rebuilt; missing for raw"),
    "momentum": _float("weight of the new value in an update"),
    "decay": _float("weight of the old value in an update"),
    "half_life_kimg": _float("images after which a weight in the average has halved", "kimg"),
    "span": _float("share of the run that the average's mean age covers"),
    "sigma_rel": _float("width of a power function's average, as a share of the run"),
    "interval": Column("int", "between two updates; -1 never", "iterations"),
    "start_iter": Column("int", "the first average; before it the shadow is a copy", "iterations"),
}
_COSTS = {
    "run_sec": _float("the whole run: training, evaluation and overhead", "s"),
    "train_sec": _float("training with its hooks and shadows", "s"),
    "eval_sec": _float("evaluation", "s"),
    "overhead_sec": _float("start-up, data, pictures, records", "s"),
    "train_sec_per_kimg": _float("training by thousand images", "s/kimg"),
    "train_share": _float("of the run's time"),
    "eval_share": _float("of the run's time: the eval tax"),
    "overhead_share": _float("of the run's time"),
    "peak_rss_gib": _float("most memory of the process", "GiB"),
    "peak_gpu_gib": _float("most memory of the device", "GiB"),
}
_RUNS = {
    "status": _category("finished, diverged, failed, interrupted, or missing"),
    "reason": _category("why it did not finish; empty where it did"),
    "machine": _category("kind of the machine: runs of one kind have to agree to the bit"),
    "cpu": _category("processor"),
    "device": _category("cpu, or the accelerator's name"),
    "python": _category("version"),
    "torch": _category("version"),
    "source": _category("digest of the harness's source"),
    "commit": _category("commit of the harness's source"),
    "clean": Column("bool", "whether the source was as committed"),
}


def _extremes(costs: dict[str, Column]) -> dict[str, Column]:
    return {
        f"{name}_{end}": Column("float", f"{said} over seeds: {column.meaning}", column.unit)
        for name, column in costs.items()
        for end, said in (("min", "least"), ("max", "most"))
    }


def _bounds(names: tuple[str, ...], columns: dict[str, Column]) -> dict[str, Column]:
    return {
        f"{name}_{end}": Column("float", f"{end} 95 % bound: {columns[name].meaning}")
        for name in names
        for end in ("low", "high")
    }


COLUMNS = {
    **(_OF | _WHAT | _WHEN | _SUMMARY | _NOISE | _ARMS | _COSTS | _RUNS),
    **_extremes(_COSTS),
    **_bounds(_BOUNDED, _NOISE),
}
"""By name; a name means the same in every frame."""
