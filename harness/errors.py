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


def excerpt(text: str, most: int = 100) -> str:
    """Return text of unknown origin as a message can hold it: one line, escaped, not too long."""
    line = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text[: most + 1]
    )
    return line if len(line) <= most else f"{line[: most - 3]}..."


class HarnessError(Exception):
    """Root of all errors that a user can mend."""

    exit_code = 2


class SpecError(HarnessError):
    """A spec cannot be run; holds every problem found, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


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
        super().__init__(
            f"{what} was NaN or infinite at iteration {iteration}: lower the learning rate"
        )
