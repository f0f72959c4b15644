"""What a result rests on: protocol, cost, runs, machine, and the command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.plan.expand import ONLY_LEVEL
from harness.records.machine import kind
from harness.records.quantities import lookup
from harness.records.types import Status
from harness.report import protocols, sharing
from harness.report.frames import Results
from harness.report.tables import CLOCKS, TimingLine, timing
from harness.report.text import Block, Command, Items, Table, code, emphasis, outside
from harness.report.wording import decimals, number
from harness.spec.schema import Evaluate
from harness.spec.vocabulary import METRICS, PATH_METRICS

_SAID = ("cpu", "cores", "device", "jobs", "threads", "arithmetic", "python")
_CLOCKS = {name: lookup(f"time/{name}_sec").title for name in CLOCKS}


def protocol(results: Results) -> list[Block]:
    """Return how the numbers were measured."""
    spec = results.plan.spec
    evaluate = spec.evaluate
    extractor = evaluate.extractor_spec
    weights = f", weights {extractor.weights_sha256[:12]}" if extractor.weights_sha256 else ""
    first = f"after {evaluate.first_kimg:g} kimg, then " if evaluate.first_kimg else ""
    iterations = spec.growth.iterations(spec.total_images)
    metrics = "; ".join(f"{lookup(m).title}, {METRICS[m]}" for m in evaluate.metrics)
    return [
        Items(
            [
                f"Model: {spec.model.type}, {spec.model.out_scale} px; data: "
                f"{outside(spec.data.title)}.",
                f"Training: {spec.kimg:g} kimg, {iterations} iterations, "
                f"seeds {', '.join(map(str, spec.seeds))}.",
                f"Evaluation: {first}every {evaluate.every_kimg:g} kimg, {evaluate.fake_images} "
                f"generated images, the same latents for every arm; extractor "
                f"{code(extractor.type)}{weights}.",
                f"Metrics: {metrics}.",
                *_codes(evaluate),
            ]
        ),
        *protocols.section(results),
    ]


def _codes(evaluate: Evaluate) -> Iterator[str]:
    """Say what was done to latents and style codes, where anything was."""
    for name, value in evaluate.sample_kwargs.items():
        yield f"Generated images: {name} {value:g}; path lengths without it."
    if PATH_METRICS.intersection(evaluate.metrics):
        eyes = evaluate.lpips.type if evaluate.lpips else evaluate.extractor_spec.type
        how = "" if evaluate.lpips else ", squared difference of features of length 1: not LPIPS"
        yield (
            f"Path lengths: {evaluate.pairs} steps of 1e-4 anywhere on whole paths, no crop, the "
            f"same injected noise at both ends; distance {code(eyes)}{how}."
        )


def cost(results: Results) -> list[Block]:
    """Return what training and evaluating cost, by level."""
    lines = timing(results)
    heads = {"train_sec_per_kimg": "training (s/kimg)"}
    for clock, title in _CLOCKS.items():
        heads[f"{clock}_sec"] = f"{title} (s)"
        heads |= {"eval_share": "eval tax"} if clock == "eval" else {}
    heads |= {"peak_rss_gib": "peak memory (GiB)", "peak_gpu_gib": "peak GPU memory (GiB)"}
    known = [name for name in heads if any(name in line.costs for line in lines)]
    if not known:
        return []
    rows = [
        [_level_name(line.level), *(_cost_cell(line, name) for name in known)] for line in lines
    ]
    counts = "Median over the seeds (min to max); in percent, the share of the run's time"
    tax = f": that of evaluations is the {emphasis('eval tax')}."
    counts += tax if "eval_share" in known else "."
    table = Table(["level", *(heads[name] for name in known)], rows)
    return [table, counts, *sharing.told(results)]


def _cost_cell(line: TimingLine, name: str) -> str:
    if name not in line.costs:
        return ""
    found = line.costs[name]
    if name == "eval_share":
        return f"{found.median:.1%} ({found.low:.1%} to {found.high:.1%})"
    places = decimals([found.high], 3)
    median, low, high = (number(v, places) for v in (found.median, found.low, found.high))
    share = None if name == "eval_sec" else line.costs.get(f"{name.removesuffix('_sec')}_share")
    return f"{median} ({low} to {high})" + (f", {share.median:.0%}" if share else "")


def outcomes(results: Results) -> list[Block]:
    """Return how many runs finished, and why the others did not."""
    columns = (results.outcomes[name] for name in ("level", "seed", "status", "reason"))
    every = list(zip(*columns, strict=True))
    others = [run for run in every if run[2] != Status.FINISHED]
    if not others:
        return [f"All {len(every)} runs finished."]
    rows = [
        [_level_name(level), str(seed), status, outside(why)] for level, seed, status, why in others
    ]
    listed = Table(["level", "seed", "status", "reason"], rows, words=4)
    count = f"{len(every) - len(others)} of {len(every)} runs finished"
    return [f"{count}; statistics leave out these:", listed]


def machine(results: Results) -> list[Block]:
    """Return what the runs ran on."""
    if not results.machine:
        return []
    parts: list[Block] = [_machine_lines(results.machine)]
    if others := results.machine.get("also", []):
        parts.append("Not all runs had the same machine and source; the others:")
        parts += map(_machine_lines, others)
    if places := results.machine.get("resumed", []):
        parts += _resumed_lines(places)
    return parts


def _resumed_lines(places: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Say which runs were stopped and went on, and whether that can have changed their bits."""
    count = len({place["run"] for place in places})
    runs = "1 run was resumed" if count == 1 else f"{count} runs were resumed"
    moved = [place for place in places if not (place["same_kind"] and place["same_source"])]
    if not moved:
        return [f"{runs}, always on the same kind of machine and source: exact."]
    listed = [
        f"{code(str(place['run']))} from iteration {outside(str(place['iteration']))} on, "
        f"{_what_changed(place)}."
        for place in moved
    ]
    return [
        f"{runs}, not always on the same kind of machine and source. The bits of these may differ "
        "from those of a run that was not stopped:",
        Items(listed),
    ]


def _what_changed(place: Mapping[str, Any]) -> str:
    changed = {"machine": place["same_kind"], "source": place["same_source"]}
    return " and ".join(f"another {name}" for name, same in changed.items() if not same)


def _machine_lines(machine: Mapping[str, Any]) -> Items:
    source, libraries = machine.get("source") or {}, machine.get("libraries") or {}
    said = {name: outside(str(machine.get(name))) for name in _SAID}
    commit = f", commit {outside(str(source['commit'])[:12])}" if source.get("commit") else ""
    dirty = " with uncommitted changes" if source.get("clean") is False else ""
    versions = ", ".join(
        outside(f"{name} {version}") for name, version in libraries.items() if version
    )
    kernels = machine.get("kernels") or {}
    paths = "; ".join(outside(f"{name}: {path}") for name, path in kernels.items())
    return Items(
        [
            f"{said['cpu']}, {said['cores']} cores; device {said['device']}; runs side by side: "
            f"{said['jobs']}, threads of each: {said['threads']}; {said['arithmetic']}; kind "
            f"{code(kind(machine))}.",
            f"Python {said['python']}; {versions}.",
            *([f"Kernels: {paths}."] if paths else []),
            f"gan-harness {outside(str(source.get('version')))}{commit}{dirty}, source "
            f"{outside(str(source.get('digest')))}.",
        ]
    )


def reproduce(results: Results) -> list[Block]:
    """Return the command that repeats the runs."""
    plan = results.plan
    spec = f"experiments/{plan.experiment}.yaml"
    return [
        Command(shlex.join(["harness", "run", spec, "--tier", plan.tier, *plan.overrides])),
        "On a machine of the same kind this gives the same bits; on another, values inside the "
        "seeds' spread.",
    ]


def _level_name(level: str) -> str:
    return "all" if level == ONLY_LEVEL else code(level)
