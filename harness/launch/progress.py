"""What a waiting user sees: each run's progress, its latest main metric, and the time left."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from harness.launch.local import Running
from harness.launch.worker import ended
from harness.plan.expand import Run
from harness.plan.guess import training_cost
from harness.records.quantities import lookup
from harness.records.types import Row
from harness.spec.schema import Spec
from harness.spec.vocabulary import RAW

_PLAIN_EVERY_SEC = 20.0
_TELLING_SHARE = 0.1
_WAITS = "another process trains it: waiting"


@dataclass
class Latest:
    """The latest numbers of a run, read from its rows as they are written."""

    offset: int = 0
    file: int = 0
    start: float | None = None
    """Thousands of images shown before this attempt; None before its rows were read."""
    kimg: float = 0.0
    sec: float = 0.0
    raw: float | None = None
    best: tuple[str, float] | None = None

    def read(self, one: Running) -> None:
        """Take in the rows written since the last call."""
        try:
            with one.folder.rows_file.open() as file:
                found = os.fstat(file.fileno())
                # Rows of an earlier attempt were put aside, all or the last of them.
                if found.st_ino != self.file or found.st_size < self.offset:
                    vars(self).update(vars(Latest(file=found.st_ino)))
                file.seek(self.offset)
                for line in iter(file.readline, ""):
                    if not line.endswith("\n"):
                        break
                    self.offset += len(line)
                    value = json.loads(line)
                    if "quantity" in value:
                        self._take(Row(**value), leading(one.run.spec))
        except FileNotFoundError:
            return
        except ValueError:  # cut back, and longer again since the last look
            self.offset = sys.maxsize
        if self.start is None:
            self.start = self.kimg

    def share(self, spec: Spec) -> float:
        """Return how much of a run's work is done."""
        return training_cost(spec, round(1000 * self.kimg))

    def own_share(self, spec: Spec) -> float:
        """Return how much of it this attempt has done."""
        return self.share(spec) - training_cost(spec, round(1000 * (self.start or 0.0)))

    def _take(self, row: Row, metric: str) -> None:
        if row.arm == "real":
            return
        if row.kimg > self.kimg:
            self.kimg, self.sec = row.kimg, row.sec
        if row.quantity.partition("[")[0] == metric:
            sign = -1 if lookup(metric).better == "higher" else 1
            if row.arm == RAW:  # the first arm of an evaluation
                self.raw, self.best = row.value, None
            elif self.best is None or sign * row.value < sign * self.best[1]:
                self.best = (row.arm, row.value)


@dataclass
class Far:
    """A run that another machine trains, as far as it has told of it."""

    run: Run
    node: str = ""
    """Which; empty before it has begun."""
    latest: Latest = field(default_factory=Latest)
    waiting: bool = False
    """Whether another process trains the run, and that one waits for it."""
    since: float = field(default_factory=time.monotonic)


Shown = Running | Far


def leading(spec: Spec) -> str:
    """Return the first metric of a spec that has a better direction, else the first."""
    metrics = spec.evaluate.metrics
    directed = (name for name in metrics if lookup(name).better != "neither")
    return next(directed, metrics[0])


class Display:
    """A live table in a terminal, a line now and then elsewhere.

    Args:
        predicted_sec: the plan's seconds of each run, by its name, for all runs to be trained.
        jobs: runs at a time.
        stream: where it is shown; standard error, which what is printed meanwhile goes round, by
            default.
    """

    def __init__(
        self, predicted_sec: Mapping[str, float], jobs: int, stream: TextIO | None = None
    ) -> None:
        self._stream = stream
        self._predicted = dict(predicted_sec)
        self._jobs = jobs
        self._begin = time.monotonic()
        self._latest: dict[str, Latest] = {}
        self._printed = 0.0
        self._waiting: set[str] = set()
        self._trunks: dict[str, Running] = {}
        console = Console(file=stream or sys.stderr)
        around = stream is None
        live = Live(
            console=console, auto_refresh=False, redirect_stdout=around, redirect_stderr=around
        )
        self._live = live if console.is_terminal else None

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

    def __call__(self, active: Sequence[Shown]) -> None:
        """Show where the runs stand."""
        for one in active:
            if isinstance(one, Far):
                self._latest[one.run.name] = one.latest
                continue
            self._latest.setdefault(one.run.name, Latest()).read(one)
            self._trunks |= {rider.name: one for rider in one.riders}
        waiting = {one.run.name for one in active if one.waiting}
        if self._live is not None:
            self._live.update(self._table(active), refresh=True)
        elif time.monotonic() - self._printed > _PLAIN_EVERY_SEC or waiting - self._waiting:
            self._printed = time.monotonic()
            for one in active:
                print(self._line(one), file=self._stream or sys.stderr, flush=True)
            print(f"  {self._left(active)}", file=self._stream or sys.stderr, flush=True)
        self._waiting = waiting

    def note(self, line: str) -> None:
        """Say what stays to be read, above what changes."""
        if self._live is not None:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self._stream or sys.stderr, flush=True)

    def _table(self, active: Sequence[Shown]) -> Table:
        table = Table(box=None, caption=self._left(active), caption_justify="left")
        titles = {lookup(leading(one.run.spec)).title for one in active}
        for name in ("run", "kimg", "img/s", f"{'/'.join(sorted(titles))} raw", "best shadow"):
            table.add_column(name, justify="left" if name == "run" else "right")
        for one in active:
            table.add_row(_named(one) + (f": {_WAITS}" if one.waiting else ""), *self._cells(one))
        return table

    def _line(self, one: Shown) -> str:
        kimg, speed, raw, best = self._cells(one)
        metric = lookup(leading(one.run.spec)).title
        if one.waiting:
            return f"  {_named(one)}: {_WAITS}, {kimg} kimg so far"
        return f"  {_named(one)}: {kimg} kimg, {speed} img/s, {metric} raw {raw}, best {best}"

    def _cells(self, one: Shown) -> tuple[str, str, str, str]:
        latest = self._latest.get(one.run.name, Latest())
        speed = f"{1000 * latest.kimg / latest.sec:.0f}" if latest.sec else "-"
        raw = "-" if latest.raw is None else _short(latest.raw)
        best = "-" if latest.best is None else f"{_short(latest.best[1])} ({latest.best[0]})"
        return f"{latest.kimg:.0f}/{one.run.spec.kimg:g}", speed, raw, best

    def _left(self, active: Sequence[Shown]) -> str:
        """Return elapsed time and an estimate of what is left, from the work done so far."""
        shown = [(one, self._latest.get(one.run.name, Latest())) for one in active]
        shares = {one.run.name: latest.share(one.run.spec) for one, latest in shown}
        shares |= {
            name: self._taken_over(name, trunk)
            for name, trunk in self._trunks.items()
            if name not in self._latest
        }
        own = [(one, latest.own_share(one.run.spec)) for one, latest in shown]
        # A run's first seconds go into its start and say little of its pace.
        known = [
            (time.monotonic() - one.since) / share / self._predicted[one.run.name]
            for one, share in own
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

    def _taken_over(self, rider: str, trunk: Running) -> float:
        """Return how much of a run that has not begun another one does for it."""
        if (path := trunk.folder.path.with_name(rider)).exists() and ended(path):
            return 1.0
        return self._latest[trunk.run.name].share(trunk.run.spec)


def _named(one: Shown) -> str:
    """Return a run's name, and where it is trained, or for how many others it is trained, too."""
    if isinstance(one, Far):
        return f"{one.run.name} on {one.node}"
    count = sum(not one.folder.path.with_name(run.name).exists() for run in one.riders)
    return one.run.name + (f" (and {count} more until they part)" if count else "")


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"


def _minutes(sec: float) -> str:
    return f"{int(sec) // 60}:{int(sec) % 60:02d}"
