"""The command lines of verify, compare and export, which check results and hand them on."""

import argparse
import signal
from pathlib import Path
from typing import Any

from harness.commands.arguments import count, natural


def add_checks(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the three commands to the harness's."""
    one = commands.add_parser("verify", help="check results: tables, files, and the runs again")
    _add_verify(one)
    one.set_defaults(run=_verify)

    one = commands.add_parser("compare", help="two results folders side by side")
    one.add_argument("ours", type=Path, metavar="A", help="a results folder, or one of runs")
    one.add_argument("theirs", type=Path, metavar="B", help="the other")
    one.add_argument("--csv", type=Path, metavar="FILE", help="write the comparison there, too")
    one.set_defaults(run=_compare)

    one = commands.add_parser("export", help="results as CSV, Parquet, or LaTeX for a paper")
    one.add_argument("folders", nargs="+", type=Path, metavar="RESULTS")
    one.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="of the files")
    one.add_argument(
        "--as",
        dest="formats",
        nargs="+",
        choices=("csv", "latex", "parquet"),
        default=("csv", "latex"),
        help="default: csv latex",
    )
    one.set_defaults(run=_export)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", type=Path, metavar="RESULTS")
    parser.add_argument(
        "--tables-only", action="store_true", help="tables and files; nothing is trained"
    )
    parser.add_argument(
        "--seeds", type=_seeds, default=(), help="that are trained again, as 0,1 (default: all)"
    )
    parser.add_argument("--jobs", type=count, help="runs side by side (default: one a core)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: that of the results")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="the new runs go into verify/ there"
    )
    parser.add_argument(
        "--readme", type=Path, action="append", help="a file that quotes tables; nothing is trained"
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help="write tables, locks and quotes anew; nothing is trained",
    )


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(map(natural, text.split(",")))


# Each command imports what it needs: help must not pay for training.


def _verify(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill ends as Ctrl-C does
    from harness.commands.checking import Again, verify

    readmes = options.readme or []
    again = Again(options.seeds, options.device, options.jobs, options.runs)
    tables_only = options.tables_only or options.update or readmes
    return verify(options.folders, readmes, options.update, None if tables_only else again)


def _compare(options: argparse.Namespace) -> int:
    from harness.commands.checking import compare

    return compare(options.ours, options.theirs, options.csv)


def _export(options: argparse.Namespace) -> int:
    from harness.commands.checking import export

    return export(options.folders, options.to, options.formats)
