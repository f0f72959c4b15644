"""What stands on the page, in the order of reading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from harness.report.frames import Results
from harness.report.leaderboard import main_table
from harness.report.markdown import PICTURES, reading, sections
from harness.report.page.clocks import bars
from harness.report.page.curves_chart import curves
from harness.report.page.length_charts import half_life, widths
from harness.report.page.pictures import Shown
from harness.report.page.rate_chart import rates
from harness.report.series import drawable
from harness.report.text import Block

Kind = Literal["blocks", "details", "chart", "bars", "reel", "picture"]


class Part(NamedTuple):
    """A piece of a section; ``value`` is what its kind says."""

    kind: Kind
    value: object
    title: str = ""


class Section(NamedTuple):
    """A heading and what stands below it."""

    heading: str
    parts: Sequence[Part]

    @property
    def key(self) -> str:
        """Its name in addresses."""
        return re.sub(r"\W+", "-", self.heading.lower())


def contents(results: Results, shown: Shown) -> list[Section]:
    """Return the sections that have something to show."""
    told = {heading: [Part("blocks", blocks)] for heading, blocks in sections(results).items()}
    drawn = drawable(results)
    lengths = "EMA lengths rebuilt after training"
    within = "Every arm within its level"
    first = {
        "Result": _result(results),
        within: _folded(told.pop(within, [])),
        "Over training": _chart(curves(drawn)),
        "Over the EMA's half-life": _chart(half_life(drawn)),
        "Learning rate": _chart(rates(drawn)),
        lengths: [*_chart(widths(drawn)), *told.pop(lengths, [])],
        "Samples": _samples(shown),
        "Nearest real images": _picture(shown.neighbours, PICTURES["neighbours.png"]),
        "Other metrics": told.pop("Other metrics", []),
        "Time": [*_bars(results), *told.pop("Cost", [])],
    }
    runs = {"Runs": told.pop("Runs", [])}
    every = {**first, **told, **runs}
    return [Section(heading, parts) for heading, parts in every.items() if parts]


def _result(results: Results) -> list[Part]:
    blocks, text = main_table(results), reading(results)
    if not blocks:
        return []
    return [Part("blocks", blocks), Part("details", [text], "How to read the table")]


def _folded(parts: Sequence[Part]) -> list[Part]:
    return [Part("details", part.value, "Tables of each level") for part in parts]


def _chart(chart: object) -> list[Part]:
    return [] if chart is None else [Part("chart", chart)]


def _bars(results: Results) -> list[Part]:
    found = bars(results)
    return [Part("bars", found)] if found else []


def _samples(shown: Shown) -> list[Part]:
    parts = _picture(shown.samples, PICTURES["samples.png"])
    if shown.reel is not None:
        parts = [Part("reel", shown.reel)]
    note: list[Block] = [shown.left_out]
    return [*parts, Part("blocks", note)] if shown.left_out else parts


def _picture(picture: object, caption: str) -> list[Part]:
    return [] if picture is None else [Part("picture", picture, caption)]
