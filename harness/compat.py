"""What mmengine 0.10.7 needs on newer libraries. Import it before anything of mmengine.

- mmengine decorates functions with ``torch.jit.script`` at import, deprecated since torch 2.9:
  a warning about another project's code, silenced here for the import alone.
- Its checkpoints hold HistoryBuffer objects, which ``torch.load(weights_only=True)``, the default
  since torch 2.6, refuses. The class is declared safe, and with it the one use of ``getattr`` that
  its pickles make: to name its own methods. weights_only stays on; nothing else can be looked up.
  The arrays in them are built by ``harness.files.arrays``.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch

from harness.files.arrays import STAND_INS, Array, Kind

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", FutureWarning)
    import mmengine.runner  # noqa: F401  (the import that warns)
    from mmengine.logging import HistoryBuffer

_METHODS = frozenset({"current", "max", "mean", "min"})


def _history_method(owner: type, name: str) -> Callable[..., Any]:
    """Stand in for ``getattr`` while weights are unpickled."""
    if owner is not HistoryBuffer or name not in _METHODS:
        raise TypeError(f"a checkpoint looks up {name!r} of {owner!r}: it may run code")
    method: Callable[..., Any] = getattr(HistoryBuffer, name)
    return method


torch.serialization.add_safe_globals(
    [
        HistoryBuffer,
        Kind,
        Array,
        *((stand_in, name) for name, stand_in in STAND_INS.items()),
        (_history_method, "builtins.getattr"),
        (_history_method, "getattr"),
    ]
)
