"""Pictures inside the page: which fit, and how large they are shown."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from harness.report.answer import main_metric, of_interest
from harness.report.film import Film
from harness.report.frames import REAL, Results
from harness.report.tables import summary
from harness.report.text import code
from harness.spec.vocabulary import RAW

_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_WIDTH = 520
"""Frames are enlarged by the largest whole factor that stays below: two stand side by side."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG inside the page, its size in its own pixels and as it is shown."""

    name: str
    uri: str
    width: int
    height: int
    scale: int = 1

    @property
    def arm(self) -> str:
        """Whose film it is."""
        return PurePath(self.name).stem


@dataclass(frozen=True, slots=True)
class Reel:
    """A film as the page shows it.

    Args:
        film: whose index it is.
        arms: pictures of all frames, by arm.
        real: one frame of real images; None where it did not fit.
        first: the arm shown first.
        scale: by which whole factor a frame is enlarged.
    """

    film: Film
    arms: Sequence[Picture]
    real: Picture | None
    first: str
    scale: int

    @property
    def width(self) -> int:
        """Of a frame, in its own pixels."""
        return self.film.columns * self.film.tile_px

    @property
    def height(self) -> int:
        """Of a frame, in its own pixels."""
        return self.film.rows * self.film.tile_px

    @property
    def gaps(self) -> str:
        """Lines between the tiles of all frames, as an SVG path."""
        tile, whole = self.film.tile_px, self.height * len(self.film.kimg)
        across = (f"M0 {y}H{self.width}" for y in range(tile, whole, tile))
        down = (f"M{x} 0V{whole}" for x in range(tile, self.width, tile))
        return "".join((*across, *down))


@dataclass(frozen=True, slots=True)
class Shown:
    """The pictures of a page.

    Args:
        reel: samples over training.
        samples: samples at the end; None where a reel shows them.
        neighbours: samples beside their nearest real images.
        left_out: what did not fit, as one sentence; empty where all did.
    """

    reel: Reel | None = None
    samples: Picture | None = None
    neighbours: Picture | None = None
    left_out: str = ""


def fitting(
    results: Results, pictures: Mapping[str, bytes], film: Film | None, most_bytes: int
) -> Shown:
    """Return as many pictures as fit, the most telling first.

    Args:
        results: whose best shadow is shown first.
        pictures: files of the results folder, by name.
        film: of the results folder.
        most_bytes: that all of them may add to the page.
    """
    wanted = {
        name: pictures[name] for name in ("neighbours.png", "samples.png") if name in pictures
    }
    first = _first(results, film) if film else ""
    if film:
        wanted.pop("samples.png", None)
        order = dict.fromkeys([first, RAW, REAL])
        telling = {f"film/{arm}.png": film.pictures[arm] for arm in order}
        rest = {f"film/{arm}.png": film.pictures[arm] for arm in film.arms if arm not in order}
        wanted = telling | wanted | rest
    held, lost = _held(wanted, most_bytes)
    return Shown(
        _reel(film, held, first) if film else None,
        held.get("samples.png"),
        held.get("neighbours.png"),
        f"Left out, to keep this page small: {', '.join(map(code, lost))}." if lost else "",
    )


def _first(results: Results, film: Film) -> str:
    """Return the shadow that the answer speaks of."""
    metric = main_metric(results)
    lines = [line for line in summary(results) if line.cell.quantity == metric]
    names = [name for name in (of_interest(lines) if lines else []) if name in film.arms]
    return names[-1] if names else film.arms[-1]


def _held(wanted: Mapping[str, bytes], most_bytes: int) -> tuple[dict[str, Picture], list[str]]:
    held: dict[str, Picture] = {}
    lost = []
    for name, content in wanted.items():
        picture = _picture(name, content)
        if picture is None or len(picture.uri) > most_bytes:
            lost.append(name)
        else:
            most_bytes -= len(picture.uri)
            held[name] = picture
    return held, lost


def _picture(name: str, content: bytes) -> Picture | None:
    """Return a PNG as text; None where it is none."""
    if not content.startswith(_HEAD) or len(content) < len(_HEAD) + 8:
        return None
    width, height = struct.unpack_from(">II", content, len(_HEAD))
    uri = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return Picture(name, uri, width, height, max(1, _WIDTH // max(width, 1)))


def _reel(film: Film, held: Mapping[str, Picture], first: str) -> Reel | None:
    arms = [held[name] for name in _names(film.arms) if name in held]
    if not arms:
        return None
    names = [picture.arm for picture in arms]
    return Reel(
        film,
        arms,
        held.get(f"film/{REAL}.png"),
        first if first in names else names[0],
        max(1, _WIDTH // (film.columns * film.tile_px)),
    )


def _names(arms: Iterable[str]) -> list[str]:
    return [f"film/{arm}.png" for arm in arms]
