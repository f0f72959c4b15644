"""The libraries: versions against the metadata and the pins, and whether what is used works.

The module itself needs Python alone, so that it can say what is missing.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.doctor.finding import Finding, State, some

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from torch import Tensor

_found = partial(Finding, "Libraries")

HARNESS = "gan-harness"
BROKEN = (
    *(ImportError, AttributeError, OSError, RuntimeError, SystemError),
    *(SyntaxError, TypeError, ValueError),
)
"""What libraries of versions that do not fit raise when they are imported or first used."""
IMPORTED = (
    *("packaging", "numpy", "torch", "torchvision", "harness.compat", "yaml", "pydantic", "rich"),
    *("PIL", "filelock", "safetensors.torch", "scipy.linalg", "pandas", "matplotlib", "skimage"),
    *("sklearn.datasets", "imageio", "torch_fidelity.feature_extractor_inceptionv3"),
)
"""What runs and reports import; ``harness.compat`` brings mmengine."""

REST = _found("the rest", State.NOTE, "is looked at once every library imports")

_OPTIONAL = ("tensorboard", "wandb", "video", "parquet", "conformance")
_REINSTALL = (
    "pip install -e '.' -c constraints.txt in a clone, or pip install --upgrade gan-harness"
)


def harness(source: Mapping[str, Any]) -> Finding:
    """Look at this package: its version, commit, and whether files were changed since.

    Args:
        source: as ``harness.records.machine.source_state`` returns it.
    """
    text = f"{source['version'] or 'not installed'}"
    if "commit" in source:
        text += f" at {source['commit'][:12]}"
    if source.get("clean", True):
        return _found("gan-harness", State.OK, text)
    return _found("gan-harness", State.NOTE, f"{text}, changed since: reports will say so")


def python(name: str = HARNESS) -> Finding:
    """Look whether this Python is in the range that a distribution states."""
    from packaging.specifiers import SpecifierSet

    found, wanted = platform.python_version(), metadata(name)["Requires-Python"] or ""
    if SpecifierSet(wanted).contains(found, prereleases=True):
        return _found("python", State.OK, found)
    return _found("python", State.PROBLEM, f"{found} is not {wanted}", "install such a Python")


def dependencies(name: str = HARNESS) -> Finding:
    """Hold every library that runs need, at any depth, against the version that is asked for."""
    wrong, seen = [], {name}
    for owner, requirement in required(name):
        seen.add(requirement.name)
        found = _version(requirement.name)
        if found is None:
            wrong.append(f"{requirement.name} is missing, {owner} needs it")
        elif not requirement.specifier.contains(found, prereleases=True):
            asks = f"{owner} needs {requirement.specifier}"
            wrong.append(f"{requirement.name} is {found}, {asks}")
    if wrong:
        return _found("dependencies", State.PROBLEM, some(wrong), _REINSTALL)
    text = f"{len(seen) - 1} libraries, each in the range asked for"
    return _found("dependencies", State.OK, text)


def required(name: str) -> "Iterator[tuple[str, Requirement]]":
    """Yield every requirement of an installed distribution and, in turn, of those it needs.

    Yields:
        Who asks, and for what; extras are left out, and what is missing asks for nothing.
    """
    from packaging.requirements import Requirement

    waiting, seen = [name], {name}
    while waiting:
        owner = waiting.pop(0)
        for text in requires(owner) or ():
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            yield owner, requirement
            if requirement.name not in seen and _version(requirement.name):
                seen.add(requirement.name)
                waiting.append(requirement.name)


def constraints(path: Path, name: str = HARNESS) -> Finding:
    """Compare versions with those that the committed results were made with.

    Args:
        path: constraints.txt of a clone, with lines ``name==version``.
        name: the distribution whose needs are compared.
    """
    from packaging.utils import canonicalize_name
    from packaging.version import Version

    lines = (
        line.partition("#")[0].strip().partition("==") for line in path.read_text().splitlines()
    )
    pins = {canonicalize_name(library): pin for library, _, pin in lines if pin}
    needed = {
        canonicalize_name(requirement.name) for _, requirement in required(name)
    } & pins.keys()
    other = []
    for library in sorted(needed):
        found = _version(library)
        if found is not None and Version(found).public != Version(pins[library]).public:
            other.append(f"{library} {found} (pinned {pins[library]})")
    if not other:
        return _found("pins", State.OK, f"all {len(needed)} are those of {path.name}")
    what = "committed numbers need not come bit for bit"
    return _found(
        "pins", State.NOTE, f"{len(other)} of {len(needed)} differ: {some(other)}: {what}"
    )


def imports(modules: tuple[str, ...] = IMPORTED) -> Finding:
    """Import what runs and reports import."""
    wrong = []
    for module in modules:
        try:
            import_module(module)
        except BROKEN as error:
            library = "mmengine" if module == "harness.compat" else module.partition(".")[0]
            reason = " ".join(str(error).split())[:200]
            wrong.append(f"{library} ({type(error).__name__}: {reason})")
    if wrong:
        return _found("imports", State.PROBLEM, f"cannot be imported: {some(wrong)}", _REINSTALL)
    return _found("imports", State.OK, f"{len(modules)} of {len(modules)} libraries import")


def arithmetic(product: "Callable[[Tensor, Tensor], Tensor] | None" = None) -> Finding:
    """Multiply two float32 matrices: near to float64, and the same bits twice.

    Args:
        product: what multiplies, ``torch.matmul`` if None.
    """
    import torch

    product = product or torch.matmul
    draws = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 256, 256, generator=draws).unbind()
    first, again = product(a, b), product(a, b)
    exact = a.double() @ b.double()
    error = float(((first.double() - exact).abs() / exact).max())
    if error > 1e-5:
        text = f"a float32 product is off by {error:.0e} of its value"
        what = "leave torch.set_float32_matmul_precision and its environment variables alone"
        return _found("arithmetic", State.PROBLEM, text, what)
    if not torch.equal(first, again):
        text = "the same float32 product has other bits the second time"
        return _found("arithmetic", State.PROBLEM, text, "test this machine's memory")
    return _found(
        "arithmetic", State.OK, f"float32 agrees with float64 to {error:.0e}, twice alike"
    )


def checkpoints() -> Finding:
    """Save an mmengine checkpoint and load it with weights_only."""
    import pickle

    import torch

    from harness import compat  # noqa: F401  (before anything of mmengine)

    # isort: split
    from mmengine.logging import HistoryBuffer

    file = BytesIO()
    torch.save({"loss": HistoryBuffer([1.0, 2.0], [1, 1])}, file)
    file.seek(0)
    text = f"mmengine {_version('mmengine')}: a checkpoint "
    try:
        loaded = torch.load(file, weights_only=True)["loss"]
    except (*BROKEN, pickle.UnpicklingError) as error:
        text += f"is refused by weights_only ({str(error).splitlines()[0][:120]})"
        return _found("checkpoints", State.PROBLEM, text, _REINSTALL)
    assert loaded.mean() == 1.5
    return _found("checkpoints", State.OK, f"{text}loads with weights_only")


def torchvision() -> Finding:
    """Look whether torchvision is built for this torch, by its word and by a compiled operator."""
    from packaging.requirements import Requirement

    asked = [Requirement(text) for text in requires("torchvision") or ()]
    needs = next((one.specifier for one in asked if one.name == "torch"), None)
    vision, torch_version = _version("torchvision"), _version("torch") or "missing"
    text = f"torchvision {vision} with torch {torch_version}"
    what = "install the two together: pip install torch torchvision -c constraints.txt"
    if needs and not needs.contains(torch_version, prereleases=True):
        return _found("torchvision", State.PROBLEM, f"{text}, needs torch {needs}", what)
    try:
        import torch
        from torchvision.ops import nms

        nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
    except BROKEN as error:
        reason = str(error).splitlines()[0][:120]
        return _found("torchvision", State.PROBLEM, f"{text}: {reason}", what)
    return _found("torchvision", State.OK, text)


def optional(name: str = HARNESS) -> Finding:
    """List the libraries that are used where they are there."""
    from packaging.requirements import Requirement

    here, missing = [], {}
    for requirement in map(Requirement, requires(name) or ()):
        for extra in _OPTIONAL:
            if requirement.marker and requirement.marker.evaluate({"extra": extra}):
                found = _version(requirement.name)
                if found:
                    here.append(f"{requirement.name} {found}")
                else:
                    missing[requirement.name] = extra
    text = ", ".join(here) or "none"
    if not missing:
        return _found("optional", State.OK, text)
    extras = ",".join(dict.fromkeys(missing.values()))
    text += f"; not here: {', '.join(missing)} (pip install 'gan-harness[{extras}]')"
    return _found("optional", State.NOTE, text)


def readable(name: str = HARNESS) -> bool:
    """Return whether a distribution is installed, and what it needs can be understood."""
    return _version(name) is not None and find_spec("packaging") is not None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
