"""The command lines of what draws: singan, import, sample."""

import argparse
from pathlib import Path
from typing import Any

from harness.commands.arguments import count, natural, size


def add_drawing(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the commands that make pictures of trained or published generators."""
    one = commands.add_parser("singan", help="pictures from a run that was trained on one image")
    _add_singan(one)
    one.set_defaults(run=_singan)

    one = commands.add_parser("import", help="check a published checkpoint, keep its generator")
    _add_import(one)
    one.set_defaults(run=_import)

    one = commands.add_parser("sample", help="draw from an imported generator or a run")
    _add_sample(one)
    one.set_defaults(run=_sample)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, help="torch's format, as *.pth, or safetensors")
    parser.add_argument("overrides", nargs="*", metavar="NAME=VALUE", help="as out_size=256")
    parser.add_argument(
        "--model", choices=("pggan", "stylegan1", "stylegan2", "singan"), required=True
    )
    parser.add_argument("--network", help="default: generator_ema, else generator")
    parser.add_argument("--noises", type=Path, help="SinGAN's pickle beside the checkpoint")
    parser.add_argument("--out", type=Path, help="default: imported/CHECKPOINT-NETWORK")


_SINGAN_TASKS = (
    *("sample", "super-resolution", "paint-to-image"),
    *("harmonization", "editing", "animation"),
)


def _add_singan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="RUN_FOLDER", help="as runs/NAME/TIER/seed0-ID"
    )
    parser.add_argument(
        "task", choices=_SINGAN_TASKS, metavar="TASK", help=", ".join(_SINGAN_TASKS)
    )
    parser.add_argument("--image", help="the image to begin with, or shipped:NAME")
    parser.add_argument("--mask", help="white where the image may change")
    parser.add_argument("--scale", type=natural, help="the first scale that is not given, 0: all")
    parser.add_argument("--size", type=size, metavar="HxW", help="of samples, in px, as 200x600")
    parser.add_argument("--factor", type=float, help="of super-resolution (default 4)")
    parser.add_argument("--count", type=count, help="images (default 1), or frames (default 40)")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument("--arm", default="raw", help="raw, or an EMA shadow's name (default raw)")
    parser.add_argument("--out", type=Path, help="folder of the pictures (default RUN_FOLDER/TASK)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")


def _add_sample(parser: argparse.ArgumentParser) -> None:
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


# Each imports what it needs: help must not pay for training.


def _singan(options: argparse.Namespace) -> int:
    from harness.drawing.one_image import run

    return run(options)


def _import(options: argparse.Namespace) -> int:
    from harness.drawing.importing import import_checkpoint

    return import_checkpoint(
        options.checkpoint,
        options.model,
        options.network,
        options.overrides,
        options.noises,
        options.out,
    )


def _sample(options: argparse.Namespace) -> int:
    from harness.drawing.sampling import sample

    return sample(options)
