"""Samples over training as files of a results folder, for a page that shows them frame by frame.

::

    film/film.json   {"format": 1, "level", "seed", "arms", "kimg", "columns", "rows", "tile_px"}
    film/<arm>.png   the frames from top to bottom, each rows x columns tiles without gaps
    film/real.png    one frame of real images

The latents are the same in each frame and each arm. Files are below 450 kB, all together below
1.2 MB. They are evidence: copied from a run's records, never rebuilt.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import OutputError, RecordsError
from harness.files import plain
from harness.records.files import read_json, write_atomically, write_json
from harness.report.frames import REAL
from harness.report.tiles import LARGEST_BYTES
from harness.spec.vocabulary import NAME, RAW

FOLDER = "film"
MOST_BYTES = 1_200_000
"""Of all files of a film."""
_INDEX = "film.json"
_LARGEST_SIDE, _MOST = 2**16, 2**53
_HEAD, _TAIL = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Film:
    """Samples of one run over training.

    Args:
        level: of the run.
        seed: of the run.
        arms: names, ``raw`` first, then the shadows in the plan's order.
        kimg: thousands of images shown by each frame, rising.
        columns: tiles side by side in a frame.
        rows: rows of tiles in a frame.
        tile_px: side of a tile.
        pictures: PNG by arm, and of ``real``.
    """

    level: str
    seed: int
    arms: tuple[str, ...]
    kimg: tuple[float, ...]
    columns: int
    rows: int
    tile_px: int
    pictures: Mapping[str, bytes]

    @property
    def index(self) -> dict[str, Any]:
        """What ``film.json`` says, without its format."""
        return {
            "level": self.level,
            "seed": self.seed,
            "arms": list(self.arms),
            "kimg": list(self.kimg),
            "columns": self.columns,
            "rows": self.rows,
            "tile_px": self.tile_px,
        }


def read(folder: Path) -> Film | None:
    """Read the film of a results folder; None where there is none.

    Raises:
        RecordsError: if it is torn, or its index does not say what its pictures are.
    """
    path = folder / FOLDER / _INDEX
    if not os.path.lexists(path):
        return None
    said = read_json(path)
    said.pop("format")
    _check(path, said)
    pictures = {name: _picture(path.with_name(f"{name}.png")) for name in (*said["arms"], REAL)}
    film = Film(
        **{**said, "arms": tuple(said["arms"]), "kimg": tuple(map(float, said["kimg"]))},
        pictures=pictures,
    )
    _check_sizes(path, film)
    return film


def write(folder: Path, film: Film | None) -> None:
    """Write the film of a results folder, or remove the one that is there.

    Raises:
        OutputError: if the folder cannot be changed.
    """
    place = folder / FOLDER
    wanted = set() if film is None else {f"{name}.png" for name in film.pictures}
    try:
        for path in place.glob("*"):
            # The index goes first and comes last: pictures without one are no film.
            if path.name == _INDEX or (path.suffix == ".png" and path.name not in wanted):
                path.unlink()
        if film is None and place.is_dir() and not any(place.iterdir()):
            place.rmdir()
    except OSError as error:
        raise OutputError(f"{place}: cannot be removed ({error.strerror})") from None
    if film is not None:
        for name, content in film.pictures.items():
            write_atomically(place / f"{name}.png", content)
        write_json(place / _INDEX, film.index)


def _check(path: Path, said: Mapping[str, Any]) -> None:
    """Refuse an index whose fields are not what ``write`` writes."""
    fields = {
        "level": lambda value: isinstance(value, str) and value.isprintable(),
        "seed": lambda value: type(value) is int and value >= 0,
        "arms": _are_arms,
        "kimg": _rises,
        **dict.fromkeys(("columns", "rows", "tile_px"), _is_count),
    }
    if set(said) != set(fields):
        raise RecordsError(f"{path}: needs {', '.join(fields)} and nothing else")
    for name, holds in fields.items():
        if not holds(said[name]):
            raise RecordsError(f"{path}: {name} cannot be {said[name]!r:.60}")


def _are_arms(value: object) -> bool:
    if not isinstance(value, list) or not value or value[0] != RAW:
        return False
    names = all(isinstance(name, str) and NAME.fullmatch(name) for name in value)
    return names and len(set(value)) == len(value) and REAL not in value


def _rises(value: object) -> bool:
    if not isinstance(value, list) or not value:
        return False
    if any(type(kimg) not in (int, float) for kimg in value):
        return False
    inside = all(0 <= kimg <= _MOST for kimg in value)
    return inside and all(a < b for a, b in itertools.pairwise(value))


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST_SIDE


def _picture(path: Path) -> bytes:
    try:
        content = plain.read(path, LARGEST_BYTES)
    except OSError as error:
        raise RecordsError(f"{path}: cannot be read ({error.strerror})") from None
    if not content.startswith(_HEAD) or not content.endswith(_TAIL):
        raise RecordsError(f"{path}: is not a PNG: was it cut off?")
    return content


def _check_sizes(path: Path, film: Film) -> None:
    px = film.tile_px
    wanted = film.columns * px, film.rows * px * len(film.kimg)
    for name, content in film.pictures.items():
        width, height = struct.unpack_from(">II", content, len(_HEAD))
        if name == REAL:
            fits = px <= width <= wanted[0] and px <= height <= film.rows * px
            fits = fits and width % px == height % px == 0
        else:
            fits = (width, height) == wanted
        if not fits:
            raise RecordsError(
                f"{path}: {len(film.kimg)} frames of {film.rows} x {film.columns} tiles of {px} px "
                f"are not what {name}.png has, which is {width} x {height} px"
            )
