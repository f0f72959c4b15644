"""Numbers as a reader wants them: as many digits as they bear."""

import math
import re
from collections.abc import Iterable

_ACTIVE = re.compile(r"[\\`*_\[\]|#~$]|(?<=:)//|(?<=www)\.", re.IGNORECASE)
"""What may begin code, emphasis, links, pictures, cells, headings or formulas in Markdown."""
_ENTITIES = {"<": "&lt;", ">": "&gt;"}


def decimals(values: Iterable[float | None], digits: int = 4) -> int:
    """Return the decimals that give the largest of ``values`` so many significant digits."""
    sizes = [abs(v) for v in values if v is not None and math.isfinite(v) and v != 0]
    if not sizes:
        return 0
    return min(max(digits - 1 - math.floor(math.log10(max(sizes))), 0), 12)


def number(value: float | None, places: int | None = None) -> str:
    """Return a number at fixed decimals, by default with 3 significant digits."""
    if value is None:
        return ""
    return f"{value:.{decimals([value], 3) if places is None else places}f}"


def short(value: float) -> str:
    """Return a number with 3 significant digits, or all before the point: ``0.002``, ``1,024``."""
    return f"{value:,.0f}" if 1000 <= abs(value) < math.inf else f"{value:.3g}"


def plus_minus(value: float, half_width: float | None, signed: bool = True) -> str:
    """Return ``-3.10 ± 0.81``: the uncertainty to 2 digits and the value to its decimals."""
    places = decimals([half_width], 2) if half_width else decimals([value], 3)
    size = f"{value:{'+' if signed else ''}.{places}f}"
    return size if half_width is None else f"{size} ± {half_width:.{places}f}"


def p_text(p: float | None, equals: str = "") -> str:
    """Return a p-value of two digits after ``equals``, or a bound where it is tiny."""
    if p is None:
        return ""
    return "< 0.0001" if p < 1e-4 else f"{equals}{p:.2g}"


def code(name: str) -> str:
    """Return a name in backticks, safe inside a Markdown table."""
    return f"`{cell(name)}`"


def cell(text: str) -> str:
    """Return text that does not end a Markdown table's cell."""
    return text.replace("|", "\\|")


def prose(text: str) -> str:
    """Return text from outside as one line of Markdown that shows it and does nothing else."""
    line = _ACTIVE.sub(r"\\\g<0>", " ".join(text.split()))
    for sign, entity in _ENTITIES.items():
        line = line.replace(sign, entity)
    return line


def table(head: list[str], lines: Iterable[list[str]], words: int = 1) -> str:
    """Return a Markdown table; the first ``words`` columns to the left, numbers to the right."""
    rule = [":--"] * words + ["--:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *lines])
