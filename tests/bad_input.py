"""Bad input, given to the command line as a user gives it, and what has to hold of the answer."""

import contextlib
import hashlib
import io
import os
import stat
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fault_ledger import Ledger

from harness.cli import main

LONGEST = 600
"""Characters of a message that is still read, the folder's own path left aside."""


@dataclass(frozen=True)
class Answer:
    """What a command said.

    Args:
        code: its exit code; None where an exception escaped.
        lines: of stderr, the case's folder written as FOLDER.
        wrong: what a clear refusal must not be, a sentence each.
    """

    code: int | None
    lines: tuple[str, ...]
    wrong: tuple[str, ...]


def refused(
    arguments: Sequence[str | Path], folder: Path, names: Sequence[str] = ("FOLDER",)
) -> Answer:
    """Run a command in this process and find out whether it refused what it was given.

    Args:
        arguments: as after ``harness``.
        folder: holds everything that the command may touch; read and compared before and after.
        names: texts of which one has to stand in what is said, the file's or the field's name.
    """
    before = contents(folder)
    code, text = _said(arguments)
    after = contents(folder)
    lines = tuple(text.replace(str(folder), "FOLDER").splitlines())
    wrong = [*_wrong_code(code, text), *_wrong_lines(lines, names), *_wrong_files(before, after)]
    return Answer(code, lines, tuple(wrong))


def hold(ledger: Ledger, kind: str, case: str, answer: Answer, found_by: str = "by hand") -> None:
    """Leave the case's row, then fail unless it was refused as it should be."""
    first = answer.lines[0] if answer.lines else ""
    word = "refused" if not answer.wrong else f"WRONG: {answer.wrong[0].splitlines()[-1]}"
    ledger.add("inputs", kind=kind, case=case, found_by=found_by, answer=word, message=first)
    assert not answer.wrong, "\n".join([case, *answer.wrong, *answer.lines])


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of every file below a folder; what is no plain file by its kind."""
    return {
        str(path.relative_to(folder)): _digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def _digest(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {os.readlink(path)}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else oct(mode)


def _said(arguments: Sequence[str | Path]) -> tuple[int | None, str]:
    """Return a command's exit code and what it wrote to stderr, as a terminal would show it."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
    code: int | None = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse's own
            code = error.code if isinstance(error.code, int) else None
        except Exception:
            traceback.print_exc()
    err.flush()
    return code, err.buffer.getvalue().decode()


def _wrong_code(code: int | None, text: str) -> Iterator[str]:
    if code != 2:
        ending = text.strip().splitlines()[-1:] or ["nothing on stderr"]
        yield f"exit code {code} in place of 2: {ending[0]}"
    if "Traceback" in text:
        yield f"a traceback:\n{text}"


def _wrong_lines(lines: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    if not lines:
        yield "nothing was said"
    for line in lines:
        if not line.startswith("harness: ") or not line.isprintable():
            yield f"not one line of its own: {line[:LONGEST]!r}"
        if len(line) > LONGEST:
            yield f"a line of {len(line)} characters"
    if not any(name in line for name in names for line in lines):
        yield f"names none of {', '.join(names)}"


def _wrong_files(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            how = "changed" if name in before and name in after else "lost"
            yield f"{name}: {how if name in before else 'was left behind'}"
