"""A process under another Python that works only while it is asked to."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.errors import HarnessError

PYTHON = "HARNESS_MMAGIC_PYTHON"


class NotHereError(HarnessError):
    """What a benchmark compares with is not on this machine."""


def python_of_mmagic() -> str:
    """Return the Python that has MMagic.

    Raises:
        NotHereError: none is named, or it is no file.
    """
    named = os.environ.get(PYTHON, "")
    if not Path(named).is_file():
        given = f"is {named!r}, which is no file" if named else "is not set"
        raise NotHereError(
            f"{PYTHON} {given}: name a Python that has harness/bench/peer/requirements.txt "
            "installed; `nox -s bench-peer` makes one and measures with it"
        )
    return named


class Asked:
    """A process that answers requests one at a time, so that it never computes beside another.

    Requests and answers are JSON objects, a line each, on its standard input and output.

    Args:
        command: what to start; its first answer is that it is ready.
        log: file that takes what it says beside its answers.

    Raises:
        HarnessError: it ended without an answer.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log, self._name = log, command[0]
        # Nothing of this process's own setting may reach another Python's imports.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )
        self.ready = self._answer()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to a request, when it has come."""
        assert self._process.stdin is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise self._ended() from None
        return self._answer()

    def __enter__(self) -> "Asked":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> HarnessError:
        self._process.communicate()
        code = self._process.returncode
        said = self._log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        return HarnessError(f"{self._name} ended with {code}, saying: {said[0]}")
