"""The extractors' weights: there, and the ones that published numbers are made with."""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from torch import Tensor, device

from harness.doctor.finding import Finding, State, shown
from harness.errors import HarnessError
from harness.metrics import digits_cnn as digits
from harness.metrics import inception as inception_v3
from harness.metrics import random_conv as random_filters
from harness.metrics.features import Extractor, load_extractor
from harness.metrics.perceptual import load_distance
from harness.metrics.statistics_file import read_statistics
from harness.spec.measuring import Evaluate, Lpips

_found = partial(Finding, "Weights")
_CPU = device("cpu")
_PACKAGE = "reinstall gan-harness: the file belongs to it"
_REFUSED = "a run of this spec is refused until that is mended"


def _said(error: HarnessError) -> str:
    """Return the message with digests as short as they are elsewhere in the report."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", str(error))


def inception(path: Path, sha256: str = inception_v3.SHA256) -> Finding:
    """Look at Inception's weights where no spec asks for them."""
    name, what = "inception-v3", "only specs with inception-v3-compat need it"
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return _found(
            name,
            State.NOTE,
            f"not here ({shown(path.parent)} or HARNESS_INCEPTION_WEIGHTS); {what}",
        )
    except OSError as error:
        text = f"{shown(path)} cannot be read ({error.strerror})"
        return _found(name, State.WARNING, text, "make it readable, or remove it")
    if found != sha256:
        text = f"{shown(path)} has sha256 {found[:12]}, expected {sha256[:12]}"
        return _found(name, State.WARNING, text, f"remove it and {inception_v3.WHAT}")
    return _found(name, State.OK, f"{shown(path)}, sha256 {found[:12]}")


def digits_cnn(path: Path = digits.WEIGHTS) -> Finding:
    """Load the weights that ship, and hold the card of their training against them."""
    card = path.with_suffix(".json")
    try:
        digits.DigitsExtractor(path, digits.SHA256, _CPU)
        stated = json.loads(card.read_text(encoding="utf-8"))
        if stated["sha256"] != digits.SHA256:
            return _found(digits.NAME, State.PROBLEM, f"{card} is of other weights", _PACKAGE)
        accuracy = float(stated["accuracy"]["held_out"])
    except HarnessError as error:
        return _found(digits.NAME, State.PROBLEM, _said(error), _PACKAGE)
    except (OSError, ValueError, KeyError, TypeError):
        return _found(digits.NAME, State.PROBLEM, f"{card} cannot be read", _PACKAGE)
    text = f"shipped, sha256 {digits.SHA256[:12]}, {accuracy:.1%} of held-out digits right"
    return _found(digits.NAME, State.OK, text)


def random_conv(kernels: Sequence[Tensor]) -> Finding:
    """Hold the filters that this numpy draws against those of published numbers.

    Args:
        kernels: as ``random_conv.weights`` returns them.
    """
    name, found = "random-conv", random_filters.digest(kernels)
    if found == random_filters.SHA256:
        return _found(name, State.OK, f"drawn, sha256 {found[:12]}")
    text = f"drawn with sha256 {found[:12]}, expected {random_filters.SHA256[:12]}"
    return _found(name, State.PROBLEM, text, "install the numpy of constraints.txt")


def extractor(evaluate: Evaluate) -> Finding:
    """Load the extractor that a spec asks for, its weights checked as a run checks them."""
    try:
        loaded = _loaded(evaluate)
    except HarnessError as error:
        return _found("the spec's", State.PROBLEM, _said(error), _REFUSED)
    return _found("the spec's", State.OK, f"{loaded.name} loads, sha256 {loaded.digest[:12]}")


def reference(evaluate: Evaluate) -> Finding:
    """Read the statistics that a spec measures FID against, as a run reads them."""
    path = Path(evaluate.reference or "")
    try:
        given = read_statistics(path, _loaded(evaluate))
    except HarnessError as error:
        return _found("statistics for FID", State.PROBLEM, _said(error), _REFUSED)
    digest = str(given.facts["reference_sha256"])[:12]
    return _found("statistics for FID", State.OK, f"{shown(path)}, sha256 {digest} of its numbers")


def _loaded(evaluate: Evaluate) -> Extractor:
    asked = evaluate.extractor_spec
    weights = None if asked.weights is None else Path(asked.weights)
    return load_extractor(asked.type, weights=weights, weights_sha256=asked.weights_sha256)


def lpips(files: Lpips) -> Finding:
    """Load the two files of LPIPS that a spec names.

    torchvision ends a file's name with the first digits of its sha256; the other file has no
    published digest, and is held against the network alone.
    """
    vgg16 = Path(files.vgg16_weights)
    try:
        load_distance(files.type, weights=Path(files.weights), vgg16_weights=vgg16)
        with vgg16.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except HarnessError as error:
        return _found(files.type, State.PROBLEM, _said(error), _REFUSED)
    stated = vgg16.stem.rpartition("-")[2]
    if "-" in vgg16.stem and len(stated) == 8 and not found.startswith(stated):
        text = f"{shown(vgg16)} has sha256 {found[:12]}, which its name denies"
        return _found(files.type, State.WARNING, text, "fetch torchvision's vgg16-397923af.pth")
    return _found(files.type, State.OK, "the spec's two files load")
