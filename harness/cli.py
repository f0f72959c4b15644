"""The command line: parses, calls, and turns errors into one line and an exit code.

argparse rather than a richer library: `harness --help` has to answer at once.
"""

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from harness import __version__
from harness.commands.arguments import count, folder_or_url, positive
from harness.commands.check_parser import add_checks
from harness.commands.drawing_parser import add_drawing
from harness.commands.price_parser import add_calibrate
from harness.commands.run_command import add_run
from harness.errors import HarnessError, printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 (results differ, runs failed), 2 (bad input) or 130 (Ctrl-C)."""
    _speak_of_any_name()
    options = _parsed(arguments)
    # A plug-in of another package must not change what a spec means, nor cost a search for it.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except HarnessError as error:
        for line in error.lines:
            print(f"harness: {line}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "harness: interrupted; what was measured is kept: the same command goes on",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        # The reader of our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _speak_of_any_name() -> None:
    # A file's name may hold bytes that are no text.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"harness: {printable(message)}; see {self.prog} --help\n")


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line; overrides may stand before, between and after the options."""
    parser = _parser()
    given = sys.argv[1:] if arguments is None else arguments
    for text in given:
        if "\0" in text:
            parser.error(f"{text}: no name and no value has a NUL in it")
    options, rest = parser.parse_known_args(given)
    if any(text.startswith("-") for text in rest) or (rest and "overrides" not in options):
        parser.error(f"unknown arguments: {' '.join(rest)}")
    if rest:
        options.overrides += rest
    return options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="harness", description="Answer questions about GAN training with evidence."
    )
    parser.add_argument("--version", action="version", version=f"gan-harness {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("list", help="the questions that specs ask")
    one.add_argument("folder", nargs="?", type=Path, default=Path("experiments"))
    one.set_defaults(run=_list)

    one = commands.add_parser("plan", help="what a spec would run, and what it would cost")
    _add_spec(one)
    one.add_argument("--names", action="store_true", help="the runs' names alone, one a line")
    one.add_argument("--gpus", type=count, help="price it for so many GPUs, as --device cuda")
    one.set_defaults(run=_plan)

    add_calibrate(commands, _add_spec)

    one = commands.add_parser("run", help="train, measure, report, and compare with results/")
    _add_spec(one)
    add_run(one)
    one.set_defaults(run=_run)

    one = commands.add_parser("report", help="write the report of runs that were trained before")
    _add_spec(one)
    one.add_argument("--video", action="store_true", help="training.mp4 beside training.gif")
    one.set_defaults(run=_report)

    add_checks(commands)

    one = commands.add_parser("bench", help="measure the harness's own speed, as ratios")
    one.add_argument("names", nargs="*", metavar="BENCHMARK", help="default: all")
    one.add_argument("--results", type=Path, default=Path("results"))
    one.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    one.set_defaults(run=_bench)

    one = commands.add_parser("scale", help="measure and simulate thousands of synthetic runs")
    one.add_argument("names", nargs="*", metavar="QUESTION", help="default: all")
    one.add_argument("--results", type=Path, default=Path("results"))
    one.set_defaults(run=_scale)

    one = commands.add_parser("check-ema", help="hold averages of weights to the closed form")
    one.add_argument("target", nargs="?", metavar="MODULE:MAKE_EMA", help="default: all libraries")
    one.add_argument("--out", type=Path, default=Path("results/ema-conformance"))
    one.add_argument("--no-speed", action="store_true", help="leave the speed tables as they are")
    one.set_defaults(run=_check_ema)

    add_drawing(commands)

    one = commands.add_parser("doctor", help="what of machine, libraries and data is in order")
    one.add_argument("--json", action="store_true", dest="as_json", help="for scripts")
    _add_spec(one, "?")
    one.set_defaults(run=_doctor)

    one = commands.add_parser("reference", help="write real images' statistics as pytorch-fid does")
    one.add_argument("action", choices=("export",), metavar="export")
    _add_spec(one)
    one.add_argument("out", type=Path, metavar="OUT.npz", help="a new file")
    one.set_defaults(run=_reference)

    one = commands.add_parser("schema", help="print the JSON schema of a spec")
    one.add_argument("--markdown", action="store_true", help="a page of all fields instead")
    one.set_defaults(run=_schema)
    return parser


def _add_spec(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument(
        "spec", nargs=nargs, type=Path, help="a YAML file, such as experiments/pggan-ema.yaml"
    )
    parser.add_argument("overrides", nargs="*", metavar="FIELD=VALUE", help="as train.kimg=20")
    parser.add_argument("--tier", default="quick", help="quick, gpu, paper, ... (default quick)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--jobs", type=count, help="runs side by side (default: one a core)")
    parser.add_argument(
        "--runs", type=folder_or_url, default=Path("runs"), help="folder of the runs, or a URL"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the reports")
    parser.add_argument(
        "--checkpoint-sec", type=positive, default=300.0, help="between two of a run (default 300)"
    )
    parser.add_argument("--checkpoints", type=count, default=2, help="that are kept (default 2)")
    parser.add_argument(
        "--stall-min", type=positive, default=30.0, help="end a run without progress (default 30)"
    )
    parser.add_argument(
        "--no-share", action="store_true", help="train apart what begins alike (same results)"
    )


# Each command imports what it needs: planning and help must not pay for training.


def _list(options: argparse.Namespace) -> int:
    from harness.commands.smaller import listing

    return listing(options.folder)


def _plan(options: argparse.Namespace) -> int:
    from harness.commands.job import Job

    if options.gpus:
        options.device = "cuda"
    job = Job.of(options)
    names = "\n".join(run.name for run in job.plan.runs)
    print(names if options.names else job.describe(options.gpus or 1))
    return 0


def _run(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill ends as Ctrl-C does
    from harness.commands import over_ranks

    if over_ranks.asked():
        return over_ranks.run(options)
    from harness.commands.run_command import run

    return run(options)


def _report(options: argparse.Namespace) -> int:
    from harness.commands.job import Job

    return Job.of(options).report(options.video)


def _bench(options: argparse.Namespace) -> int:
    from harness.bench.suite import run

    return run(options.names, options.results, options.device)


def _scale(options: argparse.Namespace) -> int:
    from harness.scale.suite import run

    return run(options.names, options.results)


def _check_ema(options: argparse.Namespace) -> int:
    from harness.conformance import run

    return run(options.target, options.out, not options.no_speed)


def _doctor(options: argparse.Namespace) -> int:
    from harness.doctor import BROKEN, REST, libraries_only, show

    try:
        from harness.commands.smaller import doctor
    except BROKEN:  # a library that every command needs is missing: say which
        return show([*libraries_only(), REST], options.as_json)
    return doctor(options)


def _reference(options: argparse.Namespace) -> int:
    from harness.commands.job import CACHE_DIR, Job
    from harness.engine.export import export

    print(export(Job.of(options).plan.spec, options.out, CACHE_DIR.expanduser(), options.device))
    return 0


def _schema(options: argparse.Namespace) -> int:
    from harness.commands.smaller import schema

    print(schema(options.markdown))
    return 0
