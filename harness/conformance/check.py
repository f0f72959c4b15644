"""Every case through every candidate: where each agrees with the closed form, and why not."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from harness.conformance.candidates import Averaging, Candidate, Resumable, averaged
from harness.conformance.cases import Case
from harness.conformance.readings import Reading, expected, readings
from harness.conformance.trajectory import (
    BUFFERS,
    FROZEN_PARAMETERS,
    INTEGERS,
    NON_PERSISTENT,
    TIED_WEIGHTS,
    WEIGHTS,
    Trajectory,
    flat,
    make_network,
    record,
)
from harness.ema.closed_form import Floats
from harness.errors import HarnessError

AGREES, DIFFERS, FAILS = "agrees", "differs", "fails"
UNASKED, MISSING, UNSUPPORTED = "cannot be asked", "not installed", "not supported"

TRAINED, FLOATING, INTEGER = "trained", "floating", "integer"
KINDS = (TRAINED, FLOATING, INTEGER)
_KIND_OF = {
    WEIGHTS: TRAINED,
    TIED_WEIGHTS: TRAINED,
    FROZEN_PARAMETERS: FLOATING,
    BUFFERS: FLOATING,
    NON_PERSISTENT: FLOATING,
    INTEGERS: INTEGER,
}
_LOOKS = 24
"""Iterations, spread over the training, at which other readings are compared."""


_Truth = Mapping[str, Floats]
"""The closed form of each entry after every iteration, (T, size)."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one candidate in one case.

    Args:
        case: its name.
        candidate: its name.
        verdict: agrees, differs, fails, cannot be asked, not installed or not supported.
        errors: by kind (trained, floating, integer) the largest error at any iteration, relative
            to its tensor's largest magnitude over the trajectory; kinds that the case lacks are
            left out.
        reason: why it differs, as measured, or why it was not asked.
    """

    case: str
    candidate: str
    verdict: str
    errors: Mapping[str, float]
    reason: str = ""


@dataclass(frozen=True)
class _Observed:
    """An average's entries after each update, and whether an update changed the network."""

    values: Mapping[str, Floats]
    touched: bool


def check(cases: Sequence[Case], candidates: Sequence[Candidate]) -> Iterator[Cell]:
    """Yield a cell for each case and candidate, cases outermost."""
    for case in cases:
        trajectory = record(case)
        every = list(range(case.iterations))
        truth = {n: _expected(trajectory, n, Reading(), every) for n in trajectory.groups}
        for candidate in candidates:
            yield _cell(trajectory, truth, candidate)


def _cell(trajectory: Trajectory, truth: _Truth, candidate: Candidate) -> Cell:
    name = trajectory.case.name

    def empty(verdict: str, reason: str) -> Cell:
        return Cell(name, candidate.name, verdict, {}, reason)

    if candidate.version is None:
        return empty(MISSING, f"{candidate.package} is not installed")
    if reason := candidate.refusal(trajectory.case):
        return empty(UNASKED, reason)
    try:
        observed = _observe(trajectory, candidate)
    except HarnessError:
        raise
    except Exception as error:  # somebody else's code may raise anything: a row, not an end
        text = " ".join(str(error).split())
        return empty(FAILS, f"{type(error).__name__}: {text}")
    if isinstance(observed, tuple):
        return empty(*observed)
    return _judged(trajectory, truth, candidate.name, observed)


def _observe(trajectory: Trajectory, candidate: Candidate) -> _Observed | tuple[str, str]:
    """Walk a network along the trajectory with the average behind it.

    Returns:
        What was observed, or a verdict and its reason.
    """
    case = trajectory.case
    network: nn.Module = make_network(case)
    average = candidate.make(network, case)
    if average is None:
        return UNSUPPORTED, "make_ema returned None"
    if case.resume is not None and not isinstance(average, Resumable):
        return UNASKED, "has no state_dict and load_state_dict"
    rows: dict[str, list[Floats]] = {name: [] for name in trajectory.groups}
    touched = False
    for iteration in range(case.iterations):
        if iteration == case.resume:
            network, average = _resumed(trajectory, candidate, average)
        trajectory.walk(network, iteration + 1)
        average.update()
        if iteration % 8 == 7:
            touched = touched or not trajectory.untouched(network, iteration + 1)
        held = averaged(average)
        for name, row in rows.items():
            if name in held:
                row.append(flat(held[name]).copy())
    whole = {name: np.stack(row) for name, row in rows.items() if len(row) == case.iterations}
    return _Observed(whole, touched)


def _resumed(
    trajectory: Trajectory, candidate: Candidate, average: Averaging
) -> tuple[nn.Module, Averaging]:
    """Keep what the average says has to be kept, and begin again with a network like it."""
    assert trajectory.case.resume is not None
    assert isinstance(average, Resumable)
    kept = copy.deepcopy(average.state_dict())
    network = make_network(trajectory.case)
    trajectory.walk(network, trajectory.case.resume)
    again = candidate.make(network, trajectory.case)
    assert isinstance(again, Resumable)
    assert isinstance(again, Averaging)
    again.load_state_dict(kept)
    return network, again


def _judged(trajectory: Trajectory, truth: _Truth, candidate: str, observed: _Observed) -> Cell:
    case = trajectory.case
    errors = {name: _error(trajectory, truth, name, observed) for name in trajectory.groups}
    kinds = {
        kind: max(errors[name] for name in names)
        for kind in KINDS
        if (names := [n for n, group in trajectory.groups.items() if _KIND_OF[group] == kind])
    }
    reasons = _reasons(trajectory, truth, observed, errors)
    if observed.touched:
        reasons = ["the trained network: changed by the update", *reasons]
    return Cell(case.name, candidate, DIFFERS if reasons else AGREES, kinds, "; ".join(reasons))


def _error(trajectory: Trajectory, truth: _Truth, name: str, observed: _Observed) -> float:
    values = observed.values.get(name)
    if values is None:
        return math.inf
    return _relative(values, truth[name], trajectory.values[name])


def _relative(values: Floats, truth: Floats, trained: Floats) -> float:
    """Return the largest error as a share of the tensor's largest magnitude; NaN is infinite."""
    if values.shape != truth.shape:
        return math.inf
    error = float(np.abs(values - truth).max(initial=0)) / (float(np.abs(trained).max()) or 1.0)
    return error if math.isfinite(error) else math.inf


def _expected(trajectory: Trajectory, name: str, reading: Reading, looks: list[int]) -> Floats:
    group = trajectory.groups[name]
    return expected(reading, trajectory.case, group, trajectory.values[name], looks)


def _reasons(
    trajectory: Trajectory, truth: _Truth, observed: _Observed, errors: Mapping[str, float]
) -> list[str]:
    """Return what each group of entries does instead, groups of one reason together."""
    wrong: dict[str, list[str]] = {}
    for name, error in errors.items():
        if not error <= trajectory.case.tolerance:
            wrong.setdefault(trajectory.groups[name], []).append(name)
    subjects: dict[str, list[str]] = {}
    for group, names in wrong.items():
        whole = [name for name, of in trajectory.groups.items() if of == group]
        subject = group if names == whole else f"{group} ({', '.join(names)})"
        subjects.setdefault(_reason(trajectory, truth, observed, names), []).append(subject)
    return [f"{' and '.join(of)}: {reason}" for reason, of in subjects.items()]


def _reason(trajectory: Trajectory, truth: _Truth, observed: _Observed, names: list[str]) -> str:
    """Name the reading that fits some entries of one group."""
    if missing := [name for name in names if name not in observed.values]:
        return f"not among its entries ({', '.join(missing)})"
    case, group = trajectory.case, trajectory.groups[names[0]]
    step = max(case.iterations // _LOOKS, 1)
    looks = sorted({*range(0, case.iterations, step), case.iterations - 1})
    # The state before a resume is what was kept; whatever is lost shows from the next update on.
    looks = [look for look in looks if case.resume is None or look != case.resume - 1]

    def fits(reading: Reading, name: str) -> bool:
        other = _expected(trajectory, name, reading, looks)
        error = _relative(observed.values[name][looks], other, trajectory.values[name])
        return error <= case.tolerance

    for reading, words in readings(case, group):
        if all(fits(reading, name) for name in names):
            return ", ".join(words)
    return _rounding(case, observed, names) or _unexplained(trajectory, truth, observed, names)


def _rounding(case: Case, observed: _Observed, names: list[str]) -> str:
    narrower = {"float32": torch.bfloat16, "float64": torch.float32}[case.shadow_dtype]
    for name in names:
        values = torch.from_numpy(observed.values[name])
        if not torch.equal(values, values.to(narrower).double()):
            return ""
    return f"rounded to {str(narrower).removeprefix('torch.')} at every update"


def _unexplained(
    trajectory: Trajectory, truth: _Truth, observed: _Observed, names: list[str]
) -> str:
    first = trajectory.case.iterations
    for name in names:
        trained = trajectory.values[name]
        gap = np.abs(observed.values[name] - truth[name]).max(1)
        bad = gap > trajectory.case.tolerance * (np.abs(trained).max() or 1.0)
        first = min(first, int(np.argmax(bad | ~np.isfinite(gap))))
    return f"unexplained, from iteration {first} on"
