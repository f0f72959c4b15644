"""Toward thousands of runs: what grows with their number, and how a cluster would spend its time.

Nothing here trains. Records are synthetic, written by the code that runs write theirs with, and
the cluster is simulated: docs/pages/scale.md states the model.
"""
