"""What can be drawn from: an imported generator, or the networks of a run."""

from pathlib import Path
from typing import Any

import yaml

from harness.checkpoints.families import FAMILIES, Family
from harness.checkpoints.kept import FILE, Generator, from_file
from harness.checkpoints.loading import differences
from harness.checkpoints.reading import read
from harness.engine.families import gan
from harness.errors import DataError, SpecError
from harness.spec.load import validated
from harness.spec.schema import Spec
from harness.spec.vocabulary import RAW
from harness.spec.yaml_text import Unreadable, parse

WEIGHTS = "weights.safetensors"


def open_subject(path: Path, arm: str | None) -> tuple[Generator, str]:
    """Return a generator and a name for the folder of its pictures.

    Args:
        path: an imported ``generator.safetensors`` or its folder, or the folder of a run.
        arm: of a run, ``raw`` or a shadow's name; ``raw`` by default.

    Raises:
        DataError: if there is no generator.
        SpecError: if there is no such arm.
    """
    if (path / WEIGHTS).exists():
        return _of_run(path, arm or RAW), f"{path.name}-{arm or RAW}"
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise DataError(
            f"{path}: is neither a generator's file nor a folder with {FILE}, as `harness import` "
            f"writes it, or with {WEIGHTS}, as a finished run has it"
        )
    if arm is not None:
        raise SpecError([f"--arm {arm}: {file} holds one network; leave it out"])
    return from_file(file), file.parent.resolve().name if file.name == FILE else file.stem
