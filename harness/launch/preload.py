"""Imported once by the server that runs are forked from, so that a run starts at once."""

import harness.engine.build
import harness.registry

harness.registry.register_all()
