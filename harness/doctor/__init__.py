"""What of the machine, the libraries, the weights, the data and the folders is in order."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.doctor import libraries, machine
from harness.doctor.finding import Finding, State
from harness.doctor.libraries import BROKEN, REST
from harness.doctor.show import show
from harness.records.machine import PACKAGE, describe, source_state

if TYPE_CHECKING:
    from harness.spec.schema import Spec

__all__ = ["BROKEN", "REST", "Case", "Finding", "State", "examine", "libraries_only", "show"]


@dataclass(frozen=True)
class Case:
    """What is looked at.

    Args:
        runs_dir: where runs are kept, a spec's own folder if there is one.
        results_dir: likewise of reports.
        cache_dir: prepared images and references.
        device: ``cpu`` or ``cuda``.
        spec: the question whose needs have to be met; None asks for nothing in particular.
        disk_gib: what its runs are predicted to leave on disk.
    """

    runs_dir: Path
    results_dir: Path
    cache_dir: Path
    device: str = "cpu"
    spec: "Spec | None" = None
    disk_gib: float = 0.0


def examine(case: Case) -> list[Finding]:
    """Look at everything; where a library cannot be imported, at what needs none."""
    found = [*_machine(case), *libraries_only()]
    if any(one.name == "imports" and one.state is State.PROBLEM for one in found):
        return [*found, REST]
    return [
        *found,
        machine.device(case.device),
        *_computing(),
        *_weights(case),
        *_data(case),
        *_folders(case),
    ]


def libraries_only() -> list[Finding]:
    """Look at which libraries are there; nothing but Python has to be."""
    found = [libraries.harness(source_state())]
    if libraries.readable():
        found += [libraries.python(), libraries.dependencies()]
        pins = PACKAGE.parent / "constraints.txt"
        found += [libraries.constraints(pins)] if pins.is_file() else []
        found.append(libraries.optional())
    return [*found, libraries.imports()]


def _machine(case: Case) -> Iterator[Finding]:
    described = describe("cpu", "", 1)
    yield machine.processor(described, machine.usable_cores())
    yield machine.vectors(described)
    yield machine.memory()
    for folders in machine.by_disk(_named(case)):
        yield machine.disk(folders, case.disk_gib if "runs" in folders else 0.0)
    yield machine.temporary()
    yield machine.clock(time.time(), PACKAGE)
    yield machine.encoding(sys.stdout.encoding)


def _computing() -> Iterator[Finding]:
    yield libraries.torchvision()
    yield libraries.arithmetic()
    yield libraries.checkpoints()


def _weights(case: Case) -> Iterator[Finding]:
    from harness.doctor import weights
    from harness.metrics.inception import InceptionExtractor, weights_path
    from harness.metrics.random_conv import weights as drawn

    evaluate = None if case.spec is None else case.spec.evaluate
    if evaluate is not None:
        yield weights.extractor(evaluate)
        if evaluate.lpips is not None:
            yield weights.lpips(evaluate.lpips)
        if evaluate.reference is not None:
            yield weights.reference(evaluate)
    if evaluate is None or evaluate.extractor_spec.type != InceptionExtractor.name:
        yield weights.inception(weights_path())
    yield weights.digits_cnn()
    yield weights.random_conv(drawn())


def _data(case: Case) -> Iterator[Finding]:
    from harness.data.sources import CIFAR10_ROOT
    from harness.doctor import data
    from harness.engine.build import data_source
    from harness.spec.photographs import shipped

    asked = None if case.spec is None else case.spec.data
    source, root = None, CIFAR10_ROOT
    if case.spec is not None and asked is not None:
        if asked.type == "image":
            yield data.one_image(case.spec)
        else:
            source = data_source(case.spec)
            if asked.type == "cifar10":
                root = source.root or root
            elif asked.type != "digits":
                yield data.folder_or_archive(source)
    yield data.digits()
    yield data.photographs(shipped())
    yield data.cifar10(root, asked is not None and asked.type == "cifar10")
    yield data.prepared(case.cache_dir / "data", source)
    yield data.references(case.cache_dir / "reference")


def _folders(case: Case) -> Iterator[Finding]:
    from harness.doctor import folders

    for name, folder in _named(case).items():
        yield folders.writable(name, folder)
    yield folders.leftovers(_named(case).values(), time.time())
    yield folders.runs(case.runs_dir, case.spec is not None)
    yield folders.reports(case.results_dir, case.spec is not None)


def _named(case: Case) -> dict[str, Path]:
    return {"runs": case.runs_dir, "results": case.results_dir, "cache": case.cache_dir}
