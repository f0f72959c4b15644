"""Which runs took over what another had trained, and what their clocks mean then."""

from __future__ import annotations

from harness.report.frames import Results
from harness.report.text import Block, Folded, Items, code
from harness.report.wording import number


def told(results: Results) -> list[Block]:
    """Return how much was trained once for several runs; nothing where none was."""
    places = results.machine.get("shared", [])
    if not places:
        return []
    kimg = sum(float(place["kimg"]) for place in places)
    sec = sum(float(place["sec"]) for place in places)
    total = sum(run.spec.kimg for run in results.plan.runs)
    runs = "1 run was" if len(places) == 1 else f"{len(places)} runs were"
    listed = [
        f"{code(str(place.get('run')))} from {code(place['trunk'])}, after "
        f"{number(float(place['kimg']))} kimg."
        for place in places
    ]
    return [
        f"{runs} branched from another run of the same seed, up to where the two part: "
        f"{number(kimg)} of {number(total)} kimg were trained once for several runs. Rows and "
        f"clocks of a branch begin as its trunk's, so that each run's times are those of a run of "
        f"its own; {number(sec)} s of them were spent once and are counted again.",
        Folded("Which run branched from which", [Items(listed)]),
    ]
