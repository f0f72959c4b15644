"""What every field of a spec is and means, from the models: JSON schema and a page of tables.

Meanings are the docstrings below fields. They are read from the source only where somebody asks,
so that no other command pays for it.
"""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from harness.spec.schema import ReduceLR, ReduceLRScheduler, Spec
from harness.spec.sections import Section

Schema = dict[str, Any]

_WORDS = {"string": "text", "integer": "whole number", "boolean": "true or false", "null": "null"}
_RULE = "factors.reduce_lr.LEVEL"
_HEAD = "| field | type | range, unit | default | meaning |\n|---|---|---|---|---|"
_TITLE = """\
# Every field

Made from the models that check a spec by `harness schema --markdown`. A range is that of each
number in the field; a field whose default is a dash has to be given. [Spec](spec.md) says how
they go together.
"""


def json_schema() -> Schema:
    """Return the JSON schema of a spec, with a description of every field."""
    schema = Spec.model_json_schema()
    for name, section in _sections(Section):
        properties = _place(schema, name).get("properties", {})
        for field, meaning in _meanings(section).items():
            if field in properties:
                properties[field] = {**properties[field], "description": meaning}
    return schema


def markdown() -> str:
    """Return a page with a table for each section of a spec, in the order of one."""
    schema = json_schema()
    parts = [_TITLE, *_walked(schema, "", "Spec", "The whole")]
    for path, section in ((_RULE, ReduceLR), (f"{_RULE}.scheduler", ReduceLRScheduler)):
        own = section.model_json_schema()
        for field, meaning in _meanings(section).items():
            own["properties"][field]["description"] = meaning
        parts.append(_table(own, f"`{path}`"))
    return "\n".join(parts)


def _sections(of: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    for section in of.__subclasses__():
        yield section.__name__, section
        yield from _sections(section)


def _place(schema: Schema, name: str) -> Schema:
    """Return the part of the schema that stands for a section; an empty one where none does."""
    found: Schema = schema if name == schema["title"] else schema["$defs"].get(name, {})
    return found


def _meanings(section: type[Section]) -> dict[str, str]:
    """Return the docstring below each field of a section, as one line."""
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(made, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in itertools.pairwise(made.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _walked(schema: Schema, path: str, name: str, heading: str) -> Iterator[str]:
    """Yield the table of a section, and those of the sections below it."""
    here = _place(schema, name)
    yield _table(here, heading)
    for field, about in here["properties"].items():
        inner = list(_refs(about))
        below = f"{path}{field}{'.NAME' if 'additionalProperties' in about else ''}"
        for ref in inner:
            kind = f": {ref}" if len(inner) > 1 else ""
            yield from _walked(schema, f"{below}.", ref, f"`{below}`{kind}")


def _refs(about: Any) -> Iterator[str]:
    """Yield the names of the sections that a field may hold, in order."""
    match about:
        case {"$ref": str() as ref}:
            yield ref.rpartition("/")[2]
        case dict():
            for key in ("additionalProperties", "items", "anyOf", "oneOf", "allOf"):
                yield from _refs(about.get(key))
        case list():
            for one in about:
                yield from _refs(one)


def _table(section: Schema, heading: str) -> str:
    lines = [_row(field, about, section) for field, about in section["properties"].items()]
    said = section.get("description", "")
    return "\n".join([f"## {heading}\n", f"{said}\n", _HEAD, *lines, ""])


def _row(field: str, about: Schema, section: Schema) -> str:
    needed = field in section.get("required", ())
    ranges = dict.fromkeys(text for one in _leaves(about) if (text := _range(one)))
    cells = [
        f"`{field}`",
        _type(about),
        ", ".join(ranges),
        "-" if needed else f"`{_value(about.get('default'))}`",
        about.get("description", "").replace("``", "`"),
    ]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _leaves(about: Any) -> Iterator[Schema]:
    """Yield a field's schema and all that stand inside it."""
    match about:
        case dict():
            yield about
            for key in ("additionalProperties", "items", "prefixItems", "anyOf"):
                yield from _leaves(about.get(key))
        case list():
            for one in about:
                yield from _leaves(one)


def _type(about: Mapping[str, Any]) -> str:
    match about:
        case {"enum": list() as allowed}:
            return ", ".join(f"`{word}`" for word in allowed)
        case {"const": word}:
            return f"`{word}`"
        case {"$ref": str()} | {"oneOf": list()} | {"type": "object", "additionalProperties": True}:
            return "mapping"
        case {"anyOf": list() as choices}:
            return " or ".join(dict.fromkeys(map(_type, choices)))
        case {"type": "array", "prefixItems": list() as items}:
            return f"list of {len(items)}: {_type(items[0])}"
        case {"type": "array"}:
            return f"list of {_type(about['items'])}"
        case {"type": "object"}:
            return f"mapping to {_type(about['additionalProperties'])}"
        case {"type": str() as word}:
            return _WORDS.get(word, word)
    return "anything"


def _range(about: Mapping[str, Any]) -> str:
    """Return a number's interval and unit; nothing for what is no number."""
    low, high = (
        next(((about[key], key) for key in keys if key in about), None)
        for keys in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
    )
    if low is None:
        return ""
    left = f"{'(' if low[1].startswith('exclusive') else '['}{_number(low[0])}"
    if high is None:
        return f"{left}, ∞)"
    right = f"{_number(high[0])}{')' if high[1].startswith('exclusive') else ']'}"
    return f"{left}, {right} {about.get('unit', '')}".rstrip()


def _number(value: float) -> str:
    words = {2**31 - 1: "2³¹ - 1", 10**9: "10⁹"}
    return words.get(int(value), f"{value:.4g}")


def _value(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return f"{{{', '.join(f'{k}: {_value(v)}' for k, v in value.items())}}}"
        case float():
            return f"{value:g}"
    return str(value)
