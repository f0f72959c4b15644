"""The ranges of a spec's numbers, each worded for the message that refuses what is outside."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field


def _allowed(text: str, holds: Callable[[Any], bool]) -> AfterValidator:
    """Return a range's check, which names the range."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"is not {text}")
        return value

    return AfterValidator(check)


def _not_a_number(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("is not a number")
    return value


def _schema(unit: str | None = None, **limits: float) -> Any:
    """The same range for editors, in JSON schema's words; the unit for the reference."""
    return Field(json_schema_extra={**({"unit": unit} if unit else {}), **limits})


_Float = Annotated[float, BeforeValidator(_not_a_number)]
_Int = Annotated[int, BeforeValidator(_not_a_number)]
_WIDEST = 12**-0.5  # the relative width of gamma = 0, the widest power function
_MOST = 2**31 - 1

Fraction = Annotated[
    _Float,
    _allowed("in (0, 1)", lambda v: 0 < v < 1),
    _schema(exclusiveMinimum=0, exclusiveMaximum=1),
]
Share = Annotated[
    _Float, _allowed("in [0, 1]", lambda v: 0 <= v <= 1), _schema(minimum=0, maximum=1)
]
Beta = Annotated[
    _Float, _allowed("in [0, 1)", lambda v: 0 <= v < 1), _schema(minimum=0, exclusiveMaximum=1)
]
Positive = Annotated[_Float, _allowed("above 0", lambda v: v > 0), _schema(exclusiveMinimum=0)]
NotNegative = Annotated[_Float, _allowed("at least 0", lambda v: v >= 0), _schema(minimum=0)]
Kimg = Annotated[
    _Float,
    _allowed("in [0.001, 1e9] thousand images", lambda v: 0.001 <= v <= 1e9),
    _schema("kimg", minimum=0.001, maximum=1e9),
]
KimgOrZero = Annotated[
    _Float,
    _allowed("in [0, 1e9] thousand images", lambda v: 0 <= v <= 1e9),
    _schema("kimg", minimum=0, maximum=1e9),
]
RelativeWidth = Annotated[
    _Float,
    _allowed("in (0, 0.288]", lambda v: 0 < v <= _WIDEST),
    _schema(exclusiveMinimum=0, maximum=_WIDEST),
]
Count = Annotated[
    _Int,
    _allowed("a whole number in [1, 2^31)", lambda v: 1 <= v <= _MOST),
    _schema(minimum=1, maximum=_MOST),
]
Images = Annotated[Count, _schema("images")]
Pixels = Annotated[Count, _schema("px")]
Iterations = Annotated[Count, _schema("iterations")]
Natural = Annotated[
    _Int,
    _allowed("a whole number in [0, 2^31)", lambda v: 0 <= v <= _MOST),
    _schema(minimum=0, maximum=_MOST),
]
Iteration = Annotated[Natural, _schema("iterations")]
Interval = Annotated[
    _Int,
    _allowed("-1 (never) or a whole number in [1, 2^31)", lambda v: v == -1 or 1 <= v <= _MOST),
    _schema("iterations", minimum=-1, maximum=_MOST),
]
Seed = Annotated[
    _Int, _allowed("a whole number in [0, 2^63)", lambda v: 0 <= v < 2**63), _schema(minimum=0)
]
Words = Annotated[
    str,
    _allowed("text without control characters", lambda v: " ".join(v.split()).isprintable()),
]
"""What is printed and stands in reports; it may be of several lines."""
Scale = Annotated[
    int,
    _allowed("a power of two in [4, 1024]", lambda v: 4 <= v <= 1024 and v & (v - 1) == 0),
    _schema("px", minimum=4, maximum=1024),
]
