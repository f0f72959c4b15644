"""How numbers were measured, for a stranger to repeat; and results of several protocols apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress, pairwise

from harness.plan.expand import ONLY_LEVEL
from harness.records.protocols import Protocol, differing, plain, shown
from harness.records.quantities import lookup
from harness.report.frames import Results
from harness.report.text import Block, Folded, Table, code, outside

_SHORT = {
    "extractor": "{}",
    "extractor_sha256": "weights {}",
    "pairs": "{} pairs",
    "fake_images": "{} generated",
    "real_images": "{} real",
    "real_sha256": "of digest {}",
    "reference_sha256": "against statistics of digest {}",
}
"""Facts that stand in a metric's line, and their words."""


def parts(results: Results, metric: str | None) -> list[Results]:
    """Return results once for each protocol of a metric, each with that one's numbers alone.

    Args:
        results: the evidence; of one protocol, as nearly always, it is returned as it is.
        metric: the metric, by any of its names.
    """
    names = splits(results).get(plain(metric or ""), [])
    return [_without(results, {*names} - {name}) for name in names] or [results]


def splits(results: Results) -> dict[str, list[str]]:
    """Return each metric that runs measured by several protocols, with the names it has got."""
    found: dict[str, list[str]] = {}
    for name in results.metrics:
        found.setdefault(plain(name), []).append(name)
    return {metric: names for metric, names in found.items() if len(names) > 1}


def told(results: Results) -> list[str]:
    """Say, a sentence a metric, that its numbers are of several protocols, and what differs."""
    return [
        f"{code(metric)} was measured by {len(names)} protocols, whose numbers are not compared: "
        f"{'; '.join(f'{code(_mark(name))} of {_runs(results, name)}' for name in names)}. "
        f"{_differences([results.protocols.get(name) for name in names])}"
        for metric, names in splits(results).items()
    ]


def section(results: Results) -> list[Block]:
    """Return each metric's fingerprint and facts; the whole of them folded."""
    if not results.metrics:
        return []
    held = {name: results.protocols.get(name) for name in results.metrics}
    known = {name: one for name, one in held.items() if one is not None}
    if not known:
        return ["Fingerprints: not recorded, as these runs are of an earlier version."]
    rows = [
        [_title(name), code(one.fingerprint), _short(one)] if one else [_title(name), _UNKNOWN, ""]
        for name, one in held.items()
    ]
    facts = Table(["measured", "fact", "value"], _facts(known), words=3)
    return [
        *told(results),
        Table(["metric", "fingerprint", "measured with"], rows, words=3),
        Folded("Every fact of these protocols", [facts]),
    ]


_UNKNOWN = "not recorded"


def _title(name: str) -> str:
    _, bracket, said = name.partition("[")
    return lookup(name).title + bracket + said


def _mark(name: str) -> str:
    return name.rpartition("protocol=")[2].rstrip("]")


def _without(results: Results, names: set[str]) -> Results:
    kept = [quantity not in names for quantity in results.rows["quantity"]]
    rows = {column: list(compress(values, kept)) for column, values in results.rows.items()}
    return replace(results, rows=rows)


def _runs(results: Results, name: str) -> str:
    """Say which runs have measured a quantity: levels, or seeds of one."""
    columns = (results.rows[column] for column in ("level", "seed", "quantity"))
    seeds: dict[str, list[int]] = {}
    for level, seed in dict.fromkeys((v, s) for v, s, q in zip(*columns, strict=True) if q == name):
        seeds.setdefault(level, []).append(seed)
    said = [_seeds(level, own, results.plan.spec.seeds) for level, own in seeds.items()]
    return ", ".join(said)


def _seeds(level: str, seeds: Sequence[int], every: Sequence[int]) -> str:
    known = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    if level == ONLY_LEVEL:
        return known
    return code(level) if set(seeds) == set(every) else f"{code(level)} {known}"


def _differences(protocols: Sequence[Protocol | None]) -> str:
    known = [one for one in protocols if one is not None]
    names = dict.fromkeys(name for pair in pairwise(known) for name in differing(*pair))
    said = [f"{name} ({', '.join(outside(shown(one, name)) for one in known)})" for name in names]
    unknown = ["Of one no facts were recorded."] if len(known) < len(protocols) else []
    return " ".join([*([f"They differ in {', '.join(said)}."] if said else []), *unknown])


def _short(protocol: Protocol) -> str:
    return ", ".join(
        words.format(outside(shown(protocol, name)))
        for name, words in _SHORT.items()
        if name in protocol.facts
    )


def _facts(protocols: Mapping[str, Protocol]) -> list[list[str]]:
    """Return a line for each fact: whose it is, its name and its value."""
    metrics: dict[tuple[str, str], list[str]] = {}
    for metric, one in protocols.items():
        for name, value in one.facts.items():
            metrics.setdefault((name, str(value)), []).append(_title(metric))
    return [
        ["all" if len(of) == len(protocols) else ", ".join(of), code(name), outside(value)]
        for (name, value), of in metrics.items()
    ]
