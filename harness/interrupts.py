"""Ctrl-C and SIGTERM, let through only where nothing can be torn by them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Turns both signals into KeyboardInterrupt: at once, or, inside ``held``, when it is asked.

    What stands between an iteration's first and last change must not be cut in two; its end is
    where training asks. Evaluation changes nothing, and may be left anywhere.
    """

    def __init__(self) -> None:
        self.requested = False
        """Whether one came, or was asked for, while they were held."""
        self._held = False

    def install(self) -> None:
        """Take both signals of this process, in its main thread."""
        signal.signal(signal.SIGTERM, self._take)
        signal.signal(signal.SIGINT, self._take)

    def ignore(self) -> None:
        """Take no more of them: what is left to do is short and must be done."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, signals are noted in ``requested`` and nothing else."""
        yield from self._set(held=True)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, signals raise; one that was noted before raises on entry."""
        yield from self._set(held=False)

    def _set(self, held: bool) -> Iterator[None]:
        before, self._held = self._held, held
        try:
            if self.requested and not held:
                raise KeyboardInterrupt
            yield
        finally:
            self._held = before

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if not self._held:
            raise KeyboardInterrupt
