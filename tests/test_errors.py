"""The tree of errors, and what each of them ends a command with."""

import pickle
import re

import pytest

from harness import errors
from harness.errors import Diverged, HarnessError, ResultsDiffer, SpecError


def all_errors():
    return [value for value in vars(errors).values() if isinstance(value, type)]


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__)
    assert set(drawn) == {error.__name__ for error in all_errors()} - {"HarnessError", "Sequence"}
    assert all(getattr(errors, name).__base__ is HarnessError for name in drawn)


@pytest.mark.parametrize("error", [e for e in all_errors() if issubclass(e, HarnessError)])
def test_exit_codes(error):
    assert error.exit_code == (1 if error is ResultsDiffer else 2)


def test_a_spec_error_holds_a_line_for_each_problem():
    error = SpecError(["a: wrong", "b: missing"])
    assert error.problems == ("a: wrong", "b: missing")
    assert str(error) == "a: wrong\nb: missing"


@pytest.mark.parametrize("error", [SpecError(["a: wrong", "b: missing"]), Diverged(17, "an image")])
def test_an_error_that_is_sent_to_another_process_is_the_same_there(error):
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error)
    assert (str(there), vars(there)) == (str(error), vars(error))
    assert there.lines == error.lines


def test_a_divergence_names_its_iteration():
    error = Diverged(17)
    assert error.iteration == 17
    assert "iteration 17:" in str(error)
    assert "learning rate" in str(error)
