"""Every trajectory through the candidates; planted faults are found and named."""

import faulty_ema
import pytest

from harness.conformance.candidates import CANDIDATES, OURS, Candidate
from harness.conformance.cases import CASES
from harness.conformance.check import AGREES, DIFFERS, FAILS, MISSING, UNASKED, check

BY_NAME = {case.name: case for case in CASES}
LIBRARIES = {candidate.name: candidate for candidate in CANDIDATES}


def one(case, candidate):
    (cell,) = check([BY_NAME[case]], [candidate])
    return cell


def planted(name):
    return Candidate(name, getattr(faulty_ema, f"make_{name}"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_our_hook_agrees_with_the_closed_form(case):
    (cell,) = check([case], [OURS])
    assert (cell.verdict, cell.reason) == (AGREES, "")
    assert all(error <= case.tolerance for error in cell.errors.values())
    assert cell.errors["trained"] > 0  # it is compared, and not with itself


@pytest.mark.parametrize(
    "case",
    ["late-every-5", "warmup-every-5", "buffers-apart", "bfloat16-weights", "resume-every-5"],
)
def test_an_average_written_by_hand_agrees(case):
    assert one(case, planted("right")).verdict == AGREES


@pytest.mark.parametrize(
    ("fault", "case", "reason"),
    [
        ("inverted", "plain", "weights: momentum is the weight of the old value"),
        ("inverted", "late-every-5", "weights: momentum is the weight of the old value"),
        ("late", "plain", "weights: averages the weights of one iteration before"),
        ("skipped", "plain", "weights: misses the update of iteration 40"),
        ("buffers", "batch-norm", "buffers and integer buffers: never updated"),
        ("frozen", "frozen-phases", "weights: copied while requires_grad is off"),
        ("counter", "resume-warmup", "weights: the counter restarts on resume"),
        ("narrow", "bfloat16-weights", "weights: rounded to bfloat16 at every update"),
    ],
)
def test_a_planted_fault_is_named(fault, case, reason):
    cell = one(case, planted(fault))
    assert (cell.verdict, cell.reason) == (DIFFERS, reason)
    assert max(cell.errors.values()) > 1e-3


def test_an_average_of_parameters_alone():
    candidate = Candidate("alone", faulty_ema.ParametersAlone)
    names = "norm.running_mean, norm.running_var"
    cell = one("batch-norm", candidate)
    assert cell.verdict == DIFFERS
    assert f"buffers: not among its entries ({names})" in cell.reason
    assert one("plain", candidate).verdict == AGREES


def test_an_update_that_changes_the_trained_network():
    cell = one("plain", Candidate("swapping", faulty_ema.Swapping))
    assert cell.verdict == DIFFERS
    assert cell.reason.startswith("the trained network: changed by the update")


def test_an_average_that_raises_is_a_row():
    cell = one("plain", Candidate("raising", faulty_ema.Raising))
    assert cell.verdict == FAILS
    assert cell.reason.startswith("KeyError: ")
    assert "\n" not in cell.reason


def test_a_library_that_is_not_installed_is_a_row():
    cell = one("plain", Candidate("none", faulty_ema.make_right, package="no-such-library"))
    assert (cell.verdict, cell.reason) == (MISSING, "no-such-library is not installed")


@pytest.mark.parametrize(
    ("name", "case", "verdict", "reason"),
    [
        ("torch", "uniform", AGREES, ""),
        ("torch", "plain", DIFFERS, "weights: the first update copies"),
        ("torch", "warmup", UNASKED, "has no warmup schedule"),
        (
            "torch",
            "tied-buffers-averaged",
            DIFFERS,
            "weights and tied weights and buffers: the first update copies; "
            "integer buffers: averaged and cut to whole numbers, the first update copies",
        ),
        ("mmengine", "late", AGREES, ""),
        ("mmengine", "uniform-late", DIFFERS, "weights: starts one iteration early"),
        (
            "mmengine",
            "resume-every-5",
            DIFFERS,
            "buffers and integer buffers: updated at every iteration",
        ),
    ],
)
def test_what_other_libraries_do(name, case, verdict, reason):
    cell = one(case, LIBRARIES[name])
    assert (cell.verdict, cell.reason) == (verdict, reason)
