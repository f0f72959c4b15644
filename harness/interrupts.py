"""Ctrl-C and SIGTERM, let through only where nothing can be torn by them."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_SEC = 60.0
"""How long a process that was asked to end may take over it."""
_LOOK_SEC = 0.5


def end_with_starter() -> None:
    """Have this process sent SIGTERM when what started it has ended, and killed if it stays.

    A run whose harness was killed would go on unseen, and keep others from it.
    """
    threading.Thread(target=_outlive_nobody, args=(os.getppid(),), daemon=True).start()


def _outlive_nobody(server: int) -> None:
    """Watch the process that this one was forked from, and the harness that had it forked."""
    harness = multiprocessing.parent_process()
    while os.getppid() == server and (harness is None or harness.is_alive()):
        time.sleep(_LOOK_SEC)
    # A thread's own signals go to any thread; only the main one is woken to see to them.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(GRACE_SEC)
    os.kill(os.getpid(), signal.SIGKILL)


class Interrupts:
    """Turns both signals into KeyboardInterrupt: at once, or, inside ``held``, when it is asked.

    What stands between an iteration's first and last change must not be cut in two; its end is
    where training asks. Evaluation changes nothing, and may be left anywhere. Only the first one
    raises by itself: another must not cut short what is done about it.
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
        first, self.requested = not self.requested, True
        if first and not self._held:
            raise KeyboardInterrupt
