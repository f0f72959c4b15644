"""Somebody else's average, named on the command line as ``path.to:make_ema``."""

import inspect
import sys
from importlib import import_module
from typing import Any

from torch import nn

from harness.conformance.candidates import Averaging, Candidate, Make, WithNetwork, WithState
from harness.conformance.cases import Case
from harness.errors import SpecError

_WANTED = "make_ema(network, case) -> object with update(), and network or state(), or None"


def load(target: str) -> Candidate:
    """Return the candidate that ``module:function`` makes; the current folder is looked in first.

    Raises:
        SpecError: if it cannot be imported, or is no such function.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise SpecError([f"{target!r} is not module:function, such as my_package.ema:make_ema"])
    make = _function(module, name)
    try:
        inspect.signature(make).bind(None, None)
    except TypeError as error:
        raise SpecError([f"{target}: does not take (network, case): {error}; {_WANTED}"]) from None
    return Candidate(name=target, make=_checked(make, target))


def _function(module: str, name: str) -> Any:
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = import_module(module)
    except Exception as error:  # whatever somebody else's module raises, it cannot be imported
        text = " ".join(str(error).split())
        line = f"{module}: cannot be imported ({type(error).__name__}: {text})"
        raise SpecError([line]) from None
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise SpecError([f"{module}: has no {name!r}"]) from None
    if not callable(found):
        raise SpecError([f"{module}:{name}: is no function but {type(found).__name__}; {_WANTED}"])
    return found


def _checked(make: Any, target: str) -> Make:
    def checked(network: nn.Module, case: Case) -> Averaging | None:
        average = make(network, case)
        if average is None:
            return None
        kind = type(average).__name__
        if not isinstance(average, Averaging):
            raise SpecError([f"{target}: {kind} has no update(); {_WANTED}"])
        if not isinstance(average, WithNetwork | WithState):
            raise SpecError([f"{target}: {kind} has neither network nor state(); {_WANTED}"])
        return average

    return checked
