"""What a waiting user sees: each run's progress, its latest main metric, and the time left."""

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
    """

    def __init__(self, predicted_sec: Mapping[str, float], jobs: int) -> None:
        self._predicted = dict(predicted_sec)
        self._jobs = jobs
        self._begin = time.monotonic()
        self._latest: dict[str, Latest] = {}
        self._printed = 0.0
        self._waiting: set[str] = set()
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
        waiting = {one.run.name for one in active if one.waiting}
        if self._live is not None:
            self._live.update(self._table(active), refresh=True)
        elif time.monotonic() - self._printed > _PLAIN_EVERY_SEC or waiting - self._waiting:
            self._printed = time.monotonic()
            for one in active:
                print(self._line(one), file=sys.stderr, flush=True)
            print(f"  {self._left(active)}", file=sys.stderr, flush=True)
        self._waiting = waiting

    def _table(self, active: Sequence[Running]) -> Table:
        table = Table(box=None, caption=self._left(active), caption_justify="left")
        titles = {lookup(leading(one.run.spec)).title for one in active}
        for name in ("run", "kimg", "img/s", f"{'/'.join(sorted(titles))} raw", "best shadow"):
            table.add_column(name, justify="left" if name == "run" else "right")
        for one in active:
            table.add_row(one.run.name + (f": {_WAITS}" if one.waiting else ""), *self._cells(one))
        return table

    def _line(self, one: Running) -> str:
        kimg, speed, raw, best = self._cells(one)
        metric = lookup(leading(one.run.spec)).title
        if one.waiting:
            return f"  {one.run.name}: {_WAITS}, {kimg} kimg so far"
        return f"  {one.run.name}: {kimg} kimg, {speed} img/s, {metric} raw {raw}, best {best}"

    def _cells(self, one: Running) -> tuple[str, str, str, str]:
        latest = self._latest.get(one.run.name, Latest())
        speed = f"{1000 * latest.kimg / latest.sec:.0f}" if latest.sec else "-"
        raw = "-" if latest.raw is None else _short(latest.raw)
        best = "-" if latest.best is None else f"{_short(latest.best[1])} ({latest.best[0]})"
        return f"{latest.kimg:.0f}/{one.run.spec.kimg:g}", speed, raw, best

    def _left(self, active: Sequence[Running]) -> str:
        """Return elapsed time and an estimate of what is left, from the work done so far."""
        shown = [(one, self._latest.get(one.run.name, Latest())) for one in active]
        shares = {one.run.name: latest.share(one.run.spec) for one, latest in shown}
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


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"


def _minutes(sec: float) -> str:
    return f"{int(sec) // 60}:{int(sec) % 60:02d}"
