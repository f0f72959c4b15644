"""Keepers for runs in the test's own process."""

from harness.engine.keeping import Keeper
from harness.interrupts import Interrupts
from harness.plan.keeping import Keeping


def keeper_of(run, folder, every_sec=1e9, count=2, interrupts=None, beat=lambda: None):
    """What keeps a run; without more it writes no checkpoint."""
    keeping = Keeping(every_sec, count)
    return Keeper(folder, run.settings, keeping, interrupts or Interrupts(), beat)
