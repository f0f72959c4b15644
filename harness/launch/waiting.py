"""Runs to be trained, each as soon as it can begin: one that rides along has to wait."""

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from harness.launch.worker import ended
from harness.plan.expand import Run
from harness.plan.trunks import families, riders
from harness.records import branches


class Waiting:
    """Hands out runs in their order, with those that ride along on them.

    What has a folder goes on by itself. Of those of a family that have none, the first is the trunk
    of the others. They wait until it has laid down their folders; should it end without that, the
    first of those left is the trunk of the rest.

    Args:
        runs: in the order to begin them; those that have ended are left out.
        runs_dir: holds their folders.
        share: whether runs that begin alike are trained once up to where they part.
    """

    def __init__(self, runs: Iterable[Run], runs_dir: Path, share: bool) -> None:
        self._left = [run for run in runs if not ended(runs_dir / run.name)]
        self._names = {run.name for run in self._left}
        self._folder = runs_dir
        every = families(self._left) if share else []
        self._families = {run.name: of for of in every if len(of) > 1 for run in of}

    def __bool__(self) -> bool:
        return bool(self._left)

    def take(self, riding: Collection[str] = ()) -> tuple[Run, tuple[Run, ...]] | None:
        """Return the next run that can begin, and those that ride along; None: all left wait.

        Args:
            riding: names of the runs that ride along on those under way.
        """
        index = 0
        while index < len(self._left):
            run = self._left[index]
            family = self._families.get(run.name, ())
            begun = self._begun(run)
            if family and begun and ended(self._folder / run.name):
                self._remove(index)  # its trunk's end was its own
            elif family and not begun and run.name in self._carried(family, riding):
                index += 1
            else:
                self._remove(index)
                return run, self._riders(run, family, riding) if family else ()
        return None

    def _riders(self, run: Run, family: Sequence[Run], riding: Collection[str]) -> tuple[Run, ...]:
        fresh = [one for one in family if one.name in self._names and not self._begun(one)]
        if self._begun(run):  # it carries those alone that it began with
            named = branches.riders(self._folder / run.name)
            return tuple(one for one in fresh if one.name in named)
        carried = self._carried(family, riding)
        return riders(run, (one for one in fresh if one.name not in carried))

    def _carried(self, family: Sequence[Run], riding: Collection[str]) -> set[str]:
        """Return the runs of a family that wait for one that is under way, or yet to go on."""
        begun = (one.name for one in family if one.name in self._names and self._begun(one))
        return {*riding, *(name for b in begun for name in branches.riders(self._folder / b))}

    def _remove(self, index: int) -> None:
        self._names.remove(self._left.pop(index).name)

    def _begun(self, run: Run) -> bool:
        return os.path.lexists(self._folder / run.name)
