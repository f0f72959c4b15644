"""Everything that can go wrong for a reason a user can mend.

::

    HarnessError            exit code 2, one clear line, no traceback
    ├── SpecError           what was asked for is not possible (all problems at once)
    ├── DataError           images are missing, broken or of the wrong shape
    ├── WeightsError        an extractor's weights are missing or not the expected ones
    ├── RecordsError        a results folder is unreadable or of a newer format
    ├── OutputError         a folder cannot be written
    ├── ResultsDiffer       a check of committed results found a difference (exit code 1)
    └── Diverged            a loss is no longer finite (ends one run, not the others)

A message names what was given, what is allowed and what to do.
"""

from collections.abc import Sequence

_LONGEST_LINE = 560
_MOST_LINES = 200


def printable(text: str, most: int = _LONGEST_LINE) -> str:
    """Return text as one line: control characters escaped, the middle left out if it is long."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 5]} ... {text[-end:]}"


class HarnessError(Exception):
    """Root of all errors that a user can mend; holds every problem found, mostly one."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))

    def __reduce__(self) -> tuple[object, ...]:
        # As it stands: pickle would call ``__init__``, whose arguments differ, with the message.
        return _revived, (type(self), self.args, vars(self))

    @property
    def lines(self) -> list[str]:
        """The problems as a terminal can show them, a line for each."""
        shown = [printable(problem) for problem in self.problems[:_MOST_LINES]]
        more = len(self.problems) - len(shown)
        return [*shown, *([f"and {more} more"] if more else [])]


def _revived(
    kind: type[HarnessError], args: tuple[object, ...], state: dict[str, object]
) -> HarnessError:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


class SpecError(HarnessError):
    """A spec cannot be run."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(*problems)


class DataError(HarnessError):
    """Images are missing, broken or of the wrong shape."""


class WeightsError(HarnessError):
    """An extractor's weights are missing or not the expected ones."""


class RecordsError(HarnessError):
    """A results folder is unreadable or of a newer format."""


class OutputError(HarnessError):
    """A folder cannot be written."""


class ResultsDiffer(HarnessError):
    """Committed results and what was rebuilt or measured are not the same."""

    exit_code = 1


class Diverged(HarnessError):
    """Training left the finite numbers.

    Args:
        iteration: 1-based iteration after which that was so.
        what: what was not finite.
    """

    def __init__(self, iteration: int, what: str = "a loss") -> None:
        self.iteration = iteration
        self.what = what
        super().__init__(
            f"{what} was NaN or infinite at iteration {iteration}: lower the learning rate"
        )
