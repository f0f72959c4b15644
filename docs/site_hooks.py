"""What the site needs beside its pages: equations as MathML, and pictures of the results.

So that pages load no script from elsewhere, and read the same on GitHub.
"""

import re
from html import unescape
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
_SHOWN = ("*.png", "*.gif", "*.html")
_EQUATION = re.compile(r'<(div|span) class="arithmatex">\\([\[(])(.*?)\\[\])]</\1>', re.DOTALL)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pictures of committed results, as they lie from the repository's root."""
    for pattern in _SHOWN:
        for path in sorted((ROOT / "results").glob(f"*/quick/{pattern}")):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Let links to results, which are written as GitHub follows them, lead to those pictures."""
    up = "../" * page.file.src_uri.count("/")
    return re.sub(rf"\]\({up}\.\./\.\./results/", f"]({up}results/", markdown)


def on_page_content(html: str, *, page: Any, config: Any, files: Files) -> str:
    """Write equations, TeX in the pages, as MathML."""
    return _EQUATION.sub(_mathml, html)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found[2] == "[" else "inline"
    return convert(unescape(found[3]), display=display)
