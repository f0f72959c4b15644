"""What a waiting user sees: each run's progress, its latest FID, and the time left."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from harness.launch.local import Running
from harness.plan.price import training_cost
from harness.records.types import Row
from harness.spec.vocabulary import RAW

_PLAIN_EVERY_SEC = 20.0
_TELLING_SHARE = 0.1


@dataclass
class Latest:
    """The latest numbers of a run, read from its rows as they are written."""

    offset: int = 0
    file: int = 0
    kimg: float = 0.0
    sec: float = 0.0
    fid: float | None = None
    best: tuple[str, float] | None = None

    def read(self, one: Running) -> None:
        """Take in the rows written since the last call."""
        try:
            with one.folder.rows_file.open() as file:
                number = os.fstat(file.fileno()).st_ino
                if number != self.file:  # the rows of an earlier attempt were put aside
                    self.file, self.offset, self.kimg, self.sec = number, 0, 0.0, 0.0
                    self.fid, self.best = None, None
                file.seek(self.offset)
                for line in iter(file.readline, ""):
                    if not line.endswith("\n"):
                        return
                    self.offset += len(line)
                    value = json.loads(line)
                    if "quantity" in value:
                        self._take(Row(**value))
        except FileNotFoundError:
            return

    def _take(self, row: Row) -> None:
        if row.arm == "real":
            return
        if row.kimg > self.kimg:
            self.kimg, self.sec = row.kimg, row.sec
        if row.quantity.startswith("fid["):
            if row.arm == RAW:  # the first arm of an evaluation
                self.fid, self.best = row.value, None
            elif self.best is None or row.value < self.best[1]:
                self.best = (row.arm, row.value)


class Display:
    """A live table in a terminal, a line now and then elsewhere.

    Args:
        predicted_sec: the plan's seconds of each run, by its name, for all runs to be trained.
        jobs: runs at a time.
    """

    def __init__(self, predicted_sec: Mapping[str, float], jobs: int) -> None:
        self._predicted = dict(predicted_sec)
        self._jobs = jobs
        self._begin = time.monotonic()
        self._latest: dict[str, Latest] = {}
        self._printed = 0.0
        console = Console(file=sys.stderr)
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> "Display":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, active: Sequence[Running]) -> None:
        """Show where the runs stand."""
        for one in active:
            self._latest.setdefault(one.run.name, Latest()).read(one)
        if self._live is not None:
            self._live.update(self._table(active), refresh=True)
        elif time.monotonic() - self._printed > _PLAIN_EVERY_SEC:
            self._printed = time.monotonic()
            for one in active:
                print(self._line(one), file=sys.stderr, flush=True)
            print(f"  {self._left(active)}", file=sys.stderr, flush=True)

    def _table(self, active: Sequence[Running]) -> Table:
        table = Table(box=None, caption=self._left(active), caption_justify="left")
        for name in ("run", "kimg", "img/s", "FID raw", "best shadow"):
            table.add_column(name, justify="left" if name == "run" else "right")
        for one in active:
            table.add_row(one.run.name, *self._cells(one))
        return table

    def _line(self, one: Running) -> str:
        kimg, speed, fid, best = self._cells(one)
        return f"  {one.run.name}: {kimg} kimg, {speed} img/s, FID raw {fid}, best shadow {best}"

    def _cells(self, one: Running) -> tuple[str, str, str, str]:
        latest = self._latest.get(one.run.name, Latest())
        speed = f"{1000 * latest.kimg / latest.sec:.0f}" if latest.sec else "-"
        fid = "-" if latest.fid is None else f"{latest.fid:.1f}"
        best = "-" if latest.best is None else f"{latest.best[1]:.1f} ({latest.best[0]})"
        return f"{latest.kimg:.0f}/{one.run.spec.kimg:g}", speed, fid, best

    def _left(self, active: Sequence[Running]) -> str:
        """Return elapsed time and an estimate of what is left, from the work done so far."""
        shares = {
            one.run.name: training_cost(
                one.run.spec, round(1000 * self._latest.get(one.run.name, Latest()).kimg)
            )
            for one in active
        }
        spent = [(shares[one.run.name], time.monotonic() - one.since, one) for one in active]
        # A run's first seconds go into its start and say little of its pace.
        known = [
            sec / share / self._predicted[one.run.name]
            for share, sec, one in spent
            if share > _TELLING_SHARE
        ]
        pace = sum(known) / len(known) if known else 1.0
        left = sorted(
            (
                sec * pace * (1 - shares.get(name, 0.0))
                for name, sec in self._predicted.items()
                if name in shares or name not in self._latest
            ),
            reverse=True,
        )
        total = max(max(left, default=0.0), sum(left) / self._jobs)
        return f"{_minutes(time.monotonic() - self._begin)} gone, about {_minutes(total)} left"


def _minutes(sec: float) -> str:
    return f"{int(sec) // 60}:{int(sec) % 60:02d}"
