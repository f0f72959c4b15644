"""What one check found; needs Python alone, so that it can be said of a broken installation."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

GROUPS = ("Machine", "Libraries", "Weights", "Data", "Folders")
"""Groups in the order of the report."""


class State(StrEnum):
    """How a thing stands.

    ``note``: not here, or not as usual, and nothing asks for it to be. ``warning``: work goes on
    and may be lost, slow or wrongly dated. ``problem``: what was asked for cannot be done.
    """

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Args:
        group: one of ``GROUPS``.
        name: what was looked at, one or two words.
        state: how it stands.
        text: what was found.
        advice: what to do; never empty for a warning or a problem.
    """

    group: str
    name: str
    state: State
    text: str
    advice: str = ""

    def __post_init__(self) -> None:
        assert self.group in GROUPS
        assert self.advice or self.state in (State.OK, State.NOTE)


def shown(path: Path) -> str:
    """Return a path as it is read best: from the user's home."""
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def size(gib: float) -> str:
    """Return a size in the unit that suits it: GiB, MiB or KiB."""
    for unit, factor in (("GiB", 1), ("MiB", 1024), ("KiB", 1024**2)):
        if gib * factor >= 1 or unit == "KiB":
            return f"{gib * factor:.1f} {unit}"
    raise AssertionError


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, which takes an s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def some(names: list[str], most: int = 3) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
