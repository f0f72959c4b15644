"""The page put together: one template, one style, one script, and nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.report.answer import answer_text
from harness.report.film import Film
from harness.report.frames import Results
from harness.report.page.clocks import BAR, facts
from harness.report.page.contents import contents
from harness.report.page.drawing import BOTTOM, LEFT, RIGHT, TOP, WIDTH
from harness.report.page.grids import grid
from harness.report.page.pictures import Shown, fitting
from harness.report.posthoc import rebuilt_texts
from harness.report.text import spans

MOST_BYTES = 2_000_000
_FILES = Path(__file__).parent / "files"
_MARKUP_BYTES = 30_000
"""Room for what surrounds pictures."""
_MINUS = re.compile(r"(?<![\w.-])-(?=\d)")
_CONTROLS = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def page(results: Results, pictures: Mapping[str, bytes], film: Film | None = None) -> str:
    """Return ``report.html``, the same text for the same evidence.

    Args:
        results: the evidence.
        pictures: PNGs of the results folder by name; ``samples.png`` and ``neighbours.png`` are
            shown, charts are drawn anew.
        film: samples over training, where the folder has them.
    """
    bare = _rendered(results, Shown())
    most = MOST_BYTES - len(bare.encode()) - _MARKUP_BYTES
    return _rendered(results, fitting(results, pictures, film, most)) if pictures or film else bare


def _rendered(results: Results, shown: Shown) -> str:
    style, script = ((_FILES / name).read_text("utf-8") for name in ("page.css", "page.js"))
    template = _environment().get_template("page.html.jinja")
    text = template.render(
        plan=results.plan,
        answers=[answer_text(results), *rebuilt_texts(results)],
        facts=facts(results),
        sections=contents(results, shown),
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        box={"left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
        width=WIDTH,
        bar_length=BAR,
    )
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "spans": spans,
        "grid": grid,
        "px": _px,
        "kind": _kind,
        "typeset": _typeset,
    }
    return environment


def _policy(style: str, script: str) -> str:
    """Allow pictures inside the page, its own style and its own script, and nothing else."""
    return "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _px(value: float) -> str:
    """Return a length of a drawing to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


def _typeset(text: str) -> str:
    """Give numbers a true minus, and keep them on one line with their uncertainty."""
    return _MINUS.sub("\N{MINUS SIGN}", text).replace(
        " ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
    )


def _kind(block: object) -> str:
    return type(block).__name__.lower()
