"""Arguments as they are typed on a command line; others are refused in argparse's way."""

import argparse
import math
import re
from pathlib import Path

_FEW_DIGITS = re.compile(r"[0-9]{1,9}")
"""Of a count that can be meant."""


def natural(text: str) -> int:
    """Read a whole number of at least 0."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def positive(text: str) -> float:
    """Read a finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def count(text: str) -> int:
    """Read a whole number of at least 1."""
    if not _FEW_DIGITS.fullmatch(text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """Read H and W in px."""
    sides = text.split("x")
    if len(sides) != 2 or not all(map(_FEW_DIGITS.fullmatch, sides)):
        raise argparse.ArgumentTypeError(f"{text!r} is not HxW in px, as 200x600")
    return int(sides[0]), int(sides[1])


def folder_or_url(text: str) -> Path | str:
    """Read a folder's path, or a URL, which stays text."""
    return text if "://" in text else Path(text)
