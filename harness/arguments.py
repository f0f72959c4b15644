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


def add_sample(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `harness sample`."""
    parser.add_argument("subject", type=Path, help="generator.safetensors, its folder, or a run's")
    parser.add_argument("--arm", help="of a run: raw (the default) or an average's name")
    parser.add_argument("--seeds", help="as 0-15 (the default) or 3,7-9")
    parser.add_argument("--truncation", type=float, default=1.0, help="StyleGAN's psi, default 1")
    parser.add_argument("--interpolate", metavar="SEEDS", help="a film from seed to seed, as 0,1,2")
    parser.add_argument("--frames", type=count, default=60, help="of the film, default 60")
    parser.add_argument("--space", choices=("z", "w"), default="z", help="of the film, default z")
    parser.add_argument("--video", choices=("gif", "mp4"), default="gif", help="default gif")
    parser.add_argument(
        "--mix-rows", metavar="SEEDS", help="a grid of mixed styles: the rows' seeds,"
    )
    parser.add_argument("--mix-columns", metavar="SEEDS", help="the columns' seeds, whose styles")
    parser.add_argument(
        "--layers", metavar="RANGE", help="go into the rows' in these layers, as 0-3"
    )
    parser.add_argument("--out", type=Path, help="default: drawn/NAME")
