"""What stands on the page, in the order of reading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from harness.report.frames import Results
from harness.report.markdown import PICTURES, result, sections
from harness.report.page.clocks import bars
from harness.report.page.curves_chart import curves
from harness.report.page.length_charts import half_life, widths
from harness.report.page.pictures import Shown
from harness.report.page.rate_chart import rates
from harness.report.series import drawable
from harness.report.text import Block, Folded

Kind = Literal["blocks", "chart", "bars", "reel", "picture"]


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
    told = dict(sections(results))
    drawn = drawable(results)
    lengths = "EMA lengths rebuilt after training"
    within = "Every arm within its level"
    tables = told.pop(within, [])
    first = {
        "Result": _told(result(results)),
        within: _told([Folded("Tables of each level", tables)] if tables else []),
        "Over training": _chart(curves(drawn)),
        "Over the EMA's half-life": _chart(half_life(drawn)),
        "Learning rate": _chart(rates(drawn)),
        lengths: [*_chart(widths(drawn)), *_told(told.pop(lengths, []))],
        "Samples": _samples(shown),
        "Nearest real images": _picture(shown.neighbours, PICTURES["neighbours.png"]),
        "Other metrics": _told(told.pop("Other metrics", [])),
        "Time": [*_bars(results), *_told(told.pop("Cost", []))],
    }
    runs = {"Runs": _told(told.pop("Runs", []))}
    every = {**first, **{heading: _told(blocks) for heading, blocks in told.items()}, **runs}
    return [Section(heading, parts) for heading, parts in every.items() if parts]


def _told(blocks: Sequence[Block]) -> list[Part]:
    return [Part("blocks", blocks)] if blocks else []


def _chart(chart: object) -> list[Part]:
    return [] if chart is None else [Part("chart", chart)]


def _bars(results: Results) -> list[Part]:
    found = bars(results)
    return [Part("bars", found)] if found else []


def _samples(shown: Shown) -> list[Part]:
    parts = _picture(shown.samples, PICTURES["samples.png"])
    if shown.reel is not None:
        parts = [Part("reel", shown.reel)]
    return [*parts, *_told([shown.left_out] if shown.left_out else [])]


def _picture(picture: object, caption: str) -> list[Part]:
    return [] if picture is None else [Part("picture", picture, caption)]
