"""Imported once by the server that runs are forked from, so that a run starts at once.

Beside what the engine names, what libraries import only when they are first used: Adam's compiler,
the visualizer's canvas, the reader of the digits. Each run would pay for them anew, in seconds.
"""

import matplotlib.backends.backend_agg
import matplotlib.figure  # noqa: F401
import sklearn.datasets  # noqa: F401
import torch._dynamo  # noqa: F401

import harness.engine.build
import harness.registry

harness.registry.register_all()
