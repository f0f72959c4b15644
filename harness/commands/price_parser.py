"""The command line of calibrate, which measures what runs cost."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.commands.arguments import count, positive


def add_calibrate(
    commands: "argparse._SubParsersAction[Any]",
    add_spec: Callable[[argparse.ArgumentParser, str], None],
) -> None:
    """Add the command; ``add_spec`` adds what names a spec, which may be left out."""
    one = commands.add_parser("calibrate", help="measure what a spec's runs cost on this machine")
    add_spec(one, "?")
    one.add_argument(
        "--sec", type=positive, default=30.0, help="about, for each kind of run (default 30)"
    )
    one.add_argument(
        "--times", type=count, default=1, help="time all kinds so often, in turn (default 1)"
    )
    one.add_argument(
        "--check", nargs="+", type=Path, metavar="RESULTS", help="predict these, in SPEC's place"
    )
    one.add_argument(
        "--again", action="store_true", help="of --check: train its runs again, for their clocks"
    )
    one.add_argument(
        "--out", type=Path, default=Path("results/scale"), help="of --check (default results/scale)"
    )
    one.set_defaults(run=_calibrate)


def _calibrate(options: argparse.Namespace) -> int:
    from harness.commands.smaller import calibrate  # help must not pay for what measures

    return calibrate(options)
